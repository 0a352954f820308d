//! Settings of Forward-Forward: presets, their values, and how the rule is built from them.

use burn::module::Param;
use serde::{Deserialize, Serialize};

use super::ForwardForward;
use super::head::GoodnessHead;
use super::settings::{EnergyReadout, Settings, head_start};
use crate::activation::RowShape;
use crate::init::{self, Init};
use crate::network::Network;
use crate::optim::ParameterGroup;
use crate::optim::{OptimizerConfig, OptimizerName};
use crate::pieces::goodness::Goodness;
use crate::pieces::goodness_loss::GoodnessLoss;
use crate::pieces::label::LabelInput;
use crate::pieces::negatives::{NEGATIVES_DRAWN_ANEW, Negatives};
use crate::pieces::normalisation::Normalisation;
use crate::pieces::pair_loss::{PairLoss, Threshold};
use crate::pieces::peer_norm::PeerConfig;
use crate::random::Seed;

use crate::rules::{AnyRule, Context, Reach, RuleSpec};
use crate::{ConfigError, Error, Result};

/// A preset that supplies settings which the config leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ForwardForwardPreset {
    /// The supervised MNIST recipe of Hinton's own program.
    #[default]
    Hinton,
    /// The widely used PyTorch program.
    Pezeshki,
    /// Per-layer labels, burst goodness, SymBa loss, hard negatives.
    FfPlus,
}

/// Settings of `forward-forward`. Their defaults come from the preset.
///
/// | name | `hinton` | `pezeshki` | `ff-plus` | meaning |
/// |---|---|---|---|---|
/// | `preset` | | | | the column that supplies all other defaults; default hinton |
/// | `goodness` | sum-squares | mean-squares | burst | see [`Goodness`] |
/// | `loss` | logistic, width, 1 | logistic, 2, 1 | symba, 1 | see [`PairLoss`]; with another goodness the threshold is unit-scale |
/// | `loss-weight` | 0.5 | 1 | 1 | weight of the pair loss relative to the peer term |
/// | `label-injection` | overlay, 1 | overlay, 1 | per-layer | see [`LabelInput`] |
/// | `negatives` | hard | permuted | hard | see [`Negatives`] |
/// | `peer` | 0.03, 0.9 | strength 0 | strength 0 | see [`PeerConfig`]; strength 0 switches it off; the scale is that of sum-squares, see [`Goodness::steepness`] |
/// | `softmax-head` | true | false | true | whether to train a softmax head; hard negatives need it |
/// | `first-block` | 1 | 0 | 0 | first block (from 0) whose goodness the energy readout uses |
/// | `readout` | energy | energy | energy | the readout of the prediction: energy or softmax |
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ForwardForwardConfig {
    /// The preset that supplies all settings that are left out. The preset values given below are in the order hinton,
    /// pezeshki, ff-plus.
    #[serde(default)]
    pub preset: ForwardForwardPreset,
    /// Goodness function; preset values: sum-squares, mean-squares, burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodness: Option<Goodness>,
    /// Loss of a pair of goodness values; preset values: logistic with threshold width, logistic with threshold 2, symba with
    /// alpha 1. With a goodness other than that of the preset, the threshold is unit-scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<PairLoss>,
    /// Weight of the pair loss relative to the peer term; preset values: 0.5, 1, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(range(min = 1e-6, max = 1e6)))]
    pub loss_weight: Option<f64>,
    /// How a label is added to the input of the network; preset values: overlay, overlay, per-layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_injection: Option<LabelInput>,
    /// How wrong labels are chosen; preset values: hard, permuted, hard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negatives: Option<Negatives>,
    /// Peer normalisation; preset values: strength 0.03 and momentum 0.9 for hinton, none for the others. The strength is
    /// relative to sum-squares; for a flatter goodness it is reduced in proportion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerConfig>,
    /// Whether to train a softmax head; preset values: true, false, true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub softmax_head: Option<bool>,
    /// First block (from 0) whose goodness the energy readout uses; preset values: 1, 0, 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_block: Option<usize>,
    /// The readout of the prediction; preset value: energy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readout: Option<EnergyReadout>,
}

