//! MobileNetV2: inverted residuals with linear bottlenecks (Sandler et al. 2018, arXiv 1801.04381).
//!
//! Tensors have torchvision's names.

use burn::tensor::Device;
use burn_forward::Result;
use burn_forward::activation::RowShape;
use burn_forward::network::{AnyLayer, LayerOutline, NetworkSpec};
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::random::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assemble::{self, Common, Step, StepKind, scaled_by_eight};
use super::resnet::ImageScale;
use crate::conv::{UnitNames, UnitSpec};
use crate::layers::Shortcut;
use crate::module_init::ConvShape;
use crate::nonlinearity::Nonlinearity;

/// Table 2 of the paper: expansion, channels, repetitions, stride of the first repetition.
const STAGES: [[usize; 4]; 7] =
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

/// MobileNetV2.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `strides` | cifar | imagenet, cifar | size of the images; with imagenet, the stem and the first stage with stride 2 reduce it |
/// | `width` | 1 | 0.05 to 4 | factor for the number of channels |
/// | `resize` | none | 8 to 1024 | side to which images are scaled bilinearly |
/// | `dropout` | 0.2 | [0, 1) | probability of zeroing an activity before the classifier |
/// | `normalisation` | none | none, rms, l2, layer-norm | normalisation of every layer's input |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MobileNetV2Config {
    /// Size of the images that the network is made for.
    pub strides: ImageScale,
    /// Factor for the number of channels.
    #[schemars(range(min = 0.05, max = 4.0))]
    pub width: f64,
    /// Side to which images are scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 8, max = 1024))]
    pub resize: Option<usize>,
    /// Probability of zeroing an activity before the classifier.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Normalisation of every layer's input.
    pub normalisation: Normalisation,
}

impl MobileNetV2Config {
    fn steps(&self) -> Vec<Step> {
        let f = Nonlinearity::Relu6;
        let small = self.strides == ImageScale::Cifar;
        let mut from = scaled_by_eight(32, self.width);
        let stem = ConvShape::same(3, from, 3, if small { 1 } else { 2 });
        let unit = UnitSpec::new(stem, f, UnitNames::new("features.0.0", "features.0.1"));
        let mut steps = vec![Step::new(0, StepKind::Conv { unit, pool: None })];
        let mut index = 0;
        for (stage, [expansion, channels, count, first_stride]) in STAGES.into_iter().enumerate() {
            let to = scaled_by_eight(channels, self.width);
            for block in 0..count {
                index += 1;
                let stride = match (block, stage) {
                    (0, 1) if small => 1,
                    (0, _) => first_stride,
                    _ => 1,
                };
                let at = format!("features.{index}.conv");
                let wide = from * expansion;
                let mut branch = Vec::with_capacity(3);
                let mut part = 0;
                if expansion > 1 {
                    let names = UnitNames::new(format!("{at}.0.0"), format!("{at}.0.1"));
                    branch.push(UnitSpec::new(ConvShape::same(from, wide, 1, 1), f, names));
                    part = 1;
                }
                let names = UnitNames::new(format!("{at}.{part}.0"), format!("{at}.{part}.1"));
                branch.push(UnitSpec::new(ConvShape::same(wide, wide, 3, stride).depthwise(), f, names));
                let names = UnitNames::new(format!("{at}.{}", part + 1), format!("{at}.{}", part + 2));
                branch.push(UnitSpec::new(ConvShape::same(wide, to, 1, 1), Nonlinearity::Identity, names));
                let shortcut = if stride == 1 && from == to { Shortcut::Identity } else { Shortcut::None };
                let kind = StepKind::Residual { branch, shortcut, activation: Nonlinearity::Identity };
                steps.push(Step::new(stage, kind));
                from = to;
            }
        }
        let last = STAGES.len() - 1;
        let at = index + 1;
        let shape = ConvShape::same(from, scaled_by_eight(1280, self.width.max(1.0)), 1, 1);
        let unit = UnitSpec::new(shape, f, UnitNames::new(format!("features.{at}.0"), format!("features.{at}.1")));
        steps.push(Step::new(last, StepKind::Conv { unit, pool: None }));
        let pool = StepKind::GlobalPool { readout: Some("classifier.1".into()) };
        steps.push(Step::new(last, pool).with_dropout(self.dropout));
        steps
    }
}

impl Default for MobileNetV2Config {
    fn default() -> Self {
        Self {
            strides: ImageScale::default(),
            width: 1.0,
            resize: None,
            dropout: 0.2,
            normalisation: Normalisation::default(),
        }
    }
}

impl NetworkSpec for MobileNetV2Config {
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
