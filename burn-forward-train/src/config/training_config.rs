//! Settings of training: its length, its batches, and how often it is saved.

use std::time::Duration;

use burn_forward::data::{Batching, LastBatch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric_files::LogFormat;
use crate::schedule::SaveEvery;

/// Default number of minutes between two checkpoints within an epoch.
const DEFAULT_MINUTES: f64 = 10.0;

/// The weights that a run ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FinalWeights {
    /// Those of the last epoch.
    #[default]
    Last,
    /// Those of the epoch with the best validation accuracy.
    Best,
}

/// How often a run is saved within an epoch, in addition to the end of the epoch. With both settings, whichever comes
/// first triggers it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CheckpointEvery {
    /// Save after this number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub steps: Option<usize>,
    /// Save after this number of minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.001, max = 1e6))]
    pub minutes: Option<f64>,
}

/// Settings of training: its length, its batches, and how often it is saved.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `epochs` | required | >= 1 | passes over the training set; per block under a greedy schedule |
/// | `batch-size` | 128 | >= 1 | samples per step |
/// | `last-batch` | keep | keep, drop | keep or drop the last, incomplete batch of an epoch |
/// | `eval-batch-size` | 500 | >= 1 | samples per evaluation step |
/// | `workers` | 1 | 0 to 64 | threads that assemble batches |
/// | `final-weights` | last | last, best | the weights that the run (each block, under a greedy schedule) ends with; best needs a validation set |
/// | `patience` | none | >= 1 | stop after this number of epochs without a better validation accuracy |
/// | `label-smoothing` | 0 | [0, 1) | share of the target probability that is spread evenly over all classes; for rules with classifiers |
/// | `checkpoint-every` | 10 minutes | | `{"steps": n}`, `{"minutes": x}` or both: how often the run is saved within an epoch; a resumed run continues exactly from there |
/// | `log` | none | csv, tensorboard | additional files of metrics, written after every epoch: `metrics.csv`, or `tensorboard/` with event files for `tensorboard --logdir` |
/// | `gradient-checkpointing` | false | | use Burn's gradient checkpointing, which recomputes cheap activations in the backward pass |
///
/// With `"last-batch": "keep"`, every epoch uses every sample. A small last batch then carries the same weight as a
/// full one, although its gradient is noisier, and a rule that compares the samples of a batch has fewer of them to
/// compare. A last batch of a single sample can undo much of an epoch. `"drop"` leaves the last batch out; it consists
/// of different samples in every epoch. Batch normalisation cannot compute a variance from a single value per channel,
/// so a run that would produce such a batch is rejected before it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainingConfig {
    /// Passes over the training set.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub epochs: usize,
    /// Samples per step.
    #[serde(default = "default::batch_size")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub batch_size: usize,
    /// Keep or drop the last, incomplete batch of an epoch.
    #[serde(default)]
    pub last_batch: LastBatch,
    /// Samples per evaluation step.
    #[serde(default = "default::eval_batch_size")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub eval_batch_size: usize,
    /// Threads that assemble batches.
    #[serde(default = "default::workers")]
    #[schemars(range(min = 0, max = 64))]
    pub workers: usize,
    /// The weights that the run ends with.
    #[serde(default)]
    pub final_weights: FinalWeights,
    /// Stop after this number of epochs without a better validation accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub patience: Option<usize>,
    /// Share of the target probability that is spread evenly over all classes.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub label_smoothing: f64,
    /// How often the run is saved within an epoch; every 10 minutes by default. It is always saved after an epoch and
    /// when it is interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<CheckpointEvery>,
    /// Additional files of metrics, written after every epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("uniqueItems" = true))]
    pub log: Vec<LogFormat>,
    /// Use Burn's gradient checkpointing, which recomputes cheap activations in the backward pass.
    #[serde(default)]
    pub gradient_checkpointing: bool,
}

impl TrainingConfig {
    /// How the samples of an epoch are divided into batches.
    pub fn batching(&self) -> Batching {
        Batching { size: self.batch_size, last: self.last_batch }
    }

    /// How often the run is saved within an epoch.
    pub fn save_every(&self) -> SaveEvery {
        let CheckpointEvery { steps, minutes } =
            self.checkpoint_every.unwrap_or(CheckpointEvery { steps: None, minutes: Some(DEFAULT_MINUTES) });
        SaveEvery { steps, time: minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes)) }
    }
}

/// Defaults that differ from those of their types.
mod default {
    pub(super) fn batch_size() -> usize {
        128
    }

    pub(super) fn eval_batch_size() -> usize {
        500
    }

    pub(super) fn workers() -> usize {
        1
    }
}
