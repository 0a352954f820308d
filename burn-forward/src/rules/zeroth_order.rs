//! Zeroth-order learning: the gradient is estimated from losses of the network with slightly moved weights.
//!
//! Spall 1992, <https://doi.org/10.1109/9.119632> (SPSA); Malladi et al. 2023, arXiv 2305.17333 (seeds in place of
//! directions); Feng et al. 2025, arXiv 2501.01045 (sign and conserve). Let `w` `[d]` be the weights of the network and its
//! output layer as one vector, `L` the loss of a batch, `u_i` `[d]` one of `q` random directions and `e` a small number:
//!
//! - `g = 1/q sum_i (L(w + e u_i) - L(w - e u_i)) / (2 e) u_i`;
//! - the entries of `u_i` are 1 or -1 with equal probability, or normal with variance 1;
//! - with `sign`, `sign(g)` replaces `g`;
//! - with `conserve`, the weights after a step are those with the smallest loss among `w`, `w - a g` and `w + a g`, where `a`
//!   is the learning rate, so that learning from a batch never increases its loss.
//!
//! The mean of `g` is the gradient, up to terms of order `e^2`; its variance grows with `d / q`. All losses are of the same
//! batch. A direction is not stored: it is drawn from its key (seed, batch, query, block, parameter) wherever it is needed. A
//! block therefore learns from two losses per query and from numbers that it can draw itself. The partition has no effect
//! other than on these draws.
//!
//! In single precision a loss of order 1 is known to about 1e-7, and the differences of rows are taken before their mean, so
//! a slope has an error of about `1e-8 / e`; the curvature adds one of order `e^2 d`. On a network with 109 weights, the
//! measured error relative to the length of the gradient is 7e-3 for an `e` of 0.01, 8e-5 for the default, 2e-3 for 1e-5, and
//! 2e-2 for 1e-6.
//!
//! What we do differently: weights are not moved in place and back, which leaves rounding errors, but in a copy of one block
//! at a time, and the estimate goes to the optimiser as a gradient. With `conserve`, the optimiser moves them: three
//! [rounds](Rule::rounds) on a batch take one step forward, two steps back, and from there a step to the best of the three
//! points. The rule does not need to know the learning rate, but it needs an optimiser for which a step back undoes a step
//! forward: plain SGD. The passes run in inference mode: nothing is kept for a backward pass, dropout is off, and batch
//! normalisation uses its running statistics without updating them. In a network that has only learned by this rule, these
//! are the initial 0 and 1.

mod directions;

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use self::directions::{Directions, Estimate, Shift};
use super::dfa::{output_layer, output_scores};
use super::local_classifiers::export_heads;
use super::{
    AnyHead, AnyRule, BlockRange, Context, HeadReadout, Pass, Reach, ReadoutExport, Rule, RuleSpec, Scores, StepContext,
};
use crate::activation::{Activation, AnyActivation};
use crate::block::Block;
use crate::data::{Batch, BatchKey};
use crate::error::InBlock;
use crate::network::{Chain, Network};
use crate::optim::OptimizerConfig;
use crate::pieces::label;
use crate::pieces::projection::ProjectedCrossEntropy;
use crate::random::Seed;
use crate::tape::{Score, Tape};
use crate::{ConfigError, Error, Result};

pub use self::directions::DirectionEntries;

/// Settings of `zeroth-order`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `directions` | rademacher | rademacher, gaussian | distribution of the entries of a direction |
/// | `queries` | 1 | 1 to 10,000 | number of directions `q` per step, each with two passes of the network |
/// | `epsilon` | 0.001 | 1e-6 to 1 | how far weights move along a direction, `e` |
/// | `sign` | false | | whether to learn from the sign of the estimate |
/// | `conserve` | false | | keep the best weights among the current ones, a step forward and a step back; requires `sgd` without momentum, decay and clipping |
/// | `bias` | true | | whether the output layer has a bias |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ZerothOrderConfig {
    /// Distribution of the entries of a direction.
    pub directions: DirectionEntries,
    /// Number of directions per step, each with two passes of the network.
    #[cfg_attr(feature = "config", schemars(range(min = 1, max = 10_000)))]
    pub queries: usize,
    /// How far weights move along a direction.
    #[cfg_attr(feature = "config", schemars(range(min = 1e-6, max = 1.0)))]
    pub epsilon: f64,
    /// Whether to learn from the sign of the estimate.
    pub sign: bool,
    /// Keep the best weights among the current ones, those after a step and those after a step in the opposite direction;
    /// this takes three more passes.
    pub conserve: bool,
    /// Whether the output layer has a bias.
    pub bias: bool,
}

impl Default for ZerothOrderConfig {
    fn default() -> Self {
        Self {
            directions: DirectionEntries::default(),
            queries: 1,
            epsilon: 1e-3,
            sign: false,
            conserve: false,
            bias: true,
        }
    }
}

