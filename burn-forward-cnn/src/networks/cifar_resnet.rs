//! The CIFAR ResNets of He, Zhang, Ren and Sun 2015, arXiv 1512.03385, section 4.2: depth `6n + 2`.
//!
//! A 3x3 convolution, three stages of `n` basic residual blocks with 16, 32 and 64 channels, and global average pooling.
//! Shortcuts have no parameters (option A: every second pixel, with zeros for the missing channels). Tensors have the names of
//! the widely used PyTorch versions (`layer1.0.conv1`, `linear`).

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
use crate::layers::Shortcut;
use crate::module_init::ConvShape;
use crate::nonlinearity::Nonlinearity;

/// A depth of `6n + 2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "usize", into = "usize")]
#[schemars(transform = depths)]
pub struct CifarDepth(usize);

fn depths(schema: &mut schemars::Schema) {
    *schema = schemars::json_schema!({
        "type": "integer", "minimum": 8, "maximum": 1202, "description": "6n + 2: 20, 32, 44, 56, 110 ..."
    });
}

impl TryFrom<usize> for CifarDepth {
    type Error = String;

    fn try_from(depth: usize) -> Result<Self, String> {
        if depth >= 8 && (depth - 2).is_multiple_of(6) {
            Ok(Self(depth))
        } else {
            Err(format!("depth is {depth}, but needs to be 6n + 2: 8, 14, 20, 32, 44, 56, 110 ..."))
        }
    }
}

impl From<CifarDepth> for usize {
    fn from(depth: CifarDepth) -> Self {
        depth.0
    }
}

/// A residual network for small images.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `depth` | required | `6n + 2` from 8 | number of layers with weights |
/// | `width` | 1 | 0.01 to 16 | factor for the number of channels |
/// | `activation` | relu | relu, leaky-relu, gelu, tanh | activation function of every unit |
/// | `normalisation` | none | none, rms, l2, layer-norm | normalisation of every layer's input |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CifarResNetConfig {
    /// Number of layers with weights.
    pub depth: CifarDepth,
    /// Factor for the number of channels.
    #[serde(default = "full_width")]
    #[schemars(range(min = 0.01, max = 16.0))]
    pub width: f64,
    /// Activation function of every unit.
    #[serde(default)]
    pub activation: ActivationFn,
    /// Normalisation of every layer's input.
    #[serde(default)]
    pub normalisation: Normalisation,
}

impl CifarResNetConfig {
    fn steps(&self) -> Vec<Step> {
        let f = Nonlinearity::Of(self.activation);
        let mut from = scaled(16, self.width);
        let unit = UnitSpec::new(ConvShape::same(3, from, 3, 1), f, UnitNames::new("conv1", "bn1"));
        let mut steps = vec![Step::new(0, StepKind::Conv { unit, pool: None })];
        for stage in 0..3 {
            let to = scaled(16 << stage, self.width);
            for block in 0..(self.depth.0 - 2) / 6 {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let at = format!("layer{}.{block}", stage + 1);
                let names = |i: usize| UnitNames::new(format!("{at}.conv{i}"), format!("{at}.bn{i}"));
                let branch = vec![
                    UnitSpec::new(ConvShape::same(from, to, 3, stride), f, names(1)),
                    UnitSpec::new(ConvShape::same(to, to, 3, 1), Nonlinearity::Identity, names(2)),
                ];
                let shortcut = if stride == 1 && from == to {
                    Shortcut::Identity
                } else {
                    Shortcut::PadChannels { stride, channels: to }
                };
                steps.push(Step::new(stage, StepKind::Residual { branch, shortcut, activation: f }));
                from = to;
            }
        }
        steps.push(Step::new(2, StepKind::GlobalPool { readout: Some("linear".into()) }));
        steps
    }
}

impl NetworkSpec for CifarResNetConfig {
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
