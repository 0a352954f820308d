//! Activation functions of convolutional networks.

use burn::tensor::{Tensor, activation};
use burn_forward::network::ActivationFn;

/// What follows a convolution and its normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonlinearity {
    /// Nothing: a linear bottleneck.
    Identity,
    /// A function that a config may name.
    Of(ActivationFn),
    /// `min(max(z, 0), 6)` (Sandler et al. 2018, arXiv 1801.04381).
    Relu6,
    /// `z min(max(z + 3, 0), 6) / 6` (Howard et al. 2019, arXiv 1905.02244).
    HardSwish,
}

impl Nonlinearity {
    /// `max(z, 0)`.
    pub const RELU: Self = Self::Of(ActivationFn::Relu);

    /// Applies the function.
    pub fn forward<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Identity => z,
            Self::Of(f) => f.forward(z),
            Self::Relu6 => activation::relu6(z),
            Self::HardSwish => activation::hard_swish(z),
        }
    }

    /// Tensors of the size of `z` that the autodiff graph keeps for it, beside its output.
    pub(crate) fn kept(self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Of(_) | Self::Relu6 => 1,
            Self::HardSwish => 3,
        }
    }

    /// Name for tables and exported files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Of(f) => f.name(),
            Self::Relu6 => "relu6",
            Self::HardSwish => "hard-swish",
        }
    }
}
