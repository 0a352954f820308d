//! ResNet-18, -34 and -50 (He, Zhang, Ren and Sun 2015, arXiv 1512.03385).
//!
//! A stem and four stages of residual blocks, then global average pooling, and a classifier that belongs to the rule. In the
//! bottleneck of ResNet-50, the 3x3 convolution has the stride, as in torchvision, instead of the first 1x1 convolution, as in
//! the paper. Tensors have torchvision's names.

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
use crate::layers::{Pool, PoolKind, Shortcut};
use crate::module_init::ConvShape;
use crate::nonlinearity::Nonlinearity;

/// The published depths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "usize", into = "usize")]
#[schemars(transform = depths)]
pub enum ResNetDepth {
    /// Two basic residual blocks in every stage.
    D18,
    /// 3, 4, 6 and 3 basic residual blocks.
    D34,
    /// 3, 4, 6 and 3 bottlenecks.
    D50,
}

fn depths(schema: &mut schemars::Schema) {
    *schema = schemars::json_schema!({"enum": [18, 34, 50], "type": "integer"});
}

impl TryFrom<usize> for ResNetDepth {
    type Error = String;

    fn try_from(depth: usize) -> Result<Self, String> {
        match depth {
            18 => Ok(Self::D18),
            34 => Ok(Self::D34),
            50 => Ok(Self::D50),
            other => Err(format!("depth is {other}, but needs to be 18, 34 or 50")),
        }
    }
}

impl From<ResNetDepth> for usize {
    fn from(depth: ResNetDepth) -> Self {
        match depth {
            ResNetDepth::D18 => 18,
            ResNetDepth::D34 => 34,
            ResNetDepth::D50 => 50,
        }
    }
}

/// Size of the images that a network is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageScale {
    /// Images of about 224 pixels, whose size is reduced by early layers.
    Imagenet,
    /// Images of about 32 pixels, whose size is kept by early layers.
    #[default]
    Cifar,
}

/// A residual network.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `depth` | required | 18, 34, 50 | number of layers with weights |
/// | `stem` | cifar | imagenet, cifar | 7x7/2 convolution and 3x3/2 max pool, or 3x3 convolution |
/// | `width` | 1 | 0.01 to 16 | factor for the number of channels |
/// | `resize` | none | 8 to 1024 | side to which images are scaled bilinearly |
/// | `activation` | relu | relu, leaky-relu, gelu, tanh | activation function of every unit |
/// | `normalisation` | none | none, rms, l2, layer-norm | normalisation of every layer's input |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ResNetConfig {
    /// Number of layers with weights.
    pub depth: ResNetDepth,
    /// Size of the images that the network is made for.
    #[serde(default)]
    pub stem: ImageScale,
    /// Factor for the number of channels.
    #[serde(default = "full_width")]
    #[schemars(range(min = 0.01, max = 16.0))]
    pub width: f64,
    /// Side to which images are scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 8, max = 1024))]
    pub resize: Option<usize>,
    /// Activation function of every unit.
    #[serde(default)]
    pub activation: ActivationFn,
    /// Normalisation of every layer's input.
    #[serde(default)]
    pub normalisation: Normalisation,
}

impl ResNetConfig {
    fn steps(&self) -> Vec<Step> {
        let f = Nonlinearity::Of(self.activation);
        let linear = Nonlinearity::Identity;
        let stem = match self.stem {
            ImageScale::Imagenet => ConvShape { padding: 3, ..ConvShape::same(3, scaled(64, self.width), 7, 2) },
            ImageScale::Cifar => ConvShape::same(3, scaled(64, self.width), 3, 1),
        };
        let pool = Pool { kind: PoolKind::Max, size: 3, stride: 2, padding: 1 };
        let pool = (self.stem == ImageScale::Imagenet).then_some(pool);
        let unit = UnitSpec::new(stem, f, UnitNames::new("conv1", "bn1"));
        let mut steps = vec![Step::new(0, StepKind::Conv { unit, pool })];

        let (blocks, bottleneck) = match self.depth {
            ResNetDepth::D18 => ([2, 2, 2, 2], false),
            ResNetDepth::D34 => ([3, 4, 6, 3], false),
            ResNetDepth::D50 => ([3, 4, 6, 3], true),
        };
        let mut from = stem.output;
        for (stage, count) in blocks.into_iter().enumerate() {
            let middle = scaled(64 << stage, self.width);
            let to = if bottleneck { 4 * middle } else { middle };
            for block in 0..count {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let at = format!("layer{}.{block}", stage + 1);
                let names = |i: usize| UnitNames::new(format!("{at}.conv{i}"), format!("{at}.bn{i}"));
                let branch = if bottleneck {
                    vec![
                        UnitSpec::new(ConvShape::same(from, middle, 1, 1), f, names(1)),
                        UnitSpec::new(ConvShape::same(middle, middle, 3, stride), f, names(2)),
                        UnitSpec::new(ConvShape::same(middle, to, 1, 1), linear, names(3)),
                    ]
                } else {
                    vec![
                        UnitSpec::new(ConvShape::same(from, to, 3, stride), f, names(1)),
                        UnitSpec::new(ConvShape::same(to, to, 3, 1), linear, names(2)),
                    ]
                };
                let shortcut = if stride == 1 && from == to {
                    Shortcut::Identity
                } else {
                    let names = UnitNames::new(format!("{at}.downsample.0"), format!("{at}.downsample.1"));
                    Shortcut::Projection(UnitSpec::new(ConvShape::same(from, to, 1, stride), linear, names))
                };
                steps.push(Step::new(stage, StepKind::Residual { branch, shortcut, activation: f }));
                from = to;
            }
        }
        steps.push(Step::new(3, StepKind::GlobalPool { readout: Some("fc".into()) }));
        steps
    }
}

impl NetworkSpec for ResNetConfig {
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
        let common = Common { resize: self.resize, normalisation: self.normalisation };
        assemble::layers(self.steps(), common, input, seed, device)
    }
}
