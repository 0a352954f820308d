//! The contents of `summary.json`.

use serde::{Deserialize, Serialize};

use super::plan::BlockPlan;
use crate::quick_look::QuickLook;
use burn_forward::rules::BlockRange;

/// The contents of `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the run.
    pub name: String,
    /// Learning rule.
    pub rule: String,
    /// Architecture.
    pub network: String,
    /// Data set.
    pub data: String,
    /// Schedule.
    pub schedule: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// Device.
    pub device: String,
    /// The part of the data that the run used, if not all of it; the accuracies are then not results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quick_look: Option<QuickLook>,
    /// Number of epochs trained.
    pub epochs: usize,
    /// Accuracy on the test set, a fraction.
    pub test_accuracy: f64,
    /// Number of correct predictions on the test set.
    pub correct: usize,
    /// Accuracy on the validation set of the final weights; `None` without a validation set.
    pub validation_accuracy: Option<f64>,
    /// Area under the ROC curve on the test set, for two classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roc_auc: Option<f64>,
    /// Average precision on the test set for the second of two classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
    /// Accuracy of every readout on the test set.
    pub readouts: Vec<(String, f64)>,
    /// The blocks that the readout uses, if they were chosen on the validation set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readout_blocks: Option<BlockRange>,
    /// Test accuracy of the first block alone, of the first two blocks, and so on. Under a greedy schedule these are
    /// the accuracies of runs with fewer blocks, since no block depends on those above it (identical to the bit for
    /// rules without classifiers; the classifier of a last block is drawn from its own stream). Empty under other
    /// schedules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<f64>,
    /// Seconds of training, excluding validation and test.
    pub train_seconds: f64,
    /// Median seconds of a training epoch.
    pub seconds_per_epoch: f64,
    /// Peak resident memory of the process.
    pub peak_memory_bytes: Option<u64>,
    /// Number of parameters of the network and its readout: those that inference needs.
    pub parameters: usize,
    /// Number of parameters used for training alone.
    pub head_parameters: usize,
    /// The block table.
    pub blocks: Vec<BlockPlan>,
}
