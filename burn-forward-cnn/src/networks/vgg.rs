//! VGG8B and VGG11B (Nokland and Eidnes 2019, arXiv 1901.06656): 3x3 convolutions with batch normalisation, four max pools, and
//! one dense layer, each with dropout.

use burn::tensor::Device;
use burn_forward::Result;
use burn_forward::activation::RowShape;
use burn_forward::network::{AnyLayer, LayerOutline, NetworkSpec};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::random::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assemble::{self, Common, Step, StepKind, full_width, scaled};
use crate::conv::{UnitNames, UnitSpec};
use crate::layers::{Pool, PoolKind};
use crate::module_init::{ConvShape, NormSetting};
use crate::nonlinearity::Nonlinearity;

/// The two published variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VggVariant {
    /// Six convolutions, `128 256 | 256 512 | 512 | 512 |`, and a dense layer.
    #[serde(rename = "8b")]
    B8,
    /// Nine convolutions, `128 128 128 256 | 256 512 | 512 512 | 512 |`, and a dense layer.
    #[serde(rename = "11b")]
    B11,
}

/// Number of channels, and whether a 2x2 max pool follows.
const B8: [(usize, bool); 6] = [(128, false), (256, true), (256, false), (512, true), (512, true), (512, true)];
const B11: [(usize, bool); 9] = [
    (128, false),
    (128, false),
    (128, false),
    (256, true),
    (256, false),
    (512, true),
    (512, false),
    (512, true),
    (512, true),
];

/// Number of units in the dense layer.
const DENSE: usize = 1024;

/// A network from the paper on local errors.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `variant` | required | 8b, 11b | one of the two published variants |
/// | `width` | 1 | 0.01 to 16 | factor for the number of channels of the convolutions (the paper's 2x, 3x) |
/// | `dropout` | 0 | [0, 1) | probability of zeroing an activity after every layer |
/// | `activation` | leaky-relu | relu, leaky-relu, gelu, tanh | activation function of every layer |
/// | `normalisation` | none | none, rms, l2, layer-norm | normalisation of every layer's input |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VggConfig {
    /// One of the two published variants.
    pub variant: VggVariant,
    /// Factor for the number of channels of the convolutions.
    #[serde(default = "full_width")]
    #[schemars(range(min = 0.01, max = 16.0))]
    pub width: f64,
    /// Probability of zeroing an activity.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Activation function of every layer.
    #[serde(default = "activation")]
    pub activation: ActivationFn,
    /// Normalisation of every layer's input.
    #[serde(default)]
    pub normalisation: Normalisation,
}

fn activation() -> ActivationFn {
    ActivationFn::LeakyRelu
}

impl VggConfig {
    fn steps(&self) -> Vec<Step> {
        let f = Nonlinearity::Of(self.activation);
        let table: &[(usize, bool)] = match self.variant {
            VggVariant::B8 => &B8,
            VggVariant::B11 => &B11,
        };
        let (mut from, mut stage) = (3, 0);
        let mut steps = Vec::with_capacity(table.len() + 1);
        for (i, &(channels, pooled)) in table.iter().enumerate() {
            let to = scaled(channels, self.width);
            let names = UnitNames::new(format!("layers.{i}.conv"), format!("layers.{i}.norm"));
            let unit = UnitSpec::new(ConvShape::same(from, to, 3, 1).with_bias(), f, names);
            let pool = pooled.then(|| Pool::new(PoolKind::Max, 2));
            steps.push(Step::new(stage, StepKind::Conv { unit, pool }).with_dropout(self.dropout));
            stage += usize::from(pooled);
            from = to;
        }
        let dense = StepKind::Dense {
            width: DENSE,
            norm: Some(NormSetting::default()),
            activation: f,
            names: (format!("layers.{}", table.len()), None),
        };
        steps.push(Step::new(stage, dense).with_dropout(self.dropout));
        steps
    }
}

impl NetworkSpec for VggConfig {
    fn outline(&self) -> Vec<LayerOutline> {
        assemble::outline(&self.steps())
    }

    fn normalisation(&self) -> Option<Normalisation> {
        Some(self.normalisation)
    }

    fn saturates(&self) -> Option<bool> {
        Some(self.activation.saturates())
    }

    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        let common = Common { resize: None, normalisation: self.normalisation };
        assemble::layers(self.steps(), common, input, seed, device)
    }
}
