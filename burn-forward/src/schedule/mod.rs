//! Schedules: in which order blocks learn.

mod greedy;

pub use greedy::{GreedyStrategy, History, Phase, SharedHistory, best_of_block, next_phase};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// In which order blocks learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// Every batch teaches every block, each from the activations before the update.
    #[default]
    Simultaneous,
    /// One block to the end, then the next. Each block trains for at most `training.epochs`.
    Greedy {
        /// A block is done after so many epochs without a better validation accuracy of its own readout.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1))]
        patience: Option<usize>,
        /// Keep the outputs of finished blocks instead of computing them anew in every epoch; needs memory for the whole
        /// training set, and is refused together with augmentation. Default true.
        #[serde(default = "yes")]
        cache: bool,
    },
}

fn yes() -> bool {
    true
}

impl ScheduleConfig {
    /// Whether blocks learn one after the other.
    pub fn is_greedy(self) -> bool {
        matches!(self, Self::Greedy { .. })
    }

    /// Epochs without improvement after which a block is done.
    pub fn patience(self) -> Option<usize> {
        match self {
            Self::Simultaneous => None,
            Self::Greedy { patience, .. } => patience,
        }
    }
}
