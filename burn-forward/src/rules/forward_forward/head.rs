//! The teaching part of a block: its goodness loss and, if labels are added in every block, the label embedding.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::activation::Activation;
use crate::block::Trace;
use crate::local::LocalLoss;
use crate::pieces::goodness_loss::{GoodnessLoss, Polarity};
use crate::tape::Score;

/// The loss of one block, with the label embedding of that block.
#[derive(Module, Debug)]
pub(super) struct GoodnessHead {
    /// Label embedding `V` `[C, d]`, added to the first pre-activation.
    pub(super) label: Option<Param<Tensor<2>>>,
    pub(super) loss: GoodnessLoss,
}

impl<A: Activation> LocalLoss<Polarity, A> for GoodnessHead {
    fn score(&self, trace: &Trace<A>, signal: &Polarity) -> Score {
        self.loss.score(trace, signal)
    }

    fn needs_units(&self) -> bool {
        LocalLoss::<Polarity, A>::needs_units(&self.loss)
    }
}
