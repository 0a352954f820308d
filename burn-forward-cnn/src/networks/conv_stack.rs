//! A plain stack of convolutions, like the small networks of papers on local learning. Mono-Forward's 64-128-256-512 (Gong et
//! al. 2025, arXiv 2501.09238) is one of them.

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
use crate::module_init::{ConvInit, ConvShape, NormSetting};
use crate::nonlinearity::Nonlinearity;

/// A stack of convolutions.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `channels` | required | 1 to 100 of >= 1 | number of channels of every convolution |
/// | `kernel` | 3 | odd, 1 to 15 | side of the kernels; padding keeps the size |
/// | `pool` | 2 | 1 to 8 | side of the pool after every convolution, while the maps are large enough; 1 means no pool |
/// | `pool-kind` | max | max, average | maximum or mean of a window |
/// | `batch-norm` | true | | batch normalisation before the activation; without it, convolutions have a bias |
/// | `activation` | relu | relu, leaky-relu, gelu, tanh | activation function of every layer |
/// | `dropout` | 0 | [0, 1) | probability of zeroing an activity after every layer |
/// | `global-pool` | true | | average the last maps; if off, the head of the rule gets the maps |
/// | `width` | 1 | 0.01 to 16 | factor for the number of channels |
/// | `normalisation` | none | none, rms, l2, layer-norm | normalisation of every layer's input |
/// | `init` | he-normal | he-normal, default | initial weights |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConvStackConfig {
    /// Number of channels of every convolution.
    #[schemars(length(min = 1, max = 100), inner(range(min = 1, max = 100_000)))]
    pub channels: Vec<usize>,
    /// Side of the kernels.
    #[serde(default = "kernel")]
    #[schemars(range(min = 1, max = 15))]
    pub kernel: usize,
    /// Side of the pool after every convolution; 1 means no pool.
    #[serde(default = "pool")]
    #[schemars(range(min = 1, max = 8))]
    pub pool: usize,
    /// Maximum or mean of a window.
    #[serde(default)]
    pub pool_kind: PoolKind,
    /// Batch normalisation between convolution and activation.
    #[serde(default = "batch_norm")]
    pub batch_norm: bool,
    /// Activation function of every layer.
    #[serde(default)]
    pub activation: ActivationFn,
    /// Probability of zeroing an activity.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Whether the last maps are averaged.
    #[serde(default = "global_pool")]
    pub global_pool: bool,
    /// Factor for the number of channels.
    #[serde(default = "full_width")]
    #[schemars(range(min = 0.01, max = 16.0))]
    pub width: f64,
    /// Normalisation of every layer's input.
    #[serde(default)]
    pub normalisation: Normalisation,
    /// Initial weights.
    #[serde(default)]
    pub init: ConvInit,
}

fn kernel() -> usize {
    3
}

fn pool() -> usize {
    2
}

fn batch_norm() -> bool {
    true
}

fn global_pool() -> bool {
    true
}

impl ConvStackConfig {
    /// The settings with their default values, except for the channels.
    pub fn new(channels: Vec<usize>) -> Self {
        Self {
            channels,
            kernel: 3,
            pool: 2,
            pool_kind: PoolKind::default(),
            batch_norm: true,
            activation: ActivationFn::default(),
            dropout: 0.0,
            global_pool: true,
            width: 1.0,
            normalisation: Normalisation::default(),
            init: ConvInit::default(),
        }
    }

    /// The steps for inputs of `side` pixels; a pool is left out if its output would be empty.
    fn steps(&self, side: usize) -> Vec<Step> {
        let (mut from, mut stage, mut side) = (3, 0, side);
        let mut steps = Vec::with_capacity(self.channels.len() + 1);
        for (i, &channels) in self.channels.iter().enumerate() {
            let to = scaled(channels, self.width);
            let shape = ConvShape { bias: !self.batch_norm, ..ConvShape::same(from, to, self.kernel, 1) };
            let names = UnitNames::new(format!("layers.{i}.conv"), format!("layers.{i}.norm"));
            let mut unit = UnitSpec::new(shape, Nonlinearity::Of(self.activation), names);
            unit.norm = self.batch_norm.then(NormSetting::default);
            unit.init = self.init;
            let pool = (self.pool > 1 && side >= self.pool).then(|| Pool::new(self.pool_kind, self.pool));
            steps.push(Step::new(stage, StepKind::Conv { unit, pool }).with_dropout(self.dropout));
            // A pool ends a stage, even if the maps turn out to be too small for it.
            stage += usize::from(self.pool > 1);
            side /= if pool.is_some() { self.pool } else { 1 };
            from = to;
        }
        if self.global_pool {
            let last = steps.last().map_or(0, |s| s.stage);
            steps.push(Step::new(last, StepKind::GlobalPool { readout: None }));
        }
        steps
    }
}

impl NetworkSpec for ConvStackConfig {
    fn outline(&self) -> Vec<LayerOutline> {
        assemble::outline(&self.steps(usize::MAX))
    }

    fn normalisation(&self) -> Option<Normalisation> {
        Some(self.normalisation)
    }

    fn saturates(&self) -> Option<bool> {
        Some(self.activation.saturates())
    }

    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        if self.kernel.is_multiple_of(2) {
            return Err(burn_forward::Error::argument("conv-stack", "kernel", self.kernel, "odd"));
        }
        let [_, height, width] = crate::conv::map_shape(input, "conv-stack")?;
        let common = Common { resize: None, normalisation: self.normalisation };
        assemble::layers(self.steps(height.min(width)), common, input, seed, device)
    }
}
