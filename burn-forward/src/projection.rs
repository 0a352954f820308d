//! Cross-entropy as a local loss: of a projection `G = h M` of a block's output, the loss of Mono-Forward and of local
//! classifiers, and of an output that is itself class scores, the loss of a network's last layer.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use crate::Result;
use crate::activation::Activation;
use crate::block::Trace;
use crate::init::{self, Init};
use crate::local::LocalLoss;
use crate::pair_loss::cross_entropy;
use crate::random::Rng;
use crate::tape::{Labels, Score};

/// Softmax cross-entropy of `G = h M (+ c)`, `M` `[d, C]`.
///
/// Gradients: `delta = (softmax(G) - e_y)/B`, `dM = h^T delta`, `dh = delta M^T` (Gong, Li and Abdulla 2025, arXiv
/// 2501.09238, with `M` transposed to Burn's layout).
#[derive(Module, Debug)]
pub struct ProjectedCrossEntropy {
    /// The projection `M` `[d, C]`.
    pub projection: Linear,
}

impl ProjectedCrossEntropy {
    /// A projection from `width` features to `classes` scores, uniform on `+-1/sqrt(width)`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if a size is 0.
    pub fn new(width: usize, classes: usize, bias: bool, rng: &mut Rng, device: &Device) -> Result<Self> {
        let init = Init::default_uniform(width);
        Ok(Self { projection: init::linear(width, classes, init, bias.then_some(init), rng, device)? })
    }

    /// Class scores.
    ///
    /// # Shapes
    /// - `h`: `B` labelled rows of `d` features; returns `[B, C]`.
    pub fn scores(&self, h: &impl Activation) -> Tensor<2> {
        self.projection.forward(h.labelled())
    }
}

impl<A: Activation> LocalLoss<Labels, A> for ProjectedCrossEntropy {
    fn score(&self, trace: &Trace<A>, labels: &Labels) -> Score {
        score(self.scores(&trace.output), labels)
    }
}

/// Softmax cross-entropy of a block whose output is class scores `[B, C]`: a classifying last layer.
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
