//! One mini-batch, on a device.

use std::sync::Arc;

use burn::tensor::{Int, Tensor};

use crate::activation::{Activation, AnyActivation};
use crate::pieces::label;

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
    /// A batch of [unknown address](BatchKey::UNKNOWN), as Burn's [`Batcher`](burn::data::dataloader::batcher::Batcher) makes them.
    ///
    /// # Shapes
    /// - `inputs`: `[B, d]` or `[B, C, H, W]`; `targets`: `[B]`, each in `0..classes`.
    ///
    /// # Panics
    /// With another number of targets than of rows, or a target that is no class (looked at on the CPU only).
    pub fn new(inputs: impl Into<AnyActivation>, targets: Tensor<1, Int>, classes: usize) -> Self {
        let inputs = inputs.into();
        let rows = inputs.rows();
        label::check("Batch", &targets, [rows, classes]);
        Self { inputs, targets, classes, key: BatchKey::UNKNOWN, samples: (0..rows as u32).collect() }
    }

    /// The inputs as feature vectors `[B, d]`, images flattened: what a model with dense layers starts from.
    pub fn features(&self) -> Tensor<2> {
        self.inputs.features()
    }

    /// The inputs as feature maps `[B, C, H, W]`: what a model with convolutions starts from. Features are channels at one
    /// position, `[B, d, 1, 1]`.
    pub fn maps(&self) -> Tensor<4> {
        match &self.inputs {
            AnyActivation::Maps(maps) => maps.clone(),
            other => {
                let features = other.features();
                let [rows, d] = features.dims();
                features.reshape([rows, d, 1, 1])
            }
        }
    }
}
