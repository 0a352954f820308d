//! Activation functions that are computed together with a normalisation.

use burn::tensor::{Tensor, activation};

use crate::relu::relu;

/// An activation function that [`batch_norm`](super::batch_norm) computes in the same pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FusedActivation {
    /// `z`.
    Identity,
    /// `max(z, 0)`.
    Relu,
    /// `min(max(z, 0), 6)` (Sandler et al. 2018, arXiv 1801.04381).
    Relu6,
    /// `z min(max(z + 3, 0), 6) / 6` (Howard et al. 2019, arXiv 1905.02244).
    HardSwish,
}

impl FusedActivation {
    /// The function alone.
    pub fn forward<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Identity => z,
            Self::Relu => relu(z),
            Self::Relu6 => activation::relu6(z),
            Self::HardSwish => activation::hard_swish(z),
        }
    }
}
