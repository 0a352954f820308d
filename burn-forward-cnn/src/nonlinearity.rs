//! Activation functions of convolutional networks.

use burn::nn::BatchNorm;
use burn::tensor::{Tensor, activation};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward_kernels::conv::{FusedActivation, batch_norm};

/// The function after a convolution and its normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonlinearity {
    /// No function: a linear bottleneck.
    Identity,
    /// A function with a name in configs.
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

    /// The function applied to a batch normalisation, in one operation if the kernels have one.
    ///
    /// # Shapes
    /// - `x`: `[B, C, H, W]`; returns the same shape.
    ///
    /// # Panics
    /// If the number of channels differs from that of the normalisation.
    pub fn of_normalised(self, norm: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
        let fused = match self {
            Self::Identity => FusedActivation::Identity,
            Self::RELU => FusedActivation::Relu,
            Self::Of(_) => return self.forward(batch_norm(norm, x, FusedActivation::Identity)),
            Self::Relu6 => FusedActivation::Relu6,
            Self::HardSwish => FusedActivation::HardSwish,
        };
        batch_norm(norm, x, fused)
    }

    /// Number of tensors of the size of `z` that the autodiff graph keeps for the function, in addition to its output.
    pub(crate) fn kept(self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Of(_) | Self::Relu6 => 1,
            Self::HardSwish => 3,
        }
    }

    /// Name in tables and exported files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Of(f) => f.name(),
            Self::Relu6 => "relu6",
            Self::HardSwish => "hard-swish",
        }
    }
}
