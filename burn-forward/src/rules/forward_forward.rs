//! Forward-Forward: two forward passes, on right and on wrong labels, and no backward pass between blocks.
//!
//! Hinton 2022, arXiv 2212.13345. Block `l` raises the goodness of positive samples (input with its true label) and
//! lowers that of negative ones (input with a wrong label): with `h = f(N(x) W + b)` and `g = sum h^2`,
//! `p(positive) = sigmoid(g - theta)`, both signs by logistic loss. The length of `h`, which carries the goodness, is
//! removed by the next layer's normaliser. Three recipes are presets; every piece of them can be set on its own:
//!
//! - `hinton`: the supervised MNIST recipe of the author's own program: goodness `sum-squares` with threshold = width,
//!   label overlay, hard negatives from a softmax head that reads the blocks from the second on in one pass with the
//!   neutral label, peer normalisation.
//! - `pezeshki`: the widely used PyTorch program: `mean-squares`, threshold 2, shuffled labels as negatives, one block
//!   after the other.
//! - `ff-plus`: label added to every layer's pre-activation, `burst` goodness, SymBa loss, hard negatives, no peer
//!   normalisation.
//!
//! Predictions: `energy` runs every candidate label through the network and takes the label with the most goodness;
//! `softmax` reads the head after one pass with the neutral label.
//!
//! What we do differently: the author drops the factor 2 of `d(h^2)`; here `loss-weight` 0.5 does that against the peer
//! term. Weight decay is inside the gradient average, not beside it; in the mean that is the same.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AnyRule, ParameterGroup, Pass, ReadoutExport, Rule, RuleSpec, Scores, StepContext};
use crate::activation::{Activation, AnyActivation, RowShape};
use crate::block::Trace;
use crate::config::Context;
use crate::data::Batch;
use crate::goodness::Goodness;
use crate::init::{self, Init};
use crate::label::{self, LabelInput, one_hot};
use crate::local::{LocalLoss, absorb};
use crate::negatives::{self, Negatives};
use crate::network::{Candidates, Chain, Network};
use crate::normalise::Normaliser;
use crate::optimize::{OptimizerConfig, OptimizerName};
use crate::pair_loss::{PairLoss, Threshold, cross_entropy};
use crate::peer::{PeerConfig, PeerNormalisation};
use crate::random::Seed;
use crate::tape::{Score, Tape};
use crate::{ConfigError, Error, Result};

/// A recipe that fills in what the config leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardForwardPreset {
    /// The author's supervised MNIST recipe.
    #[default]
    Hinton,
    /// The widely used PyTorch program.
    Pezeshki,
    /// Per-layer labels, burst goodness, SymBa, hard negatives.
    FfPlus,
}

/// Which prediction counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnergyReadout {
    /// The label with the most goodness, summed over blocks from `first-block` on.
    #[default]
    Energy,
    /// The softmax head, one pass with the neutral label.
    Softmax,
}

/// Settings of `forward-forward`. Defaults come from the preset.
///
/// | name | `hinton` | `pezeshki` | `ff-plus` | meaning |
/// |---|---|---|---|---|
/// | `preset` | | | | which column fills in the rest; default hinton |
/// | `goodness` | sum-squares | mean-squares | burst | see [`Goodness`] |
/// | `loss` | logistic, width, 1 | logistic, 2, 1 | symba, 1 | see [`PairLoss`] |
/// | `loss-weight` | 0.5 | 1 | 1 | weight of the pair loss against the peer term |
/// | `label` | overlay, 1 | overlay, 1 | per-layer | see [`LabelInput`] |
/// | `negatives` | hard | permuted | hard | see [`Negatives`] |
/// | `peer` | 0.03, 0.9 | strength 0 | strength 0 | see [`PeerConfig`]; strength 0 switches it off |
/// | `softmax-head` | true | false | true | train a softmax head; hard negatives need it |
/// | `first-block` | 1 | 0 | 0 | first block (from 0) whose goodness counts |
/// | `readout` | energy | energy | energy | energy or softmax |
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ForwardForwardConfig {
    /// The recipe that fills in what is left out. Below, values of the presets are in this order: hinton, pezeshki,
    /// ff-plus.
    #[serde(default)]
    pub preset: ForwardForwardPreset,
    /// Goodness function; without it the preset's: sum-squares, mean-squares, burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodness: Option<Goodness>,
    /// Loss of a pair of goodness values; without it the preset's: logistic with threshold width, logistic with
    /// threshold 2, symba with alpha 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<PairLoss>,
    /// Weight of the pair loss against the peer term; without it the preset's: 0.5, 1, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub loss_weight: Option<f64>,
    /// How a label enters the network; without it the preset's: overlay, overlay, per-layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelInput>,
    /// How wrong labels are chosen; without it the preset's: hard, permuted, hard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negatives: Option<Negatives>,
    /// Peer normalisation; without it the preset's: strength 0.03 and momentum 0.9 for hinton, none for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerConfig>,
    /// Whether to train a softmax head; without it the preset's: true, false, true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub softmax_head: Option<bool>,
    /// First block (from 0) whose goodness counts for the energy readout; without it the preset's: 1, 0, 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_block: Option<usize>,
    /// The prediction that counts; without it the preset's: energy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readout: Option<EnergyReadout>,
}

