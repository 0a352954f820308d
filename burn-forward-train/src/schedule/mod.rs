//! Schedules: the order in which blocks learn.

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

/// The order in which blocks learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// Every block learns from every batch, using the activations from before the update.
    #[default]
    Simultaneous,
    /// Each block is trained to the end before the next, for at most `training.epochs` epochs.
    Greedy {
        /// A block is finished after this number of epochs without a better validation accuracy of its own readout.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1))]
        patience: Option<usize>,
        /// Cache the outputs of finished blocks instead of computing them in every epoch; this needs memory for the
        /// whole training set. It is not possible if the outputs differ from epoch to epoch: with augmentation, sampled
        /// neighbours, link prediction, or a rule that draws negatives in every step. By default, outputs are cached
        /// wherever possible.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache: Option<bool>,
    },
}

impl ScheduleConfig {
    /// Whether blocks learn one after another.
    pub fn is_greedy(self) -> bool {
        matches!(self, Self::Greedy { .. })
    }

    /// Whether the outputs of finished blocks are cached, once the config is [resolved](crate::config::RunConfig).
    pub fn caches(self) -> bool {
        matches!(self, Self::Greedy { cache: Some(true), .. })
    }

    /// Decides whether the outputs of finished blocks are cached: as set, or by default if `possible` is `Ok`.
    ///
    /// # Errors
    /// The reason why caching is not possible, if it was requested.
    pub fn resolve_cache(&mut self, possible: Result<(), String>) -> Result<(), String> {
        let Self::Greedy { cache, .. } = self else { return Ok(()) };
        match (*cache, possible) {
            (Some(true), Err(reason)) => return Err(reason),
            (Some(_), _) => {}
            (None, possible) => *cache = Some(possible.is_ok()),
        }
        Ok(())
    }

    /// Number of epochs without improvement after which a block is finished.
    pub fn patience(self) -> Option<usize> {
        match self {
            Self::Simultaneous => None,
            Self::Greedy { patience, .. } => patience,
        }
    }
}