impl ForwardForwardConfig {
    fn settings(&self) -> Settings {
        let no_peer = PeerConfig { strength: 0.0, ..PeerConfig::default() };
        let preset = match self.preset {
            ForwardForwardPreset::Hinton => Settings {
                goodness: Goodness::SumSquares,
                loss: PairLoss::Logistic { threshold: Threshold::WIDTH, scale: 1.0 },
                loss_weight: 0.5,
                label_injection: LabelInput::default(),
                negatives: Negatives::Hard,
                peer: PeerConfig::default(),
                softmax_head: true,
                first_block: 1,
                readout: EnergyReadout::Energy,
            },
            ForwardForwardPreset::Pezeshki => Settings {
                goodness: Goodness::MeanSquares,
                loss: PairLoss::Logistic { threshold: Threshold::Value(2.0), scale: 1.0 },
                loss_weight: 1.0,
                label_injection: LabelInput::default(),
                negatives: Negatives::Permuted,
                peer: no_peer,
                softmax_head: false,
                first_block: 0,
                readout: EnergyReadout::Energy,
            },
            ForwardForwardPreset::FfPlus => Settings {
                goodness: Goodness::Burst,
                loss: PairLoss::Symba { alpha: 1.0 },
                loss_weight: 1.0,
                label_injection: LabelInput::PerLayer,
                negatives: Negatives::Hard,
                peer: no_peer,
                softmax_head: true,
                first_block: 0,
                readout: EnergyReadout::Energy,
            },
        };
        let goodness = self.goodness.unwrap_or(preset.goodness);
        // The threshold of the preset is on the scale of the preset's goodness.
        let loss = match preset.loss {
            PairLoss::Logistic { scale, .. } if goodness != preset.goodness => {
                PairLoss::Logistic { threshold: Threshold::UNIT_SCALE, scale }
            }
            fitting => fitting,
        };
        Settings {
            goodness,
            loss: self.loss.unwrap_or(loss),
            loss_weight: self.loss_weight.unwrap_or(preset.loss_weight),
            label_injection: self.label_injection.unwrap_or(preset.label_injection),
            negatives: self.negatives.unwrap_or(preset.negatives),
            peer: self.peer.unwrap_or(preset.peer),
            softmax_head: self.softmax_head.unwrap_or(preset.softmax_head),
            first_block: self.first_block.unwrap_or(preset.first_block),
            readout: self.readout.unwrap_or(preset.readout),
        }
    }
}

/// Learning rate, momentum and weight decay of the softmax head in Hinton's program: gradient averaged with momentum 0.9,
/// learning rate 0.1, decay 0.003.
const HEAD_LR: f64 = 0.1;
const HEAD_MOMENTUM: f64 = 0.9;
const HEAD_DECAY: f64 = 0.003;

impl RuleSpec for ForwardForwardConfig {
    fn reach(&self) -> Reach {
        match self.settings().negatives {
            Negatives::Hard => Reach::Network("negatives drawn from the prediction"),
            Negatives::Wrong | Negatives::Permuted => Reach::Nothing,
        }
    }

    fn resolved(&self) -> serde_json::Value {
        let s = self.settings();
        let full = Self {
            preset: self.preset,
            goodness: Some(s.goodness),
            loss: Some(s.loss),
            loss_weight: Some(s.loss_weight),
            label_injection: Some(s.label_injection),
            negatives: Some(s.negatives),
            peer: Some(s.peer),
            softmax_head: Some(s.softmax_head),
            first_block: Some(s.first_block),
            readout: Some(s.readout),
        };
        serde_json::to_value(full).unwrap_or_default()
    }

    fn check(&self, context: &Context) -> Vec<ConfigError> {
        let s = self.settings();
        let mut errors = Vec::new();
        if let Some(RowShape::Nodes(_)) = context.input {
            errors.push(ConfigError::new(
                "$.rule.name",
                "\"forward-forward\" writes labels into single samples, but here all nodes of a graph are one input; \
                 needed: \"graph-forward-forward\", or another rule",
            ));
        }
        if context.network.normalisation() == Some(Normalisation::None) {
            errors.push(ConfigError::new(
                "$.network.normalisation",
                "\"none\" lets the next block read the goodness of the one before from the length of its output; \
                 'forward-forward' needs \"rms\", \"l2\" or \"layer-norm\"",
            ));
        }
        if s.goodness != Goodness::SumSquares
            && matches!(s.loss, PairLoss::Logistic { threshold: Threshold::WIDTH, .. })
        {
            errors.push(ConfigError::new(
                "$.rule.loss.threshold",
                "\"width\" is on the scale of the goodness \"sum-squares\" alone; needed: \"unit-scale\", or a number",
            ));
        }
        if s.negatives == Negatives::Hard && !s.softmax_head {
            errors.push(ConfigError::new(
                "$.rule.softmax-head",
                "false, but negatives \"hard\" are sampled from the softmax head; needed: true, or negatives \"wrong\"",
            ));
        }
        if s.readout == EnergyReadout::Softmax && !s.softmax_head {
            errors.push(ConfigError::new(
                "$.rule.softmax-head",
                "false, but readout \"softmax\" reads the softmax head; needed: true, or readout \"energy\"",
            ));
        }
        if let Some(blocks) = context.blocks
            && s.first_block >= blocks
        {
            errors.push(ConfigError::new(
                "$.rule.first-block",
                format!("{}, but the network has {blocks} block(s); needed: 0 to {}", s.first_block, blocks - 1),
            ));
        }
        if let (LabelInput::Overlay { .. }, Some(input), Some(classes)) =
            (s.label_injection, context.input, context.classes)
            && input.len() <= classes
        {
            errors.push(ConfigError::new(
                "$.rule.label-injection",
                format!(
                    "an overlay of {classes} classes leaves none of the {} input features; needed: \"per-layer\"",
                    input.len()
                ),
            ));
        }
        errors
    }

