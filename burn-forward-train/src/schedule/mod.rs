//! Schedules: in which order blocks learn.

mod cache;
mod checkpoints;
mod epoch_loop;
mod finished;
mod finished_outputs;
mod greedy;
mod history;
mod learner;
mod simultaneous;

pub use checkpoints::{Best, Patience, SaveEvery, Saving};
pub use finished::FinishedBlocks;
pub use greedy::GreedyStrategy;
pub use history::{History, Phase, SharedHistory, best_of_block, next_phase};
pub use learner::TrainingState;
pub use simultaneous::SimultaneousStrategy;

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
        /// training set. Not possible where they differ from epoch to epoch: with augmentation, sampled neighbours, link
        /// prediction, or a rule that draws negatives in every step. By default wherever it is possible.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache: Option<bool>,
    },
}

impl ScheduleConfig {
    /// Whether blocks learn one after the other.
    pub fn is_greedy(self) -> bool {
        matches!(self, Self::Greedy { .. })
    }

    /// Whether outputs of finished blocks are kept, once the config is [resolved](crate::config::RunConfig).
    pub fn caches(self) -> bool {
        matches!(self, Self::Greedy { cache: Some(true), .. })
    }

    /// Settles whether outputs of finished blocks are kept: as given, or else where `possible` says nothing against it.
    ///
    /// # Errors
    /// Why they cannot be kept, where that is asked for.
    pub fn resolve_cache(&mut self, possible: Result<(), String>) -> Result<(), String> {
        let Self::Greedy { cache, .. } = self else { return Ok(()) };
        match (*cache, possible) {
            (Some(true), Err(reason)) => return Err(reason),
            (Some(_), _) => {}
            (None, possible) => *cache = Some(possible.is_ok()),
        }
        Ok(())
    }

    /// Epochs without improvement after which a block is done.
    pub fn patience(self) -> Option<usize> {
        match self {
            Self::Simultaneous => None,
            Self::Greedy { patience, .. } => patience,
        }
    }
}
