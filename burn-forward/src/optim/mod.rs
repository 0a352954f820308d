//! Optimisers and learning-rate schedules from a config: Burn's own, and SGD, Adam and AdamW
//! [in one pass](burn_forward_kernels::optim), with the same results as Burn's.

#[cfg(feature = "train")]
mod blockwise;
mod build;
mod lr_schedule;
mod muon;

#[cfg(feature = "train")]
pub use blockwise::{BlockwiseOptimizer, OptimizerOwner, clip_global_norm};

pub use lr_schedule::LrSchedule;
use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// The optimisers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerName {
    /// Stochastic gradient descent, with momentum.
    Sgd,
    /// Adam (Kingma and Ba 2015).
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    #[serde(rename = "adamw")]
    AdamW,
    /// RMSprop (Tieleman and Hinton 2012).
    #[serde(rename = "rmsprop")]
    RmsProp,
    /// Muon for the weight matrices of the network and for its kernels as matrices `[C_out, C_in k_h k_w]`, AdamW for
    /// everything else (Jordan 2024). The learning rate is scaled to match that of AdamW.
    Muon,
    /// Adafactor (Shazeer and Stern 2018).
    Adafactor,
}

/// Gradient clipping; exactly one of these settings.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClipConfig {
    /// Maximum norm of the gradient of a parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(range(min = 1e-12)))]
    pub norm: Option<f64>,
    /// Maximum norm of all gradients of a step together. What a block learns then also depends on the size of the other
    /// blocks' gradients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(range(min = 1e-12)))]
    pub global_norm: Option<f64>,
    /// Maximum absolute value of an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(range(min = 1e-12)))]
    pub value: Option<f64>,
}

impl OptimizerName {
    /// All optimisers.
    pub const ALL: [Self; 6] = [Self::Sgd, Self::Adam, Self::AdamW, Self::RmsProp, Self::Muon, Self::Adafactor];

    /// The name in a config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Adam => "adam",
            Self::AdamW => "adamw",
            Self::RmsProp => "rmsprop",
            Self::Muon => "muon",
            Self::Adafactor => "adafactor",
        }
    }
}

/// The optimiser.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `name` | required | sgd, adam, adamw, rmsprop, muon, adafactor | |
/// | `lr` | required | > 0 | learning rate |
/// | `momentum` | 0.9 (muon 0.95) | [0, 1) | sgd, rmsprop, muon |
/// | `dampening` | 0 | [0, 1] | sgd: the gradient is multiplied by `1 - dampening` before it is added to the velocity |
/// | `nesterov` | false | | sgd |
/// | `betas` | [0.9, 0.999] | [0, 1) | adam, adamw, muon's companion |
/// | `epsilon` | 1e-8 | > 0 | adam, adamw, rmsprop, muon's companion |
/// | `weight-decay` | 0 | >= 0 | decoupled for adamw, muon and adafactor; part of the gradient for the others |
/// | `decay-bias` | true | | whether biases decay too; needs a `weight-decay` above 0 |
/// | `clip` | none | | `{"norm": x}` or `{"value": x}`, per parameter, or `{"global-norm": x}`, over all gradients of a step |
/// | `lr-schedule` | constant | | see [`LrSchedule`] |
/// | `block-lr` | none | one > 0 per block | learning rate of every block, including the [rule's parameters for it](crate::parameters::Owner) |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Name of the optimiser.
    pub name: OptimizerName,
    /// Learning rate.
    #[cfg_attr(feature = "config", schemars(range(min = 1e-12, max = 1e3)))]
    pub lr: f64,
    /// Momentum, for sgd, rmsprop (default 0.9) and muon (default 0.95).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 0.999999)))]
    pub momentum: Option<f64>,
    /// Dampening of the gradient before it is added to the velocity, for sgd; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 1.0)))]
    pub dampening: Option<f64>,
    /// Nesterov momentum, for sgd; default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// Decay rates of the running means of gradients and their squares, for adam, adamw and muon's companion; default
    /// [0.9, 0.999].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // Values closer to 1 would be rounded to 1 in single precision, and the mean would never be corrected.
    #[cfg_attr(feature = "config", schemars(inner(range(min = 0.0, max = 0.999999))))]
    pub betas: Option<[f64; 2]>,
    /// Avoids division by zero, for adam, adamw, rmsprop and muon's companion; default 1e-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(range(min = 1e-30, max = 1.0)))]
    pub epsilon: Option<f64>,
    /// Weight decay.
    #[serde(default)]
    #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 1.0)))]
    pub weight_decay: f64,
    /// Whether biases decay too; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay_bias: Option<bool>,
    /// Gradient clipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<ClipConfig>,
    /// Learning-rate schedule.
    #[serde(default)]
    pub lr_schedule: LrSchedule,
    /// Learning rate of every block and its head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(inner(range(min = 1e-12, max = 1e3))))]
    pub block_lr: Option<Vec<f64>>,
}

