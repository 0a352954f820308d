//! The local loss of a block: goodness of its positive rows against that of its negative ones.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::activation::Activation;
use crate::block::Trace;
use crate::local::LocalLoss;
use crate::pieces::goodness::Goodness;
use crate::pieces::pair_loss::PairLoss;
use crate::pieces::peer_norm::PeerNormalisation;
use crate::tape::Score;

/// Goodness of one block, with what it owns.
#[derive(Module, Debug)]
pub(super) struct GoodnessHead {
    /// Label embedding `V` `[C, d]`, added to the first pre-activation.
    pub(super) label: Option<Param<Tensor<2>>>,
    pub(super) peer: Option<PeerNormalisation>,
    #[module(skip)]
    pub(super) pieces: Pieces,
}

/// What a head makes of its block's output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pieces {
    pub(super) goodness: Goodness,
    pub(super) loss: PairLoss,
    pub(super) weight: f64,
    /// Goodness of activities whose mean square is 1.
    pub(super) unit: f64,
}

/// The first `positives` rows of a pass are positive samples, the others their negatives in the same order.
pub(super) struct Polarity {
    pub(super) positives: usize,
}

impl<A: Activation> LocalLoss<Polarity, A> for GoodnessHead {
    fn score(&self, trace: &Trace<A>, signal: &Polarity) -> Score {
        let h = trace.output.features();
        let [rows, _] = h.dims();
        let b = signal.positives;
        let g = self.pieces.goodness.of(h);
        let (positive, negative) = (g.clone().narrow(0, 0, b), g.narrow(0, b, rows - b));
        let mut loss =
            self.pieces.loss.forward(positive.clone(), negative.clone(), self.pieces.unit) * self.pieces.weight;
        if let (Some(peer), Some(units)) = (&self.peer, &trace.units) {
            let positives = |of: &A| of.by_unit().narrow(0, 0, b);
            loss = loss + peer.penalty(positives(&units.pre_activation), positives(&units.activity));
        }
        Score { goodness_positive: Some(positive), goodness_negative: Some(negative), ..Score::from(loss) }
    }

    fn needs_units(&self) -> bool {
        self.peer.is_some()
    }
}
