//! The resolved settings of Forward-Forward.

use serde::{Deserialize, Serialize};

use crate::pieces::goodness::Goodness;
use crate::pieces::label::LabelInput;
use crate::pieces::negatives::Negatives;
use crate::pieces::pair_loss::PairLoss;
use crate::pieces::peer_norm::PeerConfig;

/// The readout of the prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EnergyReadout {
    /// The label with the largest goodness, summed over the blocks from `first-block` on.
    #[default]
    Energy,
    /// The softmax head, in one pass with the neutral label.
    Softmax,
}

/// The settings with all defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settings {
    pub(super) goodness: Goodness,
    pub(super) loss: PairLoss,
    pub(super) loss_weight: f64,
    pub(super) label_injection: LabelInput,
    pub(super) negatives: Negatives,
    pub(super) peer: PeerConfig,
    pub(super) softmax_head: bool,
    pub(super) first_block: usize,
    pub(super) readout: EnergyReadout,
}

/// First block that the softmax head uses: the second, if there is one ("works better without the first").
pub(super) fn head_start(blocks: usize) -> usize {
    usize::from(blocks > 1)
}