impl RuleSpec for ZerothOrderConfig {
    fn check(&self, context: &Context) -> Vec<ConfigError> {
        let undone = context.optimizer.is_none_or(OptimizerConfig::is_plain_sgd);
        if !self.conserve || undone {
            return Vec::new();
        }
        vec![ConfigError::new(
            "$.rule.conserve",
            "true requires that a step back undoes a step forward, which does not hold for this $.optimizer; \
             needed: \"sgd\" with \"momentum\": 0, no \"weight-decay\" and no \"clip\", or false",
        )]
    }

    fn reach(&self) -> Reach {
        Reach::Network(if self.conserve { "two losses per direction and three per step" } else { LOSSES })
    }

    fn greedy(&self) -> Result<(), String> {
        Err("zeroth-order learning needs losses of the whole network for every block".into())
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        let refuse = |what, given: String, needed| Err(Error::argument("zeroth-order", what, given, needed));
        if self.queries == 0 {
            return refuse("queries", "0".into(), ">= 1");
        }
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return refuse("epsilon", self.epsilon.to_string(), "finite and > 0");
        }
        let output = output_layer(network, classes, self.bias, seed)?;
        Ok(AnyRule::new(ZerothOrder { output, settings: self.clone(), seed }))
    }
}

/// A signal: losses of every row `[B, 2q]`, first those at `w + e u_i` and then those at `w - e u_i`.
const LOSSES: &str = "two losses";
/// A signal with `conserve`: losses of every row at the weights of each round so far, `[B, r]`.
const TRIED: &str = "losses of the rounds";

/// A classifier on the last block, and the estimate for it and for all blocks.
#[derive(Module, Debug)]
pub struct ZerothOrder {
    output: ProjectedCrossEntropy,
    #[module(skip)]
    settings: ZerothOrderConfig,
    #[module(skip)]
    seed: Seed,
}

impl ZerothOrder {
    /// Directions of the block with this index, or of the output layer for `None`, in the step at `key`.
    fn directions(&self, key: BatchKey, block: Option<usize>) -> Directions {
        let part = block.map_or(0, |index| index as u64 + 1);
        Directions { entries: self.settings.directions, seed: self.seed, at: [key.epoch, key.index, part] }
    }

    /// Losses of the rows `[B, 1]` and class scores `[B, C]` of the network and its output layer, with both moved by `shift`
    /// if it is given.
    fn losses(&self, network: &Network, rows: &Rows, key: BatchKey, shift: Option<Shift>) -> (Tensor<2>, Tensor<2>) {
        let mut x = rows.inputs.clone();
        for (index, block) in network.blocks().iter().enumerate() {
            x = self.directions(key, Some(index)).moved(block, shift).forward(x);
        }
        let scores = self.directions(key, None).moved(&self.output, shift).scores(&x);
        (losses_of_rows(scores.clone(), &rows.labels), scores)
    }

    /// Slopes of the loss along the directions `[1, q]`.
    fn slopes(&self, losses: &Tensor<2>) -> Tensor<2> {
        let queries = self.settings.queries;
        let difference = losses.clone().narrow(1, 0, queries) - losses.clone().narrow(1, queries, queries);
        difference.mean_dim(0) / (2.0 * self.settings.epsilon)
    }

    /// Puts the estimate for a block on the tape, times `factor` if it is given, and the mean of all losses, which is that of
    /// the network and not the block's own.
    fn teach(&self, index: usize, block: &Chain, pass: &Pass, factor: Option<&Tensor<2>>, tape: &mut Tape) {
        let _in_block = InBlock::new(index);
        if let Some(losses) = pass.signals.rows(LOSSES) {
            self.register(Some(index), block, losses, (pass.key, factor), tape);
            tape.record(index, Score::from(losses.clone().mean()));
        }
    }

    /// Like [`teach`](Self::teach), for the output layer.
    fn teach_output(&self, pass: &Pass, factor: Option<&Tensor<2>>, tape: &mut Tape) {
        if let Some(losses) = pass.signals.rows(LOSSES) {
            self.register(None, &self.output, losses, (pass.key, factor), tape);
        }
    }

    fn register<M: Module>(
        &self,
        block: Option<usize>,
        module: &M,
        losses: &Tensor<2>,
        (key, factor): (BatchKey, Option<&Tensor<2>>),
        tape: &mut Tape,
    ) {
        let estimate = Estimate { slopes: &self.slopes(losses), sign: self.settings.sign, factor };
        self.directions(key, block).register(module, estimate, tape);
    }

