//! The metric files that a config can ask for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A metric file in addition to `metrics.jsonl`, with the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `metrics.csv`, a table: one row per epoch, split and block.
    Csv,
    /// `tensorboard/train` and `tensorboard/validation`, event files for `tensorboard --logdir`.
    TensorBoard,
}
