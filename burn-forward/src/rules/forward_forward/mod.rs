//! Forward-Forward: two forward passes, with correct and with wrong labels, and no backward pass between blocks.
//!
//! Hinton 2022, arXiv 2212.13345. Block `l` raises the goodness of positive samples (the input with its true label) and
//! lowers that of negative ones (the input with a wrong label): with `h = f(N(x) W + b)` and `g = sum h^2`,
//! `p(positive) = sigmoid(g - theta)`, trained by logistic loss on both kinds of samples. The length of `h`, which carries
//! the goodness, is removed by the normaliser of the next layer. There are three presets, every part of which can be set
//! separately:
//!
//! - `hinton`: the supervised MNIST recipe of Hinton's own program. Goodness `sum-squares` with the width as threshold, label
//!   overlay, peer normalisation, and hard negatives. These come from a softmax head that uses the blocks from the second on,
//!   in one pass with the neutral label.
//! - `pezeshki`: the widely used PyTorch program. Goodness `mean-squares` with threshold 2, shuffled labels as negatives, one
//!   block after another.
//! - `ff-plus`: the label is added to the pre-activation of every layer; `burst` goodness, SymBa loss, hard negatives, no
//!   peer normalisation.
//!
//! Predictions: `energy` runs every candidate label through the network and takes the label with the largest goodness;
//! `softmax` uses the head after one pass with the neutral label.
//!
//! What we do differently: new negatives are drawn in every step, while the program behind `pezeshki` draws them once for all
//! steps. Hinton drops the factor 2 of `d(h^2)`; here `loss-weight` 0.5 has this effect relative to the peer term. Weight
//! decay is part of the averaged gradient instead of a separate term, which is the same on average.

mod config;
mod head;
mod settings;

pub use config::{ForwardForwardConfig, ForwardForwardPreset};
pub use settings::EnergyReadout;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData};

use self::head::GoodnessHead;
use self::settings::{Settings, head_start};
use super::{Pass, ReadoutExport, Rule, Scores, StepContext};
use crate::activation::{Activation, AnyActivation};
use crate::data::Batch;
use crate::device::autodiff_leaf;
use crate::local::{LocalLoss, learn_from_trace};
use crate::network::{Candidates, Chain, Network};
use crate::pieces::goodness_loss::Pairs;
use crate::pieces::label::{self, LabelInput, one_hot};
use crate::pieces::normalisation::Normalisation;
use crate::pieces::pair_loss::cross_entropy;
use crate::random::Seed;
use crate::tape::Tape;

/// Goodness heads on every block and, if requested, a softmax head over the blocks.
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

/// Maximum size in bytes of the largest activation in a sweep; larger inputs are split.
const SWEEP_BYTES: usize = 64 << 20;

/// Number of input rows whose candidates, one per class, pass through the network at once, where `width` is the largest
/// number of values per row.
fn sweep_rows(classes: usize, width: usize) -> usize {
    (SWEEP_BYTES / (classes * width * size_of::<f32>()).max(1)).max(1)
}

impl ForwardForward {
    /// The inputs with `labels` added.
    fn inject(&self, inputs: &AnyActivation, labels: &Tensor<2>) -> AnyActivation {
        match self.settings.label_injection {
            LabelInput::Overlay { strength } => {
                inputs.with_features(label::overlay(inputs.features(), labels.clone() * strength))
            }
            LabelInput::PerLayer => inputs.clone(),
        }
    }

    /// The term that labels add to the first pre-activation of block `index`.
    fn bias(&self, index: usize, labels: &Tensor<2>) -> Option<Tensor<2>> {
        self.heads[index].label.as_ref().map(|v| labels.clone().matmul(v.val()))
    }

    /// The input of the softmax head `[B, sum d]`: normalised activities after a pass with the neutral label. `None` without
    /// a head, and for a prefix of the network, which lacks blocks that the head uses.
    fn neutral_features(&self, network: &Network, inputs: &AnyActivation) -> Option<Tensor<2>> {
        if self.softmax.is_none() || network.len() != self.heads.len() {
            return None;
        }
        let device = inputs.device();
        let neutral = Tensor::<2>::full([inputs.rows(), self.classes], 1.0 / self.classes as f64, &device);
        let mut x = self.inject(inputs, &neutral);
        let mut features = Vec::new();
        for (i, block) in network.blocks().iter().enumerate() {
            let bias = self.bias(i, &neutral).map(Tensor::without_autodiff);
            x = block.forward_with_bias(x, bias);
            if i >= head_start(self.heads.len()) {
                features.push(Normalisation::Rms.forward(x.features()));
            }
        }
        Some(Tensor::cat(features, 1))
    }

