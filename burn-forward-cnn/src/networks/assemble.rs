//! Builds layers with weights from the steps of an architecture.

use burn::tensor::Device;
use burn_forward::Result;
use burn_forward::activation::RowShape;
use burn_forward::network::{AnyLayer, LayerOutline};
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::random::Seed;

use crate::conv::{UnitSpec, map_shape};
use crate::layers::{ConvLayer, DenseLayer, GlobalPool, LayerSettings, Pool, Residual, Shortcut};
use crate::module_init::{ModuleInit, NormSetting};
use crate::nonlinearity::Nonlinearity;

/// The description of one layer.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Stage, from 0.
    pub(super) stage: usize,
    /// Probability of zeroing an activity after the layer.
    pub(super) dropout: f64,
    pub(super) kind: StepKind,
}

#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "only a few dozen of them exist, while a network is built")]
pub(super) enum StepKind {
    Conv {
        unit: UnitSpec,
        pool: Option<Pool>,
    },
    Residual {
        branch: Vec<UnitSpec>,
        shortcut: Shortcut,
        activation: Nonlinearity,
    },
    /// `readout` is the public name of the classifier after the pool.
    GlobalPool {
        readout: Option<String>,
    },
    /// `names`: public names of the layer and of the classifier after it.
    Dense {
        width: usize,
        norm: Option<NormSetting>,
        activation: Nonlinearity,
        names: (String, Option<String>),
    },
}

impl Step {
    pub(super) fn new(stage: usize, kind: StepKind) -> Self {
        Self { stage, dropout: 0.0, kind }
    }

    pub(super) fn with_dropout(self, dropout: f64) -> Self {
        Self { dropout, ..self }
    }

    fn outline(&self) -> LayerOutline {
        LayerOutline {
            stage: self.stage,
            residual: matches!(self.kind, StepKind::Residual { .. }),
            with_previous: matches!(self.kind, StepKind::GlobalPool { .. }),
            affine: matches!(self.kind, StepKind::Conv { .. } | StepKind::Dense { .. }),
        }
    }
}

/// The outlines of the layers that the steps describe.
pub(super) fn outline(steps: &[Step]) -> Vec<LayerOutline> {
    steps.iter().map(Step::outline).collect()
}

/// Settings common to all layers of a network.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Common {
    /// Side to which inputs are scaled.
    pub(super) resize: Option<usize>,
    /// Normalisation of every layer's input.
    pub(super) normalisation: Normalisation,
}

/// The layers for inputs of shape `input`, with weights from the stream `init` of `seed`.
///
/// # Errors
/// [`burn_forward::Error::Argument`] if the input does not consist of maps, or is too small.
pub(super) fn layers(
    steps: Vec<Step>,
    common: Common,
    input: RowShape,
    seed: Seed,
    device: &Device,
) -> Result<Vec<AnyLayer>> {
    let given = map_shape(input, "network")?;
    let mut init = ModuleInit::new(seed, "init", device);
    let mut shape = common.resize.map_or(given, |side| [given[0], side, side]);
    let mut layers = Vec::with_capacity(steps.len());
    for (i, step) in steps.into_iter().enumerate() {
        let settings = LayerSettings { outline: step.outline(), normalisation: common.normalisation };
        let (layer, output) = match step.kind {
            StepKind::Conv { mut unit, pool } => {
                if i == 0 {
                    unit.shape.input = shape[0];
                }
                let mut layer = ConvLayer::new(unit, settings, shape, &mut init)?;
                if i == 0 {
                    layer = layer.with_resize(given);
                }
                if let Some(pool) = pool {
                    layer = layer.with_pool(pool)?;
                }
                finish(AnyLayer::new(layer.with_dropout(step.dropout)?))
            }
            StepKind::Residual { branch, shortcut, activation } => {
                finish(AnyLayer::new(Residual::new(branch, shortcut, activation, settings, shape, &mut init)?))
            }
            StepKind::GlobalPool { readout } => {
                finish(AnyLayer::new(GlobalPool::new(shape, step.stage, readout).with_dropout(step.dropout)?))
            }
            StepKind::Dense { width, norm, activation, names } => {
                let features = shape.iter().product();
                let layer = DenseLayer::new(features, width, norm, activation, settings, names, &mut init)?;
                finish(AnyLayer::new(layer.with_dropout(step.dropout)?))
            }
        };
        layers.push(layer);
        shape = output;
    }
    Ok(layers)
}

fn finish(layer: AnyLayer) -> (AnyLayer, [usize; 3]) {
    let output = match layer.output() {
        RowShape::Maps { channels, height, width } => [channels, height, width],
        RowShape::Features(n) | RowShape::Nodes(n) => [n, 1, 1],
    };
    (layer, output)
}

/// `channels` times `width`, rounded, at least 1.
pub(super) fn scaled(channels: usize, width: f64) -> usize {
    ((channels as f64 * width).round() as usize).max(1)
}

/// `channels` times `width`, rounded to a multiple of 8 that is at most a tenth smaller (Howard et al. 2017, arXiv 1704.04861).
pub(super) fn scaled_by_eight(channels: usize, width: f64) -> usize {
    let wanted = channels as f64 * width;
    let rounded = (((wanted + 4.0) as usize) / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * wanted { rounded + 8 } else { rounded }
}

/// The default width factor, with which a network has its published channels.
pub(super) fn full_width() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_multiples_of_eight() {
        // Computed by hand: 24 * 0.5 = 12 -> 16; 16 * 0.35 = 5.6 -> 8; 1280 * 0.75 = 960; 56 stays 56; 19 -> 16 < 17.1 -> 24.
        let cases = [(24, 0.5, 16), (16, 0.35, 8), (1280, 0.75, 960), (56, 1.0, 56), (19, 1.0, 24)];
        for (channels, width, expected) in cases {
            assert_eq!(scaled_by_eight(channels, width), expected, "{channels} x {width}");
        }
    }
}
