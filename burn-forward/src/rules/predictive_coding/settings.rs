//! Settings of `predictive-coding`.

use serde::{Deserialize, Serialize};

/// The source of a block's prediction of its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PcPrediction {
    /// The current state of the block below.
    #[default]
    Current,
    /// The output of the block below in the forward pass.
    Fixed,
}

/// The energy of the output layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PcOutput {
    /// `|y - O(x_L)|^2 / 2`.
    #[default]
    SquaredError,
    /// Cross-entropy of the scores `O(x_L)`.
    CrossEntropy,
}

/// Settings of `predictive-coding`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `incremental` | false | | whether weights learn with every step of the states instead of once after the last |
/// | `prediction` | current | current, fixed | source of the predictions; `fixed` excludes `incremental` |
/// | `output` | squared-error | squared-error, cross-entropy | the energy of the output layer |
/// | `steps` | 8 | 1 to 1000 | number of steps of the states per batch |
/// | `state-lr` | 0.0105; incremental 0.8495; fixed 1 | 1e-12 to 10 | step size `eta` of the states |
/// | `state-momentum` | 0.65; incremental 0.35; fixed 0 | 0 to 0.999999 | momentum `mu` of the states, starting from zero on every batch |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PredictiveCodingConfig {
    /// Whether weights learn with every step of the states instead of once after the last.
    pub incremental: bool,
    /// The source of the predictions. "fixed" makes the rule equal to back-propagation, and excludes "incremental".
    pub prediction: PcPrediction,
    /// The energy of the output layer.
    pub output: PcOutput,
    /// Number of steps of the states per batch.
    #[cfg_attr(feature = "config", schemars(range(min = 1, max = 1000)))]
    pub steps: usize,
    /// Step size of the states; default 0.0105, 0.8495 if incremental, 1 with fixed predictions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(range(min = 1e-12, max = 10.0)))]
    pub state_lr: Option<f64>,
    /// Momentum of the states; default 0.65, 0.35 if incremental, 0 with fixed predictions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 0.999999)))]
    pub state_momentum: Option<f64>,
}

impl Default for PredictiveCodingConfig {
    fn default() -> Self {
        Self {
            incremental: false,
            prediction: PcPrediction::default(),
            output: PcOutput::default(),
            steps: 8,
            state_lr: None,
            state_momentum: None,
        }
    }
}

impl PredictiveCodingConfig {
    pub(super) fn state_lr(&self) -> f64 {
        self.state_lr.unwrap_or(match (self.incremental, self.prediction) {
            (true, _) => 0.8495,
            (false, PcPrediction::Current) => 0.0105,
            (false, PcPrediction::Fixed) => 1.0,
        })
    }

    pub(super) fn state_momentum(&self) -> f64 {
        self.state_momentum.unwrap_or(match (self.incremental, self.prediction) {
            (true, _) => 0.35,
            (false, PcPrediction::Current) => 0.65,
            (false, PcPrediction::Fixed) => 0.0,
        })
    }

    /// Fixed predictions are those of one forward pass, but weights that have learned would change them.
    pub(super) fn contradicts_itself(&self) -> bool {
        self.incremental && self.prediction == PcPrediction::Fixed
    }
}
