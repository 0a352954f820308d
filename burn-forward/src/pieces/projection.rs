//! Cross-entropy as a local loss. Applied to a projection `G = h M` of a block's output, it is the loss of Mono-Forward and
//! of local classifiers. Applied to an output that consists of class scores, it is the loss of a network's last layer.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use serde::{Deserialize, Serialize};

use crate::activation::{Activation, RowShape};
use crate::block::Trace;
use crate::init::{self, Init};
use crate::local::LocalLoss;
use crate::pieces::pair_loss::cross_entropy;
use crate::random::Rng;
use crate::tape::{Labels, Score};
use crate::{Error, Result, require};

/// How feature maps are reduced before a projection: averaged over a grid of `p` x `p` cells, or not at all.
///
/// The grid keeps the projection of a large map small: with 10 classes and 64 maps of 32 x 32, `full` has 655,360 parameters
/// and 4 has 10,240. Maps smaller than the grid, and rows that are not maps, are not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum HeadPool {
    /// Maps without pooling.
    Named(HeadPoolName),
    /// Side `p` of the grid.
    Side(#[cfg_attr(feature = "config", schemars(range(min = 1, max = 64)))] usize),
}

/// Named pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HeadPoolName {
    /// Maps without pooling.
    Full,
}

impl Default for HeadPool {
    /// A grid of 4 x 4 cells, which keeps some spatial information at a cost that does not grow with the map.
    fn default() -> Self {
        Self::Side(4)
    }
}

impl HeadPool {
    /// Maps without pooling.
    pub const FULL: Self = Self::Named(HeadPoolName::Full);

    /// Side of the grid; `None` without pooling.
    pub fn side(self) -> Option<usize> {
        match self {
            Self::Named(HeadPoolName::Full) => None,
            Self::Side(side) => Some(side),
        }
    }

    /// Number of features of a row of `shape` after pooling.
    pub fn width(self, shape: RowShape) -> usize {
        match (shape, self) {
            (RowShape::Maps { channels, height, width }, Self::Side(side)) => {
                channels * height.min(side) * width.min(side)
            }
            (other, _) => other.len(),
        }
    }

    /// The features of the labelled rows after pooling, `[B, d]`.
    pub fn read(self, h: &impl Activation) -> Tensor<2> {
        match self {
            Self::Named(HeadPoolName::Full) => h.labelled(),
            Self::Side(side) => h.pooled(side),
        }
    }
}

/// Softmax cross-entropy of `G = h M (+ c)`, `M` `[d, C]`.
///
/// Gradients: `delta = (softmax(G) - e_y)/B`, `dM = h^T delta`, `dh = delta M^T` (Gong, Li and Abdulla 2025, arXiv
/// 2501.09238, with `M` transposed to Burn's layout).
#[derive(Module, Debug)]
pub struct ProjectedCrossEntropy {
    /// The projection `M` `[d, C]`.
    pub projection: Linear,
    #[module(skip)]
    pool: HeadPool,
}

impl ProjectedCrossEntropy {
    /// A projection from `width` features to `classes` scores, uniform on `+-1/sqrt(width)`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if a size is 0.
    pub fn new(width: usize, classes: usize, bias: bool, rng: &mut Rng, device: &Device) -> Result<Self> {
        let init = Init::default_uniform(width);
        let projection = init::linear(width, classes, init, bias.then_some(init), rng, device)?;
        Ok(Self { projection, pool: HeadPool::FULL })
    }

    /// A projection of rows of `shape`, which are pooled first if they are maps.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if a size is 0.
    pub fn of(
        shape: RowShape,
        pool: HeadPool,
        classes: usize,
        bias: bool,
        rng: &mut Rng,
        device: &Device,
    ) -> Result<Self> {
        let head = Self::new(pool.width(shape), classes, bias, rng, device)?;
        // Without maps there is nothing to pool, and an exported file should not claim that there is.
        let pool = if matches!(shape, RowShape::Maps { .. }) { pool } else { HeadPool::FULL };
        Ok(Self { pool, ..head })
    }

    /// The pooling of maps before the projection.
    pub fn pool(&self) -> HeadPool {
        self.pool
    }

    /// Class scores.
    ///
    /// # Shapes
    /// - `h`: `B` labelled rows of `d` features; returns `[B, C]`.
    ///
    /// # Panics
    /// If rows have another number of features.
    pub fn scores(&self, h: &impl Activation) -> Tensor<2> {
        let features = self.pool.read(h);
        let ([_, width], [d, _]) = (features.dims(), self.projection.weight.dims());
        require(width == d, || {
            let needed = format!("{d}, the number of inputs of the projection");
            Error::argument("ProjectedCrossEntropy", "number of features of a row", width, needed)
        });
        self.projection.forward(features)
    }
}

impl<A: Activation> LocalLoss<Labels, A> for ProjectedCrossEntropy {
    fn score(&self, trace: &Trace<A>, labels: &Labels) -> Score {
        score(self.scores(&trace.output), labels)
    }
}

/// Softmax cross-entropy of a block whose output is class scores `[B, C]`, for a classifying last layer.
#[derive(Module, Debug, Default)]
pub struct CrossEntropy;

impl<A: Activation> LocalLoss<Labels, A> for CrossEntropy {
    fn score(&self, trace: &Trace<A>, labels: &Labels) -> Score {
        score(trace.output.labelled(), labels)
    }
}

fn score(logits: Tensor<2>, labels: &Labels) -> Score {
    Score { logits: Some(logits.clone()), ..Score::from(cross_entropy(logits, labels.0.clone())) }
}
