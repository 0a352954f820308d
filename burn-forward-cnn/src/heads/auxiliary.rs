//! Auxiliary networks: small networks between the output of a block and its class scores.

use burn::module::Module;
use burn::nn::{BatchNorm, Linear};
use burn::tensor::Tensor;
use burn::tensor::module::adaptive_avg_pool2d;
use burn_forward::Result;
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::rules::{Head, HeadTargets};
use burn_forward::tape::Score;
use burn_forward_kernels::relu::relu;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conv::{ConvUnit, UnitNames, UnitSpec};
use crate::module_init::{ConvShape, ModuleInit, NormSetting};
use crate::nonlinearity::Nonlinearity;

/// The auxiliary networks of decoupled greedy learning (Belilovsky, Eickenberg and Oyallon 2020, arXiv 1901.08164).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuxiliaryKind {
    /// Pooling to a quarter of the side, pooling to 2x2, three dense layers with normalisation, classifier.
    Mlp,
    /// Pooling to a quarter of the side, three 1x1 convolutions, pooling to 2x2, three dense layers, classifier.
    #[default]
    MlpSr,
    /// Two 3x3 convolutions, pooling to 2x2, classifier.
    Cnn,
}

/// `G = classifier(dense(pool(convolutions(h))))`, with cross-entropy.
#[derive(Module, Debug)]
pub struct AuxiliaryNetwork {
    convolutions: Vec<ConvUnit>,
    dense: Vec<DenseUnit>,
    classifier: Linear,
    /// Side to which maps are pooled before the convolutions.
    #[module(skip)]
    pool_before: Option<usize>,
    /// Side to which maps are pooled after the convolutions.
    #[module(skip)]
    pool_after: usize,
}

/// Linear map, batch normalisation, ReLU.
#[derive(Module, Debug)]
struct DenseUnit {
    linear: Linear,
    norm: BatchNorm,
}

/// Number of layers of each kind.
const DENSE_LAYERS: usize = 3;
const POINTWISE: usize = 3;
const CONVOLUTIONS: usize = 2;

impl AuxiliaryNetwork {
    /// A network of `kind` for rows of `shape`; for features, it has only the dense part.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if a size is 0.
    pub fn new(kind: AuxiliaryKind, shape: RowShape, classes: usize, init: &mut ModuleInit<'_>) -> Result<Self> {
        let RowShape::Maps { channels, height, width } = shape else {
            let features = shape.len();
            let dense = Self::dense(if kind == AuxiliaryKind::Cnn { 0 } else { DENSE_LAYERS }, features, init)?;
            let classifier = init.linear(features, classes, true)?;
            return Ok(Self { convolutions: Vec::new(), dense, classifier, pool_before: None, pool_after: 1 });
        };
        let side = height.max(width);
        let quarter = side.div_ceil(4);
        let (kernel, count, pool_before) = match kind {
            AuxiliaryKind::Mlp => (1, 0, Some(quarter)),
            AuxiliaryKind::MlpSr => (1, POINTWISE, Some(quarter)),
            AuxiliaryKind::Cnn => (3, CONVOLUTIONS, None),
        };
        let at = pool_before.unwrap_or(side);
        let unit =
            UnitSpec::new(ConvShape::same(channels, channels, kernel, 1), Nonlinearity::RELU, UnitNames::default());
        let convolutions = (0..count)
            .map(|_| ConvUnit::new(unit.clone(), [channels, height.min(at), width.min(at)], init))
            .collect::<Result<Vec<_>>>()?;
        let pool_after = at.min(2);
        let features = channels * height.min(pool_after) * width.min(pool_after);
        let dense = Self::dense(if kind == AuxiliaryKind::Cnn { 0 } else { DENSE_LAYERS }, features, init)?;
        let classifier = init.linear(features, classes, true)?;
        Ok(Self { convolutions, dense, classifier, pool_before, pool_after })
    }

    fn dense(count: usize, width: usize, init: &mut ModuleInit<'_>) -> Result<Vec<DenseUnit>> {
        let unit = |init: &mut ModuleInit<'_>| {
            Ok(DenseUnit { linear: init.linear(width, width, false)?, norm: init.norm(width, NormSetting::default()) })
        };
        (0..count).map(|_| unit(init)).collect()
    }
}

impl Head for AuxiliaryNetwork {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, targets: &HeadTargets) -> Score {
        let logits = self.scores(&trace.output);
        let loss = targets.cross_entropy(logits.clone());
        Score { logits: Some(logits), ..Score::from(loss) }
    }

    fn scores(&self, h: &AnyActivation) -> Tensor<2> {
        let mut x = match h {
            AnyActivation::Maps(maps) => {
                let mut maps = maps.clone();
                if let Some(side) = self.pool_before {
                    maps = pool(maps, side);
                }
                for unit in &self.convolutions {
                    maps = unit.forward(maps, None);
                }
                pool(maps, self.pool_after).features()
            }
            other => other.labelled(),
        };
        for unit in &self.dense {
            x = relu(unit.norm.forward(unit.linear.forward(x)));
        }
        self.classifier.forward(x)
    }

    fn normalised_values_per_row(&self) -> Option<usize> {
        let dense = self.dense.first().map(|_| 1);
        self.convolutions.iter().filter_map(ConvUnit::normalised_values_per_row).chain(dense).min()
    }
}

/// Averages maps over a grid of at most `side` x `side`.
fn pool(maps: Tensor<4>, side: usize) -> Tensor<4> {
    let [_, _, height, width] = maps.dims();
    let grid = [height.min(side), width.min(side)];
    if grid == [height, width] { maps } else { adaptive_avg_pool2d(maps, grid) }
}
