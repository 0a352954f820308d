//! The parts of the files in a run folder that the report reads.
//!
//! Every field is optional except the keys of a metrics row, and unknown fields are ignored. A run of an older or newer
//! version, or one that stopped halfway, therefore still has a report. JSON cannot represent NaN: a `null` number means
//! that there is none.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::quick_look::QuickLook;
use burn_forward::rules::BlockRange;

/// `run.json`: what ran, where, when, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RunInfo {
    /// Name of the run.
    pub name: Option<String>,
    /// `finished`, `interrupted`, `failed` or `running`.
    pub status: Option<String>,
    /// Start, RFC 3339.
    pub started: Option<String>,
    /// End, RFC 3339.
    pub finished: Option<String>,
    /// Versions of this crate, of Burn, and of anything else that was recorded.
    pub versions: Option<BTreeMap<String, Value>>,
    /// Git revision of the program.
    pub git_revision: Option<String>,
    /// Seed of all random streams.
    pub seed: Option<u64>,
    /// The device as the user named it.
    pub device: Option<String>,
    /// Operating system, architecture, processors.
    pub host: Option<BTreeMap<String, Value>>,
    /// The part of the data that the run used, if not all of it.
    pub quick_look: Option<QuickLook>,
    /// The command line.
    pub command: Option<Value>,
    /// The whole file, for the section that prints it.
    #[serde(skip)]
    pub raw: Value,
}

/// Which samples a metrics row was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training samples.
    Train,
    /// Validation samples.
    Validation,
    /// Test samples.
    Test,
}

/// One row of `metrics.jsonl`: one epoch, one split, one block or the whole network.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RecordedRow {
    /// Epoch, from 1.
    pub epoch: usize,
    /// The samples that it was measured on.
    pub split: Split,
    /// Index of the block; `None` for the readout of the whole network.
    #[serde(default)]
    pub block: Option<usize>,
    /// Loss.
    #[serde(default)]
    pub loss: Option<f64>,
    /// Accuracy, a fraction.
    #[serde(default)]
    pub accuracy: Option<f64>,
    /// Mean goodness of positive samples.
    #[serde(default)]
    pub goodness_positive: Option<f64>,
    /// Mean goodness of negative samples.
    #[serde(default)]
    pub goodness_negative: Option<f64>,
    /// Mean goodness of positive samples minus that of negative ones.
    #[serde(default)]
    pub separation: Option<f64>,
    /// Learning rate.
    #[serde(default)]
    pub lr: Option<f64>,
    /// Wall-clock seconds.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// Index of the block that a greedy schedule trained in this epoch.
    #[serde(default)]
    pub phase: Option<usize>,
}

/// `summary.json`: the result of a finished run.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Name of the run.
    pub name: Option<String>,
    /// Learning rule.
    pub rule: Option<String>,
    /// Network.
    pub network: Option<String>,
    /// Data set.
    pub data: Option<String>,
    /// Schedule: simultaneous, greedy, pipelined.
    pub schedule: Option<String>,
    /// Seed.
    pub seed: Option<u64>,
    /// Device.
    pub device: Option<String>,
    /// The part of the data that the run used, if not all of it.
    pub quick_look: Option<QuickLook>,
    /// Number of epochs trained.
    pub epochs: Option<u64>,
    /// Accuracy on the test samples, a fraction.
    pub test_accuracy: Option<f64>,
    /// Accuracy on the validation samples, a fraction.
    pub validation_accuracy: Option<f64>,
    /// The blocks that the readout uses, if they were chosen.
    pub readout_blocks: Option<BlockRange>,
    /// Seconds of training in total.
    pub train_seconds: Option<f64>,
    /// Median seconds of an epoch.
    pub seconds_per_epoch: Option<f64>,
    /// Peak memory.
    pub peak_memory_bytes: Option<u64>,
    /// Parameters of the network **without** the local heads, as deployed.
    pub parameters: Option<u64>,
    /// Parameters of the local heads, on top of `parameters`.
    pub head_parameters: Option<u64>,
    /// One entry per block.
    #[serde(deserialize_with = "null_as_default")]
    pub blocks: Vec<BlockSummary>,
}

