//! How long and in what portions a run trains.

use std::time::Duration;

use burn_forward::data::{Batching, LastBatch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric_files::LogFormat;
use crate::schedule::SaveEvery;

/// Minutes between two checkpoints within an epoch, where the config says nothing.
const DEFAULT_MINUTES: f64 = 10.0;

/// Which weights a run ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FinalWeights {
    /// Those of the last epoch.
    #[default]
    Last,
    /// Those of the epoch with the best validation accuracy.
    Best,
}

/// How often a run is saved within an epoch, beside its end; of several whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CheckpointEvery {
    /// After so many steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub steps: Option<usize>,
    /// After so many minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.001, max = 1e6))]
    pub minutes: Option<f64>,
}

/// How long and in what portions a run trains.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `epochs` | required | >= 1 | passes over the training set; per block under a greedy schedule |
/// | `batch-size` | 128 | >= 1 | samples per step |
/// | `last-batch` | keep | keep, drop | what becomes of the samples at the end of an epoch that do not fill a batch |
/// | `eval-batch-size` | 500 | >= 1 | samples per evaluation step |
/// | `workers` | 1 | 0 to 64 | threads that assemble batches |
/// | `final-weights` | last | last, best | the weights the run, or each block under a greedy schedule, ends with; best needs a validation set |
/// | `patience` | none | >= 1 | stop after so many epochs without a better validation accuracy |
/// | `label-smoothing` | 0 | [0, 1) | probability that a target spreads over all classes alike; for rules with classifiers |
/// | `checkpoint-every` | 10 minutes | | `{"steps": n}`, `{"minutes": x}` or both: how often the run is saved within an epoch; a resumed run continues exactly from there |
/// | `log` | none | csv, tensorboard | files of metrics beside `metrics.jsonl`: `metrics.csv`, and `tensorboard/` with event files for `tensorboard --logdir`; written after every epoch |
/// | `gradient-checkpointing` | false | | recompute cheap activations in the backward pass (Burn's) |
///
/// With `"last-batch": "keep"` every sample is learned from in every epoch, and the step of a small last batch weighs as
/// much as that of a full one: its gradient is as noisy as the batch is small, and a rule that sets a sample against others
/// of its batch has few to set it against. A tail of one sample can undo much of an epoch. `"drop"` leaves the tail out,
/// other samples in every epoch. Batch normalisation has no variance of one value per channel: a run that would form such
/// a batch is refused before it begins.
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
    /// What becomes of the samples at the end of an epoch that do not fill a batch.
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
    /// The weights the run ends with.
    #[serde(default)]
    pub final_weights: FinalWeights,
    /// Stop after so many epochs without a better validation accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub patience: Option<usize>,
    /// Probability that a target spreads over all classes alike.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub label_smoothing: f64,
    /// How often the run is saved within an epoch; default every 10 minutes. It is saved after every epoch, and when it is
    /// interrupted, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<CheckpointEvery>,
    /// Files of metrics beside `metrics.jsonl`, written after every epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("uniqueItems" = true))]
    pub log: Vec<LogFormat>,
    /// Recompute cheap activations in the backward pass.
    #[serde(default)]
    pub gradient_checkpointing: bool,
}

impl TrainingConfig {
    /// How the samples of an epoch are cut into batches.
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

/// Defaults that are not those of their types.
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
