//! The parts of a config that are the same whatever the registry holds.

use burn_forward::optim::OptimizerConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::TrainingConfig;
use crate::schedule::ScheduleConfig;
use crate::weights::WeightsConfig;

/// The parts of a config with a fixed type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Fixed {
    /// JSON Schema for editors; not read.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<String>,
    /// Name of the run; the file's name where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// What this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// The published result this reproduces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reproduces: Option<String>,
    /// What we measured with it, with the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) measured: Option<Map<String, Value>>,
    /// Root of all random streams.
    #[serde(default)]
    pub(super) seed: u64,
    /// Weights to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) weights: Option<WeightsConfig>,
    /// In which order blocks learn.
    #[serde(default)]
    pub(super) schedule: ScheduleConfig,
    /// How long and in what portions.
    pub(super) training: TrainingConfig,
    /// The optimiser.
    pub(super) optimizer: OptimizerConfig,
}
