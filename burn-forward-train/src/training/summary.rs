//! What a run leaves in `summary.json`.

use serde::{Deserialize, Serialize};

use super::plan::BlockPlan;
use crate::quick_look::QuickLook;
use burn_forward::rules::BlockRange;

/// What a run leaves in `summary.json`.
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
    /// Root of all random streams.
    pub seed: u64,
    /// Device.
    pub device: String,
    /// The part of the data that the run used, where that is not all: then its accuracies are no results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quick_look: Option<QuickLook>,
    /// Epochs trained.
    pub epochs: usize,
    /// Accuracy on the test set, a fraction.
    pub test_accuracy: f64,
    /// Correct predictions on the test set.
    pub correct: usize,
    /// Accuracy on the validation set of the weights the run ends with; `None` without one.
    pub validation_accuracy: Option<f64>,
    /// Area under the ROC curve on the test set, of two classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roc_auc: Option<f64>,
    /// Average precision on the test set for the second of two classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
    /// Accuracy of every readout on the test set.
    pub readouts: Vec<(String, f64)>,
    /// The blocks that the readout in force reads, where they were chosen on the validation set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readout_blocks: Option<BlockRange>,
    /// Accuracy on the test set of the first block alone, the first two, and so on: under a greedy schedule what runs of so
    /// many blocks end with, since no block hears of those above it (to the bit for rules without classifiers; that of a last
    /// block is drawn from a stream of its own). Empty under others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<f64>,
    /// Seconds of training, validation and test not included.
    pub train_seconds: f64,
    /// Median seconds of a training epoch.
    pub seconds_per_epoch: f64,
    /// Peak resident memory of the process.
    pub peak_memory_bytes: Option<u64>,
    /// Parameters of the network and of its readout: what inference needs.
    pub parameters: usize,
    /// Parameters that only teach.
    pub head_parameters: usize,
    /// The block table.
    pub blocks: Vec<BlockPlan>,
}
