//! Toy data: what the laws are tried with.

use burn::tensor::{Device, Tensor, TensorData};
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::data::{Batch, BatchKey};
use rand::RngExt;

use crate::seed;

/// Batches to try laws with: small, and easy enough that every rule learns them in some dozen steps.
pub trait TestData: Send + Sync {
    /// Shape of an input row.
    fn input(&self) -> RowShape;

    /// Number of classes.
    fn classes(&self) -> usize;

    /// Batch `index` of `rows` rows on `device`: always the same numbers for one index, others for another. Data that come as
    /// a whole (the nodes of a graph) ignore both.
    fn batch(&self, rows: usize, index: u64, device: &Device) -> Batch;

    /// `rows` rows that training does not see.
    fn unseen(&self, rows: usize, device: &Device) -> Batch {
        self.batch(rows, 1_000_000, device)
    }

    /// Data at the edge of what classification is.
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

/// Batch `index` of some [`TestData`] on a device.
type MakeBatch = Box<dyn Fn(&dyn TestData, u64, &Device) -> Batch>;

/// Data at the edge of what classification is: one class, one sample, samples that are all the same.
pub struct Extreme {
    /// What is extreme about them.
    pub name: &'static str,
    /// Number of classes.
    pub classes: usize,
    /// Makes batch `index`, from 0 in training; those of [`Extreme::HELD_OUT`] and above are not trained on.
    pub batch: MakeBatch,
}

impl Extreme {
    /// Index of a batch that training does not see.
    pub const HELD_OUT: u64 = 99;
}

/// Extreme data made from a data set's own batches.
pub fn extreme(
    name: &'static str,
    classes: usize,
    batch: impl Fn(&dyn TestData, u64, &Device) -> Batch + 'static,
) -> Extreme {
    Extreme { name, classes, batch: Box::new(batch) }
}

/// The batch with labels taken modulo `modulus`, of `classes` classes.
fn labelled(batch: Batch, modulus: i64, classes: usize) -> Batch {
    Batch { targets: batch.targets.clone() % modulus, classes, ..batch }
}

/// The batch with every input `value`.
fn constant(batch: Batch, value: f64) -> Batch {
    let device = batch.inputs.device();
    let inputs = batch.inputs.with_features(Tensor::full(batch.features().dims(), value, &device));
    Batch { inputs, ..batch }
}

/// Samples around one prototype per class, with values about `[0, 1]`.
#[derive(Debug, Clone, Copy)]
pub struct Prototypes {
    input: RowShape,
    classes: usize,
}

impl Prototypes {
    /// Images of `channels` times `side` times `side` pixels.
    pub fn images(channels: usize, side: usize, classes: usize) -> Self {
        Self { input: RowShape::Maps { channels, height: side, width: side }, classes }
    }

    /// Rows of `width` features.
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
