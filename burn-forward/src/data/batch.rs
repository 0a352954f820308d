//! One mini-batch: on the host, and on a device.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::augment::Image;
use super::{Augment, Normaliser, Part};
use crate::activation::{Activation, AnyActivation};
use crate::random::Rng;
use crate::{Error, Result};

/// The address of a batch within a run. Everything random that happens to a batch (augmentation, negatives, dropout)
/// is drawn from streams at this address, so it does not depend on which thread made the batch, or when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchKey {
    /// Epoch, from 1; 0 outside training.
    pub epoch: u64,
    /// Batch within the epoch, from 0.
    pub index: u64,
    /// Batch within the run, from 0: for what alternates from step to step, which `index` does not across epochs.
    pub step: u64,
}

impl BatchKey {
    /// Batch `index` of an `epoch` (from 1; 0 in an evaluation) of so many `batches`.
    pub fn new(epoch: u64, index: u64, batches: usize) -> Self {
        Self { epoch, index, step: epoch.saturating_sub(1) * batches as u64 + index }
    }

    /// The address of a batch whose maker does not know where in the run it is, as a Burn
    /// [`Batcher`](burn::data::dataloader::batcher::Batcher) does not. A model numbers the steps it takes on such batches, and
    /// draws from the number. The numbers begin at 0 again in a new process, so a resumed training repeats the first draws: give
    /// batches their [address](Self::new) where that matters.
    pub const UNKNOWN: Self = Self { epoch: 0, index: u64::MAX, step: u64::MAX };
}

impl Default for BatchKey {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

/// One mini-batch on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The inputs: images are [`AnyActivation::Maps`] `[B, C, H, W]`.
    pub inputs: AnyActivation,
    /// Class indices `[B]`, each in `0..classes`.
    pub targets: Tensor<1, Int>,
    /// Number of classes `C`.
    pub classes: usize,
    /// Address for random streams.
    pub key: BatchKey,
    /// Index of every row within its part (training, validation or test) of the set.
    pub samples: Arc<[u32]>,
}

impl Batch {
    /// The inputs as feature vectors `[B, d]`, images flattened: what a model with dense layers starts from.
    pub fn features(&self) -> Tensor<2> {
        self.inputs.features()
    }
}

/// One mini-batch in host memory.
#[derive(Debug, Clone, PartialEq)]
pub struct HostBatch {
    /// Normalised pixels `[B, C, H, W]`, row-major.
    pub pixels: Vec<f32>,
    /// `[B, C, H, W]`.
    pub shape: [usize; 4],
    /// Class indices `[B]`, each in `0..classes`.
    pub targets: Vec<i32>,
    /// Number of classes.
    pub classes: usize,
    /// Address for random streams.
    pub key: BatchKey,
    /// Index of every row within its part.
    pub samples: Arc<[u32]>,
}

impl HostBatch {
    /// The images `samples` of `part`, normalised and not augmented, with an [unknown](BatchKey::UNKNOWN) key.
    ///
    /// # Errors
    /// [`Error::Argument`] for a sample that the part does not have.
    pub fn new(part: &Part, samples: &[u32], normaliser: &Normaliser) -> Result<Self> {
        if let Some(sample) = samples.iter().find(|s| **s as usize >= part.len()) {
            let needed = format!("less than {}, the images of the part", part.len());
            return Err(Error::argument("HostBatch", "a sample", sample, needed));
        }
        Ok(Self::assemble(part, samples.into(), normaliser, BatchKey::default()))
    }

    /// As [`new`](Self::new), of samples that the part is known to have.
    pub(super) fn assemble(part: &Part, samples: Arc<[u32]>, normaliser: &Normaliser, key: BatchKey) -> Self {
        let [channels, height, width] = part.set().shape();
        let mut pixels = Vec::with_capacity(samples.len() * part.set().image_len());
        samples.iter().for_each(|s| normaliser.extend(&mut pixels, part.image(*s as usize)));
        Self {
            pixels,
            shape: [samples.len(), channels, height, width],
            targets: samples.iter().map(|s| part.label(*s as usize) as i32).collect(),
            classes: part.set().classes(),
            key,
            samples,
        }
    }

    /// Changes every image by all of `augment`, in order, by draws from `rng`.
    pub(super) fn augment(&mut self, augment: &[Augment], normaliser: &Normaliser, rng: &mut Rng) {
        let [_, channels, height, width] = self.shape;
        if augment.is_empty() {
            return;
        }
        for pixels in self.pixels.chunks_exact_mut(channels * height * width) {
            let mut image = Image { pixels, height, width, normaliser };
            augment.iter().for_each(|a| a.apply(&mut image, rng));
        }
    }

    /// The same batch on `device`.
    pub fn to_device(self, device: &Device) -> Batch {
        let rows = self.targets.len();
        Batch {
            inputs: AnyActivation::Maps(Tensor::from_data(TensorData::new(self.pixels, self.shape), device)),
            targets: Tensor::from_data(TensorData::new(self.targets, [rows]), device),
            classes: self.classes,
            key: self.key,
            samples: self.samples,
        }
    }
}
