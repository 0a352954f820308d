//! One mini-batch, on a device.

use std::sync::Arc;

use burn::tensor::{Int, Tensor};

use crate::activation::{Activation, AnyActivation};
use crate::pieces::label;

/// The position of a batch within a run. All randomness that concerns a batch (augmentation, negatives, dropout) is drawn
/// from streams at this key, so it does not depend on when the batch is assembled, or on which thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchKey {
    /// Epoch, from 1; 0 outside training.
    pub epoch: u64,
    /// Batch within the epoch, from 0.
    pub index: u64,
    /// Batch within the run, from 0, for anything that alternates from step to step; `index` starts again in every epoch.
    pub step: u64,
}

impl BatchKey {
    /// Key of batch `index` in `epoch` (from 1; 0 in an evaluation), where an epoch has `batches` batches.
    pub fn new(epoch: u64, index: u64, batches: usize) -> Self {
        Self { epoch, index, step: epoch.saturating_sub(1) * batches as u64 + index }
    }

    /// The key of a batch whose creator does not know its position in the run, such as a Burn
    /// [`Batcher`](burn::data::dataloader::batcher::Batcher). A model numbers its steps on such batches and draws from
    /// streams at that number. The numbers start at 0 again in a new process, so training that is resumed repeats the first
    /// draws. Where this matters, give batches a [key](Self::new).
    pub const UNKNOWN: Self = Self { epoch: 0, index: u64::MAX, step: u64::MAX };
}

impl Default for BatchKey {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

/// A mini-batch on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The inputs; images are [`AnyActivation::Maps`] `[B, C, H, W]`.
    pub inputs: AnyActivation,
    /// Class indices `[B]`, each in `0..classes`.
    pub targets: Tensor<1, Int>,
    /// Number of classes `C`.
    pub classes: usize,
    /// Key for random streams.
    pub key: BatchKey,
    /// Index of every row within its split (training, validation or test) of the data set.
    pub samples: Arc<[u32]>,
}

impl Batch {
    /// A batch with an [unknown key](BatchKey::UNKNOWN), as created by Burn's
    /// [`Batcher`](burn::data::dataloader::batcher::Batcher).
    ///
    /// # Shapes
    /// - `inputs`: `[B, d]` or `[B, C, H, W]`; `targets`: `[B]`, each in `0..classes`.
    ///
    /// # Panics
    /// If the number of targets differs from the number of rows, or if a target is not a class (checked on the CPU only).
    pub fn new(inputs: impl Into<AnyActivation>, targets: Tensor<1, Int>, classes: usize) -> Self {
        let inputs = inputs.into();
        let rows = inputs.rows();
        label::check("Batch", &targets, [rows, classes]);
        Self { inputs, targets, classes, key: BatchKey::UNKNOWN, samples: (0..rows as u32).collect() }
    }

    /// The inputs as feature vectors `[B, d]` with images flattened, for a model that starts with dense layers.
    pub fn features(&self) -> Tensor<2> {
        self.inputs.features()
    }

    /// The inputs as feature maps `[B, C, H, W]`, for a model that starts with convolutions. Features become channels at a
    /// single position, `[B, d, 1, 1]`.
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
