//! Heads: classifiers of any kind on single blocks.

use std::fmt;
use std::ops::Deref;

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use crate::activation::{Activation, AnyActivation};
use crate::block::Trace;
use crate::erased::ErasedModule;
use crate::erased_module;
use crate::local::LocalLoss;
use crate::pieces::label;
use crate::pieces::projection::ProjectedCrossEntropy;
use crate::tape::{Labels, Score};
use crate::{Error, require};

/// What a head is given about a batch.
#[derive(Debug, Clone)]
pub struct HeadTargets {
    /// Class indices `[B]`.
    pub labels: Labels,
    /// The images themselves, for a head that reconstructs them from its block's output.
    pub image: Option<AnyActivation>,
    /// Label smoothing: the probability, in `[0, 1)`, with which a label is replaced by one drawn uniformly from all
    /// classes (Szegedy et al. 2016, arXiv 1512.00567).
    pub smoothing: f64,
}

impl HeadTargets {
    /// Labels alone, without images or smoothing.
    pub fn new(labels: Labels) -> Self {
        Self { labels, image: None, smoothing: 0.0 }
    }

    /// The expected loss under the smoothed labels, averaged over rows `[1]`:
    /// `mean_b ((1 - s) L_b(y_b) + s/C sum_c L_b(c))`. For cross-entropy this is the cross-entropy against the smoothed
    /// target.
    ///
    /// # Shapes
    /// - `losses`: `[B, C]`; `losses[b, c]` is the loss of row `b` if `c` were its label.
    ///
    /// # Panics
    /// If the number of labels differs from the number of rows, or a label is not a class (checked on the CPU only).
    pub fn expected_loss(&self, losses: Tensor<2>) -> Tensor<1> {
        label::check("HeadTargets", &self.labels.0, losses.dims());
        let [rows, _] = losses.dims();
        let sharp = losses.clone().gather(1, self.labels.0.clone().reshape([rows, 1])).mean();
        if self.smoothing == 0.0 {
            return sharp;
        }
        sharp * (1.0 - self.smoothing) + losses.mean() * self.smoothing
    }

    /// Softmax cross-entropy of class scores against the smoothed labels, averaged over rows `[1]`.
    ///
    /// # Shapes
    /// - `logits`: `[B, C]`
    pub fn cross_entropy(&self, logits: Tensor<2>) -> Tensor<1> {
        self.expected_loss(log_softmax(logits, 1).neg())
    }
}

/// A classifier on a block, which is trained together with the block by its own loss.
pub trait Head: ErasedModule {
    /// A boxed copy.
    fn clone_head(&self) -> Box<dyn Head>;

    /// The loss of a pass, with the head's class scores. It is the expected loss under smoothed labels, see
    /// [`HeadTargets::expected_loss`].
    fn score(&self, trace: &Trace<AnyActivation>, targets: &HeadTargets) -> Score;

    /// Class scores `[B, C]` of a block's output.
    fn scores(&self, h: &AnyActivation) -> Tensor<2>;

    /// Number of values per channel that one row of the block's output provides to a batch normalisation of this head in
    /// training, the minimum over all of them; `None` if it has no batch normalisation.
    fn normalised_values_per_row(&self) -> Option<usize> {
        None
    }

    /// The head itself if it is a linear classifier, which an exported file can contain.
    fn linear(&self) -> Option<ProjectedCrossEntropy> {
        None
    }
}

impl Head for ProjectedCrossEntropy {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, targets: &HeadTargets) -> Score {
        let logits = ProjectedCrossEntropy::scores(self, &trace.output);
        Score { logits: Some(logits.clone()), ..Score::from(targets.cross_entropy(logits)) }
    }

    fn scores(&self, h: &AnyActivation) -> Tensor<2> {
        ProjectedCrossEntropy::scores(self, h)
    }

    fn linear(&self) -> Option<ProjectedCrossEntropy> {
        Some(self.clone())
    }
}

/// A head of any kind.
#[derive(Debug)]
pub struct AnyHead(Box<dyn Head>);

impl AnyHead {
    /// Wraps a head.
    pub fn new(head: impl Head + 'static) -> Self {
        Self(Box::new(head))
    }
}

impl Clone for AnyHead {
    fn clone(&self) -> Self {
        Self(self.0.clone_head())
    }
}

impl Deref for AnyHead {
    type Target = dyn Head;
    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl fmt::Display for AnyHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl LocalLoss<HeadTargets, AnyActivation> for AnyHead {
    fn score(&self, trace: &Trace<AnyActivation>, targets: &HeadTargets) -> Score {
        self.0.score(trace, targets)
    }
}

/// A head on a block of your own, which is given the labels and nothing else. A head that reconstructs the input leaves out
/// that part of its loss.
impl<A: Activation + Into<AnyActivation>> LocalLoss<Labels, A> for AnyHead {
    fn score(&self, trace: &Trace<A>, labels: &Labels) -> Score {
        self.0.score(&trace.clone().map(Into::into), &HeadTargets::new(labels.clone()))
    }
}

erased_module!(AnyHead);

/// The head of block `index`.
///
/// # Panics
/// If there are fewer heads.
pub(super) fn head_of(heads: &[AnyHead], index: usize) -> &AnyHead {
    require(index < heads.len(), || {
        Error::argument("rule", "number of heads", heads.len(), format!("at least {}, one per block", index + 1))
    });
    &heads[index]
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn smoothing_mixes_the_label_with_all_classes() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[0.0, 2f32.ln(), 0.0, 0.0]], &device);
        let labels = Labels(Tensor::from_ints([1], &device));
        let at = |smoothing| {
            let targets = HeadTargets { smoothing, ..HeadTargets::new(labels.clone()) };
            targets.cross_entropy(logits.clone()).into_scalar::<f64>()
        };
        // Probabilities 1/5, 2/5, 1/5, 1/5.
        let (own, other) = ((2.5f64).ln(), 5f64.ln());
        assert!((at(0.0) - own).abs() < 1e-6);
        assert!((at(0.2) - (0.8 * own + 0.2 * (own + 3.0 * other) / 4.0)).abs() < 1e-6);
    }
}