    /// Goodness of every candidate label in every block, `[B, C]` each.
    fn sweep(&self, network: &Network, inputs: &AnyActivation) -> Vec<Tensor<2>> {
        let (rows, classes) = (inputs.rows(), self.classes);
        let device = inputs.device();
        let (base, deltas) = match self.settings.label_injection {
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
            let biases = self.heads[i].label.as_ref().map(|v| v.val());
            x = if i == 0 {
                block.forward_candidates(&x, &Candidates { count: classes, inputs: deltas.clone(), biases })
            } else {
                block.forward_with_bias(x, biases.map(|v| v.repeat_dim(0, rows)))
            };
            goodness.push(self.settings.goodness.of(x.features()).reshape([rows, classes]));
        }
        goodness
    }
}

/// Labels of the negative samples `[B]`.
const NEGATIVES: &str = "negatives";

impl Rule for ForwardForward {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, network: &Network, batch: &Batch, context: StepContext, tape: &mut Tape) -> Pass {
        let mut pass = Pass::of(batch);
        let mut rng = context.seed.stream("negatives", &[context.key.epoch, context.key.index]);

        // The blocks do not learn from the neutral pass, so it runs on copies without autodiff; only the head learns from it.
        let plain = batch.inputs.clone().without_autodiff();
        if let (Some(features), Some(softmax)) = (self.neutral_features(&network.valid(), &plain), &self.softmax) {
            let logits = softmax.forward(autodiff_leaf(features, &batch.inputs.device()));
            tape.backward(&cross_entropy(logits.clone(), batch.targets.clone()), softmax);
            pass.logits = Some(logits.without_autodiff());
        }
        let wrong = self.settings.negatives.draw(&batch.targets, pass.logits.as_ref(), self.classes, &mut rng);
        pass.streams = vec![
            self.inject(&batch.inputs, &one_hot(&batch.targets, self.classes)),
            self.inject(&batch.inputs, &one_hot(&wrong, self.classes)),
        ];
        pass.signals.put(NEGATIVES, wrong);
        pass
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let (pairs, bias) = self.pairs(index, pass);
        let (both, head) = (pairs.rows().detach(), &self.heads[index]);
        let trace = match LocalLoss::<_, AnyActivation>::needs_units(head) {
            true => block.trace_with_bias(both, bias),
            false => block.forward_with_bias(both, bias).into(),
        };
        let h = learn_from_trace(block, head, index, trace, &pairs.polarity(), tape);
        pass.streams = split(&h, pairs.polarity().positives);
    }

    fn advance(&self, index: usize, block: &Chain, pass: &mut Pass) {
        let (pairs, bias) = self.pairs(index, pass);
        let h = block.forward_with_bias(pairs.rows(), bias).detach();
        pass.streams = split(&h, pairs.polarity().positives);
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        let rows = inputs.rows();
        let features = inputs.features();
        let [_, width] = features.dims();
        let outputs = network.blocks().iter().flat_map(Chain::layers).map(|layer| layer.output().len());
        let piece = sweep_rows(self.classes, outputs.chain([width]).max().unwrap_or(width));
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
            x = block.forward_with_bias(x, self.bias(i, &labels));
            outputs.push(x.clone());
        }
        outputs
    }

    fn export(&self, network: &Network) -> ReadoutExport {
        let (label, matrices) = match self.settings.label_injection {
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
        ReadoutExport { description, linears, matrices, ..ReadoutExport::default() }
    }
}

impl ForwardForward {
    /// Positive and negative rows, and what their labels add to the pre-activation.
    fn pairs(&self, index: usize, pass: &Pass) -> (Pairs<AnyActivation>, Option<Tensor<2>>) {
        let pairs = Pairs::new(&pass.streams[0], &pass.streams[1]);
        let bias = self.heads[index].label.as_ref().and_then(|_| {
            let wrong = pass.signals.classes(NEGATIVES)?.clone();
            let labels = Tensor::cat(vec![pass.labels.clone(), wrong], 0);
            self.bias(index, &one_hot(&labels, self.classes))
        });
        (pairs, bias)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_activations_of_a_sweep_are_bounded_in_bytes() {
        // Digits, MNIST with 4 x 2000 units, 64 maps of 32 x 32, an image of 512 x 512 with a thousand classes.
        for (classes, width) in [(10, 64), (10, 2000), (10, 64 * 32 * 32), (1000, 3 * 512 * 512), (1, 1)] {
            let (rows, row) = (sweep_rows(classes, width), classes * width * 4);
            assert!(rows == 1 || rows * row <= SWEEP_BYTES, "{classes} {width}: {rows} rows");
            assert!((rows + 1) * row > SWEEP_BYTES, "{classes} {width}: {rows} rows are fewer than fit");
        }
    }
}
