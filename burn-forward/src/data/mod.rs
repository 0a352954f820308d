//! Data: image sets in their public file formats, a set embedded in the crate, and a loader that feeds training.

use std::sync::Arc;

use burn::tensor::{Int, Tensor};

use crate::activation::AnyActivation;

/// The address of a batch within a run. Everything random that happens to a batch (augmentation, negatives, dropout)
/// is drawn from streams at this address, so it does not depend on which thread made the batch, or when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchKey {
    /// Epoch, from 1.
    pub epoch: u64,
    /// Batch within the epoch, from 0.
    pub index: u64,
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