/// The settings with nothing left open.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Settings {
    goodness: Goodness,
    loss: PairLoss,
    loss_weight: f64,
    label: LabelInput,
    negatives: Negatives,
    peer: PeerConfig,
    softmax_head: bool,
    first_block: usize,
    readout: EnergyReadout,
}

impl ForwardForwardConfig {
    fn settings(&self) -> Settings {
        let no_peer = PeerConfig { strength: 0.0, ..PeerConfig::default() };
        let preset = match self.preset {
            ForwardForwardPreset::Hinton => Settings {
                goodness: Goodness::SumSquares,
                loss: PairLoss::default(),
                loss_weight: 0.5,
                label: LabelInput::default(),
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
                label: LabelInput::default(),
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
                label: LabelInput::PerLayer,
                negatives: Negatives::Hard,
                peer: no_peer,
                softmax_head: true,
                first_block: 0,
                readout: EnergyReadout::Energy,
            },
        };
        Settings {
            goodness: self.goodness.unwrap_or(preset.goodness),
            loss: self.loss.unwrap_or(preset.loss),
            loss_weight: self.loss_weight.unwrap_or(preset.loss_weight),
            label: self.label.unwrap_or(preset.label),
            negatives: self.negatives.unwrap_or(preset.negatives),
            peer: self.peer.unwrap_or(preset.peer),
            softmax_head: self.softmax_head.unwrap_or(preset.softmax_head),
            first_block: self.first_block.unwrap_or(preset.first_block),
            readout: self.readout.unwrap_or(preset.readout),
        }
    }
}

/// Learning rate, momentum and weight decay of the softmax head in the author's program: gradient averaged with
/// momentum 0.9, rate 0.1, decay 0.003.
const HEAD_LR: f64 = 0.1;
const HEAD_MOMENTUM: f64 = 0.9;
const HEAD_DECAY: f64 = 0.003;

