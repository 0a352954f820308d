//! A custom network: dense layers of the same width, whose outputs are added to their inputs.
//!
//! Layer 0 is `h = relu(x W + b)`, and every further layer is `h = x + relu(x W + b)`.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burn_forward::Result;
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::init::{self, Init};
use burn_forward::network::{AnyLayer, Layer, LayerExport, LayerOutline, NetworkSpec};
use burn_forward::random::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `residual-mlp`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `width` | required | >= 1 | units of every layer |
/// | `depth` | required | >= 1 | number of layers |
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ResidualMlpConfig {
    /// Units of every layer.
    #[schemars(range(min = 1, max = 100_000))]
    pub width: usize,
    /// Number of layers.
    #[schemars(range(min = 1, max = 1000))]
    pub depth: usize,
}

impl NetworkSpec for ResidualMlpConfig {
    fn outline(&self) -> Vec<LayerOutline> {
        vec![LayerOutline::default(); self.depth]
    }

    fn saturates(&self) -> Option<bool> {
        Some(false)
    }

    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        let layer = |i: usize| {
            let d_in = if i == 0 { input.len() } else { self.width };
            let mut rng = seed.stream("init", &[i as u64]);
            let linear = init::linear(d_in, self.width, Init::he_uniform(d_in), Some(Init::Zeros), &mut rng, device)?;
            Ok(AnyLayer::new(ResidualDense { linear, residual: i > 0 }))
        };
        (0..self.depth).map(layer).collect()
    }
}

/// One layer.
#[derive(Module, Debug)]
struct ResidualDense {
    linear: Linear,
    #[module(skip)]
    residual: bool,
}

impl ResidualDense {
    fn sizes(&self) -> [usize; 2] {
        self.linear.weight.lazy_shape().dims()
    }
}

impl Layer for ResidualDense {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        let [d_in, d_out] = self.sizes();
        format!("{} {d_in}->{d_out} relu", if self.residual { "residual" } else { "dense" })
    }

    fn output(&self) -> RowShape {
        RowShape::Features(self.sizes()[1])
    }

    fn macs_per_row(&self) -> usize {
        self.sizes().iter().product()
    }

    fn trace(&self, input: AnyActivation, _bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let x = input.features();
        let h = relu(self.linear.forward(x.clone()));
        AnyActivation::Features(if self.residual { x + h } else { h }).into()
    }

    fn export(&self) -> LayerExport {
        LayerExport {
            name: String::new(),
            kind: if self.residual { "residual-linear" } else { "linear" }.into(),
            normalisation: "none".into(),
            activation: "relu".into(),
        }
    }
}