/// Parameters of a rule that need their own optimiser, whatever the config says for the network.
#[derive(Debug, Clone)]
pub struct ParameterGroup {
    /// Prefix of the parameters' paths, such as `rule.softmax`.
    pub path: String,
    /// Their optimiser and learning rate; the run's learning-rate schedule applies to it.
    pub optimizer: OptimizerConfig,
}

const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

impl OptimizerConfig {
    /// An optimiser with default values for all other settings.
    pub fn new(name: OptimizerName, lr: f64) -> Self {
        Self {
            name,
            lr,
            momentum: None,
            dampening: None,
            nesterov: None,
            betas: None,
            epsilon: None,
            weight_decay: 0.0,
            decay_bias: None,
            clip: None,
            lr_schedule: LrSchedule::Constant,
            block_lr: None,
        }
    }

    /// The settings in force: with every default of this optimiser, and without settings that have no effect on it.
    #[must_use]
    pub fn resolved(&self) -> Self {
        use OptimizerName as N;
        let is = |names: &[N]| names.contains(&self.name);
        let momentum = self.momentum.or_else(|| self.default_momentum());
        Self {
            momentum,
            // They determine how the gradient is added to the velocity, and without momentum there is none.
            dampening: (is(&[N::Sgd]) && momentum != Some(0.0)).then(|| self.dampening.unwrap_or(0.0)),
            nesterov: (is(&[N::Sgd]) && momentum != Some(0.0)).then(|| self.nesterov.unwrap_or(false)),
            betas: is(&[N::Adam, N::AdamW, N::Muon]).then(|| self.betas.unwrap_or(BETAS)),
            epsilon: is(&[N::Adam, N::AdamW, N::Muon, N::RmsProp]).then(|| self.epsilon.unwrap_or(EPSILON)),
            decay_bias: (self.weight_decay > 0.0).then(|| self.decay_bias.unwrap_or(true)),
            ..self.clone()
        }
    }

    /// Default momentum; `None` for optimisers without momentum.
    fn default_momentum(&self) -> Option<f64> {
        match self.name {
            OptimizerName::Sgd | OptimizerName::RmsProp => Some(0.9),
            OptimizerName::Muon => Some(0.95),
            OptimizerName::Adam | OptimizerName::AdamW | OptimizerName::Adafactor => None,
        }
    }

    /// Whether a step is just the gradient times the learning rate: `sgd` without momentum, weight decay and clipping.
    pub fn is_plain_sgd(&self) -> bool {
        self.name == OptimizerName::Sgd && self.momentum == Some(0.0) && self.weight_decay == 0.0 && self.clip.is_none()
    }

