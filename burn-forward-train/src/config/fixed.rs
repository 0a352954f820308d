//! The parts of a config that do not depend on the registry.

use burn_forward::optim::OptimizerConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::TrainingConfig;
use crate::schedule::ScheduleConfig;
use crate::weights::WeightsConfig;

/// The parts of a config that have a fixed type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Fixed {
    /// JSON Schema for editors; burn-forward does not read it.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<String>,
    /// Name of the run; defaults to the name of the config file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// A description of the config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// The published result that this config reproduces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reproduces: Option<String>,
    /// What we measured with this config, and the run folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) measured: Option<Map<String, Value>>,
    /// Seed of all random streams.
    #[serde(default)]
    pub(super) seed: u64,
    /// Weights to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) weights: Option<WeightsConfig>,
    /// The order in which blocks learn.
    #[serde(default)]
    pub(super) schedule: ScheduleConfig,
    /// How long the run trains, and in batches of what size.
    pub(super) training: TrainingConfig,
    /// The optimiser.
    pub(super) optimizer: OptimizerConfig,
}