impl RuleSpec for ForwardForwardConfig {
    fn resolved(&self) -> serde_json::Value {
        let s = self.settings();
        let full = Self {
            preset: self.preset,
            goodness: Some(s.goodness),
            loss: Some(s.loss),
            loss_weight: Some(s.loss_weight),
            label: Some(s.label),
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
        if matches!(context.network.get("normalisation").and_then(|n| n.as_str()), None | Some("none")) {
            errors.push(ConfigError::new(
                "$.network.normalisation",
                "\"none\" lets the next block read the goodness of the one before from the length of its output; \
                 'forward-forward' needs \"rms\", \"l2\" or \"layer-norm\"",
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
        if let (LabelInput::Overlay { .. }, Some(input), Some(classes)) = (s.label, context.input, context.classes)
            && input.len() < classes
        {
            errors.push(ConfigError::new(
                "$.rule.label",
                format!(
                    "an overlay of {classes} classes does not fit into {} input features; needed: \"per-layer\"",
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
                decay_bias: false,
                ..OptimizerConfig::new(OptimizerName::Sgd, HEAD_LR)
            },
        }]
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        if classes < 2 {
            return Err(Error::argument("forward-forward", "number of classes", classes, ">= 2, or no label is wrong"));
        }
        let settings = self.settings();
        let device = super::registry::device_of(network);
        let mut heads = Vec::with_capacity(network.len());
        for (i, block) in network.blocks().iter().enumerate() {
            let label = match settings.label {
                LabelInput::Overlay { .. } => None,
                LabelInput::PerLayer => {
                    let width = block.drive_width().ok_or_else(|| {
                        Error::argument(
                            "forward-forward",
                            format!("label of block {i}"),
                            "per-layer",
                            "\"overlay\": its first layer takes no label",
                        )
                    })?;
                    let rng = &mut seed.stream("label", &[i as u64]);
                    Some(Param::from_tensor(Init::Normal(1.0).draw([classes, width], rng, &device)?))
                }
            };
            let peer = (settings.peer.strength > 0.0)
                .then(|| PeerNormalisation::new(block.output().len(), settings.peer, &device));
            heads.push(GoodnessHead {
                label,
                peer,
                pieces: Pieces { goodness: settings.goodness, loss: settings.loss, weight: settings.loss_weight },
            });
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

/// First block that the softmax head reads: the second, where there is one ("works better without the first").
fn head_start(blocks: usize) -> usize {
    usize::from(blocks > 1)
}

/// Goodness of one block, with what it owns.
#[derive(Module, Debug)]
struct GoodnessHead {
    /// Label embedding `V` `[C, d]`, added to the first pre-activation.
    label: Option<Param<Tensor<2>>>,
    peer: Option<PeerNormalisation>,
    #[module(skip)]
    pieces: Pieces,
}

#[derive(Debug, Clone, Copy)]
struct Pieces {
    goodness: Goodness,
    loss: PairLoss,
    weight: f64,
}

/// The first `positives` rows of a pass are positive samples, the others their negatives in the same order.
struct Polarity {
    positives: usize,
}

impl<A: Activation> LocalLoss<Polarity, A> for GoodnessHead {
    fn score(&self, trace: &Trace<A>, signal: &Polarity) -> Score {
        let h = trace.output.features();
        let [rows, width] = h.dims();
        let b = signal.positives;
        let g = self.pieces.goodness.of(h.clone());
        let (positive, negative) = (g.clone().narrow(0, 0, b), g.narrow(0, b, rows - b));
        let mut loss = self.pieces.loss.forward(positive.clone(), negative.clone(), width) * self.pieces.weight;
        if let (Some(peer), Some(z)) = (&self.peer, &trace.pre_activation) {
            let [_, z_width] = z.dims();
            loss = loss + peer.penalty(z.clone().slice([0..b, 0..z_width]), h.slice([0..b, 0..width]));
        }
        Score { goodness_positive: Some(positive), goodness_negative: Some(negative), ..Score::from(loss) }
    }
}

/// Goodness heads on every block and, where asked for, a softmax head over the blocks.
#[derive(Module, Debug)]
pub struct ForwardForward {
    heads: Vec<GoodnessHead>,
    softmax: Option<Linear>,
    #[module(skip)]
    settings: Settings,
    classes: usize,
    #[module(skip)]
    seed: Seed,
}

/// Rows times candidates that one sweep puts through the network at once; more is done in pieces.
const SWEEP_ROWS: usize = 10_000;

impl ForwardForward {
    /// The inputs with `labels` in them.
    fn inject(&self, inputs: &AnyActivation, labels: &Tensor<2>) -> AnyActivation {
        match self.settings.label {
            LabelInput::Overlay { strength } => {
                inputs.with_features(label::overlay(inputs.features(), labels.clone() * strength))
            }
            LabelInput::PerLayer => inputs.clone(),
        }
    }

    /// What a label adds to the first pre-activation of block `index`.
    fn drive(&self, index: usize, labels: &Tensor<2>) -> Option<Tensor<2>> {
        self.heads[index].label.as_ref().map(|v| labels.clone().matmul(v.val()))
    }

    /// What the softmax head reads `[B, sum d]`: normalised activities after a pass with the neutral label. `None` without
    /// a head, and for a prefix of the network, which lacks blocks that the head reads.
    fn neutral_features(&self, network: &Network, inputs: &AnyActivation) -> Option<Tensor<2>> {
        if self.softmax.is_none() || network.len() != self.heads.len() {
            return None;
        }
        let device = inputs.device();
        let neutral = Tensor::<2>::full([inputs.rows(), self.classes], 1.0 / self.classes as f64, &device);
        let mut x = self.inject(inputs, &neutral);
        let mut features = Vec::new();
        for (i, block) in network.blocks().iter().enumerate() {
            let drive = self.drive(i, &neutral).map(Tensor::without_autodiff);
            x = block.trace_driven(x, drive).output;
            if i >= head_start(self.heads.len()) {
                features.push(Normaliser::Rms.forward(x.features()));
            }
        }
        Some(Tensor::cat(features, 1))
    }

    /// Goodness of every candidate label at every block: `[B, C]` each.
    fn sweep(&self, network: &Network, inputs: &AnyActivation) -> Vec<Tensor<2>> {
        let (rows, classes) = (inputs.rows(), self.classes);
        let device = inputs.device();
        let (base, deltas) = match self.settings.label {
            LabelInput::Overlay { strength } => {
                let features = inputs.features();
                let [_, width] = features.dims();
                let base = inputs.with_features(label::clear_overlay(features, classes));
                (base, Some(label::overlay_candidates(classes, width, strength, &device)))
            }
            LabelInput::PerLayer => (inputs.clone(), None),
        };
        let mut goodness = Vec::with_capacity(network.len());
        let mut x = base;
        for (i, block) in network.blocks().iter().enumerate() {
            let drives = self.heads[i].label.as_ref().map(|v| v.val());
            let trace = if i == 0 {
                block.trace_candidates(&x, &Candidates { count: classes, inputs: deltas.clone(), drives })
            } else {
                block.trace_driven(x, drives.map(|v| v.repeat_dim(0, rows)))
            };
            x = trace.output;
            goodness.push(self.settings.goodness.of(x.features()).reshape([rows, classes]));
        }
        goodness
    }

    fn label_values(labels: &Tensor<1, Int>) -> Vec<i64> {
        labels.to_data().iter::<i64>().collect()
    }
}

impl Rule for ForwardForward {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, network: &Network, batch: &Batch, context: StepContext, tape: &mut Tape) -> Pass {
        let mut pass = Pass::of(batch);
        let labels = Self::label_values(&batch.targets);
        let mut rng = context.seed.stream("negatives", &[context.key.epoch, context.key.index]);

        // The neutral pass only reads the blocks, so it runs on copies without autodiff; the head alone learns from it.
        let plain = batch.inputs.clone().without_autodiff();
        if let (Some(features), Some(softmax)) = (self.neutral_features(&network.valid(), &plain), &self.softmax) {
            let logits = softmax.forward(Tensor::from_inner(features));
            tape.backward(&cross_entropy(logits.clone(), batch.targets.clone()), softmax);
            pass.logits = Some(logits.without_autodiff());
        }
        let wrong = match (self.settings.negatives, &pass.logits) {
            (Negatives::Hard, Some(logits)) => {
                let values: Vec<f32> = logits.to_data().iter::<f32>().collect();
                negatives::hard(&labels, &values, self.classes, &mut rng)
            }
            (Negatives::Permuted, _) => negatives::permuted(&labels, &mut rng),
            _ => negatives::wrong(&labels, self.classes, &mut rng),
        };
        let rows = wrong.len();
        let wrong = Tensor::<1, Int>::from_data(TensorData::new(wrong, [rows]), &batch.targets.device());
        pass.streams = vec![
            self.inject(&batch.inputs, &one_hot(&batch.targets, self.classes)),
            self.inject(&batch.inputs, &one_hot(&wrong, self.classes)),
        ];
        pass.negatives = Some(wrong);
        pass
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let (both, drive, positives) = self.both(index, pass);
        let trace = block.trace_driven(both.detach(), drive);
        let h = absorb(block, &self.heads[index], index, trace, &Polarity { positives }, tape);
        pass.streams = split(&h, positives);
    }

    fn advance(&self, index: usize, block: &Chain, pass: &mut Pass) {
        let (both, drive, positives) = self.both(index, pass);
        let h = block.trace_driven(both, drive).output.detach();
        pass.streams = split(&h, positives);
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        let rows = inputs.rows();
        let piece = (SWEEP_ROWS / self.classes).max(1);
        let features = inputs.features();
        let [_, width] = features.dims();
        let mut blocks: Vec<Vec<Tensor<2>>> = vec![Vec::new(); network.len()];
        let mut softmax = Vec::new();
        for start in (0..rows).step_by(piece) {
            let part = inputs.with_features(features.clone().slice([start..(start + piece).min(rows), 0..width]));
            for (all, g) in blocks.iter_mut().zip(self.sweep(network, &part)) {
                all.push(g);
            }
            softmax.extend(
                self.neutral_features(network, &part).zip(self.softmax.as_ref()).map(|(f, head)| head.forward(f)),
            );
        }
        let blocks: Vec<Tensor<2>> = blocks.into_iter().map(|parts| Tensor::cat(parts, 0)).collect();
        let sum = |from: usize| {
            let from = from.min(blocks.len() - 1);
            blocks[from + 1..].iter().fold(blocks[from].clone(), |a, b| a + b.clone())
        };
        let mut readouts = vec![("energy", sum(self.settings.first_block)), ("energy-all", sum(0))];
        if !softmax.is_empty() {
            readouts.push(("softmax", Tensor::cat(softmax, 0)));
        }
        let primary = match self.settings.readout {
            EnergyReadout::Softmax if readouts.len() > 2 => 2,
            _ => 0,
        };
        Scores { blocks: blocks.into_iter().map(Some).collect(), readouts, primary }
    }

    fn activities(&self, network: &Network, batch: &Batch) -> Vec<AnyActivation> {
        let labels = one_hot(&batch.targets, self.classes);
        let mut x = self.inject(&batch.inputs, &labels);
        let mut outputs = Vec::with_capacity(network.len());
        for (i, block) in network.blocks().iter().enumerate() {
            x = block.trace_driven(x, self.drive(i, &labels)).output;
            outputs.push(x.clone());
        }
        outputs
    }

    fn export(&self, network: &Network) -> ReadoutExport {
        let (label, matrices) = match self.settings.label {
            LabelInput::Overlay { strength } => {
                (serde_json::json!({"kind": "overlay", "strength": strength}), Vec::new())
            }
            LabelInput::PerLayer => {
                let named: Vec<(String, TensorData)> = self
                    .heads
                    .iter()
                    .take(network.len())
                    .enumerate()
                    .filter_map(|(i, h)| Some((format!("labels.{i}"), h.label.as_ref()?.val().into_data())))
                    .collect();
                let names: Vec<&String> = named.iter().map(|(n, _)| n).collect();
                (serde_json::json!({"kind": "per-layer", "names": names}), named)
            }
        };
        let (description, linears) = match (self.settings.readout, &self.softmax) {
            (EnergyReadout::Softmax, Some(softmax)) => {
                let description = serde_json::json!({
                    "kind": "neutral-linear",
                    "classes": self.classes,
                    "label": label,
                    "name": "head",
                    "normalisation": "rms",
                    "first_block": head_start(self.heads.len()),
                });
                let bias = softmax.bias.as_ref().map(|b| b.val().into_data());
                (description, vec![("head".to_string(), softmax.weight.val().into_data(), bias)])
            }
            _ => {
                let description = serde_json::json!({
                    "kind": "energy",
                    "classes": self.classes,
                    "label": label,
                    "goodness": self.settings.goodness,
                    "first_block": self.settings.first_block,
                });
                (description, Vec::new())
            }
        };
        ReadoutExport { description, linears, matrices }
    }
}

impl ForwardForward {
    /// Positive and negative rows as one activation, what their labels add to the pre-activation, and how many are
    /// positive. One product of twice the rows is faster than two.
    fn both(&self, index: usize, pass: &Pass) -> (AnyActivation, Option<Tensor<2>>, usize) {
        let positives = pass.streams[0].rows();
        let features = pass.streams.iter().map(|s| s.features()).collect();
        let both = pass.streams[0].with_features(Tensor::cat(features, 0));
        let drive = self.heads[index].label.as_ref().and_then(|_| {
            let wrong = pass.negatives.clone()?;
            let labels = Tensor::cat(vec![pass.labels.clone(), wrong], 0);
            self.drive(index, &one_hot(&labels, self.classes))
        });
        (both, drive, positives)
    }
}

/// The two streams of a pass that went through a block together.
fn split(both: &AnyActivation, positives: usize) -> Vec<AnyActivation> {
    let features = both.features();
    let [rows, width] = features.dims();
    vec![
        both.with_features(features.clone().slice([0..positives, 0..width])),
        both.with_features(features.slice([positives..rows, 0..width])),
    ]
}
