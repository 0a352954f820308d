//! Layers of convolutional networks: the smallest parts that a block border can separate.

mod conv_layer;
mod dense;
mod global_pool;
mod grid_pool;
mod residual;

pub use conv_layer::{ConvLayer, Pool, PoolKind};
pub use dense::DenseLayer;
pub use global_pool::GlobalPool;
pub use grid_pool::GridPool;
pub use residual::{Residual, Shortcut};

use burn::tensor::Tensor;
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::network::LayerOutline;
use burn_forward::pieces::normalisation::Normalisation;

/// Settings that every layer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerSettings {
    /// The place of the layer in the architecture.
    pub outline: LayerOutline,
    /// Normalisation of its input over all features of a row, for rules that compare lengths.
    pub normalisation: Normalisation,
}

impl LayerSettings {
    /// The normalised input as maps. `shape` is `[C, H, W]`, in case the input consists of flat features.
    fn enter(&self, input: AnyActivation, shape: [usize; 3]) -> Tensor<4> {
        let input = match self.normalisation {
            Normalisation::None => input,
            normaliser => input.with_features(normaliser.forward(input.features())),
        };
        match input {
            AnyActivation::Maps(x) => x,
            other => {
                let rows = other.rows();
                other.features().reshape([rows, shape[0], shape[1], shape[2]])
            }
        }
    }

    /// Number of floats that the normalisation of one row keeps in the autodiff graph.
    fn kept(&self, shape: [usize; 3]) -> usize {
        if self.normalisation == Normalisation::None { 0 } else { shape.iter().product() }
    }
}

/// Name of a normalisation in exported files.
fn normalisation_name(normaliser: Normalisation) -> String {
    serde_json::to_value(normaliser).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default()
}
