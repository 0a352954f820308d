//! Activation functions.

use burn::tensor::{Tensor, activation};
use burn_forward_kernels::relu::relu;
use serde::{Deserialize, Serialize};

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ActivationFn {
    /// `max(z, 0)`.
    #[default]
    Relu,
    /// `z` above 0, `0.01 z` below.
    LeakyRelu,
    /// `z Phi(z)`, exact.
    Gelu,
    /// Hyperbolic tangent.
    Tanh,
    /// `z`, without an activation function.
    None,
}

impl ActivationFn {
    /// Applies the function.
    pub fn forward<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu => relu(z),
            Self::LeakyRelu => activation::leaky_relu(z, 0.01),
            Self::Gelu => activation::gelu(z),
            Self::Tanh => activation::tanh(z),
            Self::None => z,
        }
    }

    /// Whether the function is bounded on both sides.
    pub fn saturates(self) -> bool {
        self == Self::Tanh
    }

    /// Name in configs and exported files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::LeakyRelu => "leaky-relu",
            Self::Gelu => "gelu",
            Self::Tanh => "tanh",
            Self::None => "none",
        }
    }
}
