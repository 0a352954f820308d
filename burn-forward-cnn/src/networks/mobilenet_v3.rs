//! MobileNetV3, small and large: inverted residuals with squeeze-and-excite and hard-swish (Howard et al. 2019, arXiv
//! 1905.02244).
//!
//! Tensors have torchvision's names, and batch normalisation has torchvision's constants.

use burn::tensor::Device;
use burn_forward::Result;
use burn_forward::activation::RowShape;
use burn_forward::network::{AnyLayer, LayerOutline, NetworkSpec};
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::random::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assemble::{self, Common, Step, StepKind, full_width, scaled_by_eight};
use super::resnet::ImageScale;
use crate::conv::{UnitNames, UnitSpec};
use crate::layers::Shortcut;
use crate::module_init::{ConvShape, NormSetting};
use crate::nonlinearity::Nonlinearity;

/// The two published sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MobileNetV3Size {
    /// 11 blocks.
    Small,
    /// 15 blocks.
    Large,
}

/// A row of the tables in the paper: kernel, expanded channels, channels, squeeze-and-excite, hard-swish, stride.
type Row = (usize, usize, usize, bool, bool, usize);

const SMALL: [Row; 11] = [
    (3, 16, 16, true, false, 2),
    (3, 72, 24, false, false, 2),
    (3, 88, 24, false, false, 1),
    (5, 96, 40, true, true, 2),
    (5, 240, 40, true, true, 1),
    (5, 240, 40, true, true, 1),
    (5, 120, 48, true, true, 1),
    (5, 144, 48, true, true, 1),
    (5, 288, 96, true, true, 2),
    (5, 576, 96, true, true, 1),
    (5, 576, 96, true, true, 1),
];

const LARGE: [Row; 15] = [
    (3, 16, 16, false, false, 1),
    (3, 64, 24, false, false, 2),
    (3, 72, 24, false, false, 1),
    (5, 72, 40, true, false, 2),
    (5, 120, 40, true, false, 1),
    (5, 120, 40, true, false, 1),
    (3, 240, 80, false, true, 2),
    (3, 200, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 480, 112, true, true, 1),
    (3, 672, 112, true, true, 1),
    (5, 672, 160, true, true, 2),
    (5, 960, 160, true, true, 1),
    (5, 960, 160, true, true, 1),
];

/// MobileNetV3.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `size` | required | small, large | one of the two published sizes |
/// | `strides` | cifar | imagenet, cifar | size of the images; with imagenet, the stem and the first block with stride 2 reduce it |
/// | `width` | 1 | 0.05 to 4 | factor for the number of channels |
/// | `resize` | none | 8 to 1024 | side to which images are scaled bilinearly |
/// | `dropout` | 0.2 | [0, 1) | probability of zeroing an activity before the classifier |
/// | `normalisation` | none | none, rms, l2, layer-norm | normalisation of every layer's input |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MobileNetV3Config {
    /// One of the two published sizes.
    pub size: MobileNetV3Size,
    /// Size of the images that the network is made for.
    #[serde(default)]
    pub strides: ImageScale,
    /// Factor for the number of channels.
    #[serde(default = "full_width")]
    #[schemars(range(min = 0.05, max = 4.0))]
    pub width: f64,
    /// Side to which images are scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 8, max = 1024))]
    pub resize: Option<usize>,
    /// Probability of zeroing an activity before the classifier.
    #[serde(default = "dropout")]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Normalisation of every layer's input.
    #[serde(default)]
    pub normalisation: Normalisation,
}

fn dropout() -> f64 {
    0.2
}

/// Constants of batch normalisation for the published weights.
const NORM: NormSetting = NormSetting { epsilon: 1e-3, momentum: 0.01 };

fn unit(shape: ConvShape, activation: Nonlinearity, at: &str) -> UnitSpec {
    let names = UnitNames::new(format!("{at}.0"), format!("{at}.1"));
    UnitSpec { norm: Some(NORM), ..UnitSpec::new(shape, activation, names) }
}

impl MobileNetV3Config {
    fn steps(&self) -> Vec<Step> {
        let (rows, last): (&[Row], usize) = match self.size {
            MobileNetV3Size::Small => (&SMALL, 1024),
            MobileNetV3Size::Large => (&LARGE, 1280),
        };
        let wide = |channels| scaled_by_eight(channels, self.width);
        let small = self.strides == ImageScale::Cifar;
        let mut from = wide(16);
        let stem = ConvShape::same(3, from, 3, if small { 1 } else { 2 });
        let kind = StepKind::Conv { unit: unit(stem, Nonlinearity::HardSwish, "features.0"), pool: None };
        let mut steps = vec![Step::new(0, kind)];
        let (mut stage, mut halvings) = (0, 0);
        for (i, &(kernel, expanded, channels, squeezes, hard_swish, stride)) in rows.iter().enumerate() {
            let f = if hard_swish { Nonlinearity::HardSwish } else { Nonlinearity::RELU };
            let (expanded, to) = (wide(expanded), wide(channels));
            halvings += usize::from(stride > 1);
            let stride = if small && stride > 1 && halvings == 1 { 1 } else { stride };
            stage += usize::from(stride > 1);
            let at = format!("features.{}.block", i + 1);
            let mut branch = Vec::with_capacity(3);
            let mut part = 0;
            if expanded != from {
                branch.push(unit(ConvShape::same(from, expanded, 1, 1), f, &format!("{at}.{part}")));
                part += 1;
            }
            let shape = ConvShape::same(expanded, expanded, kernel, stride).depthwise();
            let mut depthwise = unit(shape, f, &format!("{at}.{part}"));
            part += 1;
            if squeezes {
                depthwise.squeeze = Some(scaled_by_eight(expanded / 4, 1.0));
                depthwise.names.squeeze = Some([format!("{at}.{part}.fc1"), format!("{at}.{part}.fc2")]);
                part += 1;
            }
            branch.push(depthwise);
            branch.push(unit(ConvShape::same(expanded, to, 1, 1), Nonlinearity::Identity, &format!("{at}.{part}")));
            let shortcut = if stride == 1 && from == to { Shortcut::Identity } else { Shortcut::None };
            let kind = StepKind::Residual { branch, shortcut, activation: Nonlinearity::Identity };
            steps.push(Step::new(stage, kind));
            from = to;
        }
        let shape = ConvShape::same(from, 6 * from, 1, 1);
        let kind = StepKind::Conv {
            unit: unit(shape, Nonlinearity::HardSwish, &format!("features.{}", rows.len() + 1)),
            pool: None,
        };
        steps.push(Step::new(stage, kind));
        steps.push(Step::new(stage, StepKind::GlobalPool { readout: None }));
        let dense = StepKind::Dense {
            width: wide(last),
            norm: None,
            activation: Nonlinearity::HardSwish,
            names: ("classifier.0".into(), Some("classifier.3".into())),
        };
        steps.push(Step::new(stage, dense).with_dropout(self.dropout));
        steps
    }
}

impl NetworkSpec for MobileNetV3Config {
    fn outline(&self) -> Vec<LayerOutline> {
        assemble::outline(&self.steps())
    }

    fn normalisation(&self) -> Option<Normalisation> {
        Some(self.normalisation)
    }

    fn saturates(&self) -> Option<bool> {
        Some(false)
    }

    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        let common = Common { resize: self.resize, normalisation: self.normalisation };
        assemble::layers(self.steps(), common, input, seed, device)
    }
}