    /// The factor `[1, 1]` on the estimate in the step of this round, with `conserve`: 1 from the initial weights to one step
    /// forward, -2 from there to one step back, and from there whatever leads to the best of the three.
    fn next_move(&self, network: &Network, pass: &mut Pass) -> Tensor<2> {
        let (here, _) = self.losses(network, &Rows::of(pass), pass.key, None);
        let tried = match pass.signals.rows(TRIED) {
            Some(before) => Tensor::cat(vec![before.clone(), here], 1),
            None => here,
        };
        let ([_, round], device) = (tried.dims(), tried.device());
        pass.signals.put(TRIED, tried.clone());
        match round {
            1 => Tensor::ones([1, 1], &device),
            2 => Tensor::full([1, 1], -2.0, &device),
            _ => way_to_the_best(tried),
        }
    }
}

/// The factor `[1, 1]` from one step back: 1 leads to the initial weights, 2 to one step forward, and 0 stays.
///
/// # Shapes
/// - `tried`: `[B, 3]`, losses of the rows at the initial weights, one step forward and one step back.
fn way_to_the_best(tried: Tensor<2>) -> Tensor<2> {
    // Differences of rows first, as for slopes. Ties go to the first; NaN is never the best.
    let rise = (tried.clone() - tried.narrow(1, 0, 1)).mean_dim(0);
    let not_a_number = rise.clone().is_nan();
    let best = rise.mask_fill(not_a_number, f32::INFINITY).argmin(1);
    Tensor::from_floats([[1.0, 2.0, 0.0]], &best.device()).gather(1, best)
}

/// The input of a loss, without autodiff.
struct Rows {
    inputs: AnyActivation,
    labels: Tensor<1, Int>,
}

impl Rows {
    fn of(pass: &Pass) -> Self {
        Self { inputs: pass.streams[0].clone().without_autodiff(), labels: pass.labels.clone().without_autodiff() }
    }
}

impl Rule for ZerothOrder {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, network: &Network, batch: &Batch, context: StepContext, _: &mut Tape) -> Pass {
        let ZerothOrderConfig { queries, epsilon, .. } = self.settings;
        let mut pass = Pass { key: context.key, ..Pass::of(batch) };
        let rows = Rows::of(&pass);
        let mut losses = Vec::with_capacity(2 * queries);
        let mut logits: Option<Tensor<2>> = None;
        for by in [epsilon, -epsilon] {
            for query in 0..queries {
                let (loss, scores) = self.losses(network, &rows, context.key, Some(Shift { query, by }));
                losses.push(loss);
                logits = Some(logits.map_or(scores.clone(), |sum| sum + scores));
            }
        }
        // The mean of the scores of the moved networks: that of the network itself up to terms of order `e^2`, at no extra
        // cost.
        pass.logits = logits.map(|sum| sum / (2 * queries) as f64);
        pass.signals.put(LOSSES, Tensor::cat(losses, 1));
        pass
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        self.teach(index, block, pass, None, tape);
        self.advance(index, block, pass);
    }

    fn end(&self, _: &Network, pass: &mut Pass, tape: &mut Tape) {
        self.teach_output(pass, None, tape);
    }

    fn rounds(&self) -> usize {
        if self.settings.conserve { 3 } else { 1 }
    }

    /// In inference mode, like the passes that the losses come from.
    fn advance(&self, _: usize, block: &Chain, pass: &mut Pass) {
        let block = block.valid();
        for stream in &mut pass.streams {
            let device = stream.device();
            *stream = block.forward(stream.clone().without_autodiff()).with_autodiff(&device);
        }
    }

    /// Blocks need nothing but the losses, so a step needs no pass except those of [`begin`](Rule::begin), and with
    /// `conserve` one for its own loss.
    fn learn(&self, network: &Network, pass: &mut Pass, _: StepContext, tape: &mut Tape) {
        let factor = self.settings.conserve.then(|| self.next_move(network, pass));
        for (index, block) in network.blocks().iter().enumerate() {
            self.teach(index, block, pass, factor.as_ref(), tape);
        }
        self.teach_output(pass, factor.as_ref(), tape);
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        output_scores(network, &self.output, inputs)
    }

    fn output_head(&self) -> Option<ProjectedCrossEntropy> {
        Some(self.output.clone())
    }

    fn export(&self, _: &Network) -> ReadoutExport {
        export_heads(&[AnyHead::new(self.output.clone())], HeadReadout::Last, BlockRange::all(1))
    }
}

/// Cross-entropy of every row `[B, 1]`.
///
/// # Shapes
/// - `scores`: `[B, C]`; `labels`: `[B]`.
///
/// # Panics
/// The same as [`cross_entropy`](crate::pieces::pair_loss::cross_entropy).
fn losses_of_rows(scores: Tensor<2>, labels: &Tensor<1, Int>) -> Tensor<2> {
    label::check("zeroth-order", labels, scores.dims());
    let [rows, _] = scores.dims();
    log_softmax(scores, 1).gather(1, labels.clone().reshape([rows, 1])).neg()
}

#[cfg(test)]
mod tests;