    /// Contradictions between settings; the schema checks ranges.
    pub fn check(&self, blocks: Option<usize>) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let only = |errors: &mut Vec<ConfigError>, given: bool, key: &str, names: &[OptimizerName], words: &str| {
            if given && !names.contains(&self.name) {
                errors.push(ConfigError::new(
                    format!("$.optimizer.{key}"),
                    format!("has no effect here; it is a setting of {words}"),
                ));
            }
        };
        use OptimizerName as N;
        only(&mut errors, self.momentum.is_some(), "momentum", &[N::Sgd, N::RmsProp, N::Muon], "sgd, rmsprop and muon");
        only(&mut errors, self.dampening.is_some(), "dampening", &[N::Sgd], "sgd");
        // `false` is the case anyway; run folders of older versions have it for every optimiser.
        only(&mut errors, self.nesterov == Some(true), "nesterov", &[N::Sgd], "sgd");
        let adaptive = "adam, adamw and muon";
        only(&mut errors, self.betas.is_some(), "betas", &[N::Adam, N::AdamW, N::Muon], adaptive);
        let guarded = "adam, adamw, rmsprop and muon";
        only(&mut errors, self.epsilon.is_some(), "epsilon", &[N::Adam, N::AdamW, N::Muon, N::RmsProp], guarded);
        if let Some(clip) = &self.clip
            && [clip.norm, clip.global_norm, clip.value].iter().flatten().count() != 1
        {
            let needed = "needs exactly one of \"norm\", \"global-norm\" and \"value\"";
            errors.push(ConfigError::new("$.optimizer.clip", needed));
        }
        if let (Some(rates), Some(blocks)) = (&self.block_lr, blocks)
            && rates.len() != blocks
        {
            errors.push(ConfigError::new(
                "$.optimizer.block-lr",
                format!("number of rates is {}; needed: {blocks}, one for each block", rates.len()),
            ));
        }
        errors
    }

    /// The optimiser of a parameter of a block, given its path after `network.blocks.<k>`.
    pub fn of_network(&self, path: &[String]) -> OptimizerName {
        match self.name {
            OptimizerName::Muon if path.last().is_none_or(|name| name != "weight") => OptimizerName::AdamW,
            name => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_configs() {
        for name in OptimizerName::ALL {
            assert_eq!(serde_json::to_value(name).unwrap(), name.name());
        }
    }

    #[test]
    fn settings_without_effect_are_reported() {
        let c = OptimizerConfig { momentum: Some(0.5), ..OptimizerConfig::new(OptimizerName::Adam, 1e-3) };
        assert_eq!(c.check(None)[0].path, "$.optimizer.momentum");
        let c = OptimizerConfig { block_lr: Some(vec![0.1]), ..OptimizerConfig::new(OptimizerName::Adam, 1e-3) };
        assert_eq!(c.check(Some(2)).len(), 1);
        let c = OptimizerConfig { betas: Some(BETAS), ..OptimizerConfig::new(OptimizerName::Sgd, 1e-3) };
        assert_eq!(c.check(None)[0].path, "$.optimizer.betas");
        let nesterov = |used| {
            let c = OptimizerConfig { nesterov: Some(used), ..OptimizerConfig::new(OptimizerName::Adam, 1e-3) };
            c.check(None).len()
        };
        assert_eq!((nesterov(true), nesterov(false)), (1, 0));
    }

    /// As in the table above, every optimiser has its own settings with their defaults, and no others.
    #[test]
    fn resolved_settings_are_those_in_force() {
        use serde_json::json;
        let of = |given: serde_json::Value| {
            let config: OptimizerConfig = serde_json::from_value(given).unwrap();
            let resolved = config.resolved();
            assert_eq!(resolved.resolved(), resolved);
            assert_eq!(resolved.check(None), [], "what is resolved can be read back");
            serde_json::to_value(resolved).unwrap()
        };
        let constant = json!({"name": "constant"});
        for (given, expected) in [
            (
                json!({"name": "sgd", "lr": 0.1}),
                json!({"name": "sgd", "lr": 0.1, "momentum": 0.9, "dampening": 0.0, "nesterov": false, "weight-decay": 0.0,
                    "lr-schedule": constant}),
            ),
            (
                json!({"name": "sgd", "lr": 0.1, "momentum": 0, "weight-decay": 0.1}),
                json!({"name": "sgd", "lr": 0.1, "momentum": 0.0, "weight-decay": 0.1, "decay-bias": true,
                    "lr-schedule": constant}),
            ),
            (
                json!({"name": "adam", "lr": 0.1}),
                json!({"name": "adam", "lr": 0.1, "betas": [0.9, 0.999], "epsilon": 1e-8, "weight-decay": 0.0,
                    "lr-schedule": constant}),
            ),
            (
                json!({"name": "muon", "lr": 0.1}),
                json!({"name": "muon", "lr": 0.1, "momentum": 0.95, "betas": [0.9, 0.999], "epsilon": 1e-8,
                    "weight-decay": 0.0, "lr-schedule": constant}),
            ),
            (
                json!({"name": "rmsprop", "lr": 0.1}),
                json!({"name": "rmsprop", "lr": 0.1, "momentum": 0.9, "epsilon": 1e-8, "weight-decay": 0.0,
                    "lr-schedule": constant}),
            ),
            (
                json!({"name": "adafactor", "lr": 0.1}),
                json!({"name": "adafactor", "lr": 0.1, "weight-decay": 0.0, "lr-schedule": constant}),
            ),
        ] {
            assert_eq!(of(given), expected);
        }
    }
}
