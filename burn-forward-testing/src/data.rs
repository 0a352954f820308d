//! Toy data on which the laws are tested.

use burn::tensor::{Device, Tensor, TensorData};
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::data::{Batch, BatchKey};
use rand::RngExt;

use crate::seed;

/// Batches to test laws with: small, and easy enough for every rule to learn them in a few dozen steps.
pub trait TestData: Send + Sync {
    /// Shape of an input row.
    fn input(&self) -> RowShape;

    /// Number of classes.
    fn classes(&self) -> usize;

    /// Batch `index` of `rows` rows on `device`. An index always gives the same numbers, and different indices give different
    /// ones. Data that only exist as a whole (the nodes of a graph) ignore both arguments.
    fn batch(&self, rows: usize, index: u64, device: &Device) -> Batch;

    /// `rows` rows that are not used in training.
    fn unseen(&self, rows: usize, device: &Device) -> Batch {
        self.batch(rows, 1_000_000, device)
    }

    /// Extreme cases of a classification data set.
    fn extremes(&self) -> Vec<Extreme> {
        vec![
            extreme("one class", 1, |data, i, d| labelled(data.batch(16, i, d), 1, 1)),
            extreme("two classes", 2, |data, i, d| labelled(data.batch(16, i, d), 2, 2)),
            extreme("a class without samples", self.classes(), |data, i, d| {
                labelled(data.batch(16, i, d), data.classes() as i64 - 1, data.classes())
            }),
            extreme("one sample", self.classes(), |data, i, d| data.batch(1, i, d)),
            extreme("samples that are all 0.5", self.classes(), |data, i, d| constant(data.batch(16, i, d), 0.5)),
            extreme("samples that are all zero", self.classes(), |data, i, d| constant(data.batch(16, i, d), 0.0)),
        ]
    }
}

/// Creates batch `index` of some [`TestData`] on a device.
type MakeBatch = Box<dyn Fn(&dyn TestData, u64, &Device) -> Batch>;

/// An extreme case of a classification data set: one class, one sample, or identical samples.
pub struct Extreme {
    /// What makes it extreme.
    pub name: &'static str,
    /// Number of classes.
    pub classes: usize,
    /// Creates batch `index`. Training uses the batches from 0 on; [`Extreme::HELD_OUT`] and above are never trained on.
    pub batch: MakeBatch,
}

impl Extreme {
    /// Index of a batch that is not used in training.
    pub const HELD_OUT: u64 = 99;
}

/// An extreme case made from the batches of a data set.
pub fn extreme(
    name: &'static str,
    classes: usize,
    batch: impl Fn(&dyn TestData, u64, &Device) -> Batch + 'static,
) -> Extreme {
    Extreme { name, classes, batch: Box::new(batch) }
}

/// The batch with its labels taken modulo `modulus`, for `classes` classes.
fn labelled(batch: Batch, modulus: i64, classes: usize) -> Batch {
    Batch { targets: batch.targets.clone() % modulus, classes, ..batch }
}

/// The batch with every input set to `value`.
fn constant(batch: Batch, value: f64) -> Batch {
    let device = batch.inputs.device();
    let inputs = batch.inputs.with_features(Tensor::full(batch.features().dims(), value, &device));
    Batch { inputs, ..batch }
}

/// Samples around one prototype per class, with values roughly in `[0, 1]`.
#[derive(Debug, Clone, Copy)]
pub struct Prototypes {
    input: RowShape,
    classes: usize,
}

impl Prototypes {
    /// Images with `channels` times `side` times `side` pixels.
    pub fn images(channels: usize, side: usize, classes: usize) -> Self {
        Self { input: RowShape::Maps { channels, height: side, width: side }, classes }
    }

    /// Rows with `width` features.
    pub fn features(width: usize, classes: usize) -> Self {
        Self { input: RowShape::Features(width), classes }
    }
}

impl TestData for Prototypes {
    fn input(&self) -> RowShape {
        self.input
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn batch(&self, rows: usize, index: u64, device: &Device) -> Batch {
        let width = self.input.len();
        let mut rng = seed().stream("prototypes", &[]);
        let prototypes: Vec<f32> = (0..self.classes * width).map(|_| rng.random_range(0..2) as f32).collect();
        let mut rng = seed().stream("batch", &[index]);
        let targets: Vec<i32> = (0..rows).map(|_| rng.random_range(0..self.classes as i32)).collect();
        let values: Vec<f32> = targets
            .iter()
            .flat_map(|y| prototypes[*y as usize * width..][..width].to_vec())
            .map(|p| 0.2 + 0.6 * p + rng.random_range(-0.2..0.2))
            .collect();
        let inputs = match self.input {
            RowShape::Maps { channels, height, width } => {
                let shape = [rows, channels, height, width];
                AnyActivation::Maps(Tensor::from_data(TensorData::new(values, shape), device))
            }
            _ => AnyActivation::Features(Tensor::from_data(TensorData::new(values, [rows, width]), device)),
        };
        Batch {
            inputs,
            targets: Tensor::from_data(TensorData::new(targets, [rows]), device),
            classes: self.classes,
            key: BatchKey { epoch: 1, index, step: index },
            samples: (0..rows as u32).collect(),
        }
    }
}