    fn greedy(&self) -> Result<(), String> {
        if self.settings().softmax_head {
            return Err("the softmax head reads all blocks at once, so they cannot be trained one after the other; \
                        set \"softmax-head\": false and negatives \"wrong\" (or preset \"pezeshki\")"
                .into());
        }
        Ok(())
    }

    fn cacheable(&self) -> Result<(), String> {
        Err(NEGATIVES_DRAWN_ANEW.into())
    }

    fn parameter_groups(&self) -> Vec<ParameterGroup> {
        if !self.settings().softmax_head {
            return Vec::new();
        }
        vec![ParameterGroup {
            path: "rule.softmax".into(),
            optimizer: OptimizerConfig {
                momentum: Some(HEAD_MOMENTUM),
                dampening: Some(HEAD_MOMENTUM),
                weight_decay: HEAD_DECAY,
                decay_bias: Some(false),
                ..OptimizerConfig::new(OptimizerName::Sgd, HEAD_LR)
            },
        }]
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        if classes < 2 {
            return Err(Error::argument(
                "forward-forward",
                "number of classes",
                classes,
                ">= 2, since otherwise no label is wrong",
            ));
        }
        let settings = self.settings();
        let device = network.device();
        let mut heads = Vec::with_capacity(network.len());
        for (i, block) in network.blocks().iter().enumerate() {
            let label = match settings.label_injection {
                LabelInput::Overlay { .. } => None,
                LabelInput::PerLayer => {
                    let width = block.bias_width().ok_or_else(|| {
                        Error::argument(
                            "forward-forward",
                            format!("label of block {i}"),
                            "per-layer",
                            "\"overlay\": its first layer does not accept a label",
                        )
                    })?;
                    let rng = &mut seed.stream("label", &[i as u64]);
                    Some(Param::from_tensor(Init::Normal(1.0).draw([classes, width], rng, &device)?))
                }
            };
            let units = || {
                block.units().ok_or_else(|| {
                    Error::argument(
                        "forward-forward",
                        format!("peer normalisation of block {i}"),
                        "on",
                        "strength 0: no layer of the block returns its units",
                    )
                })
            };
            let loss = GoodnessLoss::new(block.output().len(), settings.goodness, settings.loss, &device)?;
            let mut loss = loss.with_weight(settings.loss_weight);
            if settings.peer.strength > 0.0 {
                loss = loss.with_peer(units()?.units(), settings.peer, &device);
            }
            heads.push(GoodnessHead { label, loss });
        }
        let first = head_start(network.len());
        let width: usize = network.blocks()[first..].iter().map(|b| b.output().len()).sum();
        let softmax = settings
            .softmax_head
            .then(|| {
                init::linear(width, classes, Init::Zeros, Some(Init::Zeros), &mut seed.stream("output", &[]), &device)
            })
            .transpose()?;
        Ok(AnyRule::new(ForwardForward { heads, softmax, settings, classes, seed }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::network::MlpConfig;

    const GOODNESS: [&str; 8] =
        ["sum-squares", "mean-squares", "negative-sum-squares", "length", "mean", "top-k", "entmax", "burst"];

    fn parse(settings: Value) -> ForwardForwardConfig {
        serde_json::from_value(settings).unwrap()
    }

    fn refusals(config: &ForwardForwardConfig) -> Vec<ConfigError> {
        let network: MlpConfig = serde_json::from_value(json!({"widths": [9, 9], "normalisation": "rms"})).unwrap();
        config.check(&Context {
            network_name: "mlp",
            network: &network,
            blocks: Some(2),
            input: Some(RowShape::Features(20)),
            classes: Some(10),
            optimizer: None,
        })
    }

    #[test]
    fn a_threshold_is_on_the_scale_of_its_goodness() {
        for (preset, own, threshold) in
            [("hinton", "sum-squares", json!("width")), ("pezeshki", "mean-squares", json!(2.0))]
        {
            for goodness in GOODNESS {
                let resolved = parse(json!({"preset": preset, "goodness": goodness})).resolved();
                let expected = if goodness == own { threshold.clone() } else { json!("unit-scale") };
                assert_eq!(resolved["loss"]["threshold"], expected, "{preset} with {goodness}");
                let again = parse(resolved.clone());
                assert_eq!((again.resolved(), refusals(&again)), (resolved, Vec::new()), "{preset} with {goodness}");
            }
        }
        for goodness in GOODNESS {
            let loss = json!({"name": "logistic", "threshold": "width"});
            let errors = refusals(&parse(json!({"goodness": goodness, "loss": loss})));
            let paths: Vec<&str> = errors.iter().map(|e| e.path.as_str()).collect();
            let expected: &[&str] = if goodness == "sum-squares" { &[] } else { &["$.rule.loss.threshold"] };
            assert_eq!(paths, expected, "{goodness}");
        }
    }
}