/// One block in `summary.json`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct BlockSummary {
    /// Index, from 0.
    pub index: Option<usize>,
    /// Description of the block, such as `dense 784->1000`.
    pub name: Option<String>,
    /// Shape of its output for one sample.
    pub output: Option<String>,
    /// Parameters without the local head.
    pub parameters: Option<u64>,
    /// Parameters of the local head.
    pub head_parameters: Option<u64>,
    /// Bytes of activations that its local backward pass keeps.
    pub activation_bytes: Option<u64>,
}

/// `evaluation.json`: the final test.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RecordedEvaluation {
    /// The samples that were evaluated, `test`.
    pub split: Option<String>,
    /// Accuracy, a fraction.
    pub accuracy: Option<f64>,
    /// Number of correctly predicted samples.
    pub correct: Option<u64>,
    /// Number of samples.
    pub samples: Option<u64>,
    /// Mean loss.
    pub loss: Option<f64>,
    /// Counts; rows are the true class, columns the predicted one.
    #[serde(deserialize_with = "null_as_default")]
    pub confusion: Vec<Vec<u64>>,
    /// One entry per block.
    #[serde(deserialize_with = "null_as_default")]
    pub blocks: Vec<BlockEvaluation>,
}

/// One block in `evaluation.json`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct BlockEvaluation {
    /// Index, from 0.
    pub index: Option<usize>,
    /// Accuracy of the block's own prediction, a fraction.
    pub accuracy: Option<f64>,
    /// Fraction of units that are active for no sample.
    pub dead_units: Option<f64>,
    /// Hoyer sparsity of the activations, 0 (dense) to 1 (one unit).
    pub hoyer: Option<f64>,
    /// Goodness of positive and negative samples.
    pub goodness: Option<GoodnessHistogram>,
}

/// Goodness of positive and negative samples of one block.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct GoodnessHistogram {
    /// Bin edges: one more than there are bins.
    #[serde(deserialize_with = "numbers")]
    pub edges: Vec<f64>,
    /// Positive samples per bin.
    #[serde(deserialize_with = "numbers")]
    pub positive: Vec<f64>,
    /// Negative samples per bin.
    #[serde(deserialize_with = "numbers")]
    pub negative: Vec<f64>,
    /// Mean goodness of positive samples.
    pub mean_positive: Option<f64>,
    /// Mean goodness of negative samples.
    pub mean_negative: Option<f64>,
    /// Sensitivity index d': difference of the means divided by the pooled standard deviation.
    pub d_prime: Option<f64>,
}

/// `audit.json`: local updates compared with the gradient of back-propagation.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Audit {
    /// One entry per block.
    #[serde(deserialize_with = "null_as_default")]
    pub blocks: Vec<BlockAlignment>,
}

/// One block in `audit.json`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct BlockAlignment {
    /// Index, from 0.
    pub index: Option<usize>,
    /// Angle between the local update and the back-propagation gradient: 0 degrees is the same direction, 90 an
    /// unrelated one.
    pub angle_degrees: Option<f64>,
    /// Norm of the local update divided by the norm of the gradient.
    pub norm_ratio: Option<f64>,
}

/// `graph.json`: a data set that is a graph small enough to be drawn.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RecordedGraph {
    /// The nodes.
    #[serde(deserialize_with = "null_as_default")]
    pub nodes: Vec<GraphNode>,
    /// Pairs of connected nodes.
    #[serde(deserialize_with = "null_as_default")]
    pub edges: Vec<[usize; 2]>,
}

/// One node in `graph.json`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct GraphNode {
    /// Its class.
    pub class: Option<usize>,
    /// Whether the class was known in training.
    pub known: bool,
    /// The class predicted in the test; `None` for a node that was not tested.
    pub predicted: Option<usize>,
}

/// A list that may be `null`.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(source: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(source)?.unwrap_or_default())
}

/// A list of numbers that may be `null`, as may each number (JSON cannot represent NaN and the infinities).
fn numbers<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<f64>, D::Error> {
    let list: Option<Vec<Option<f64>>> = Option::deserialize(source)?;
    Ok(list.unwrap_or_default().into_iter().map(|number| number.unwrap_or(f64::NAN)).collect())
}
