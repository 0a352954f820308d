//! Zeroth-order learning: the gradient is estimated from losses of the network with its weights moved a little.
//!
//! Spall 1992, <https://doi.org/10.1109/9.119632> (SPSA); Malladi et al. 2023, arXiv 2305.17333 (seeds in the place of
//! directions); Feng et al. 2025, arXiv 2501.01045 (the sign). With the weights of the network and of its output layer as one
//! vector `w` `[d]`, the loss `L` of a batch, `q` random directions `u_i` `[d]` and a small `e`:
//!
//! - `g = 1/q sum_i (L(w + e u_i) - L(w - e u_i)) / (2 e) u_i`;
//! - the entries of `u_i` are 1 or -1 with equal probability, or normal with variance 1;
//! - with `sign`, `sign(g)` takes the place of `g`.
//!
//! The mean of `g` is the gradient, up to terms of order `e^2`; its variance grows with `d / q`. Both losses are of the same
//! batch. A direction is not kept: it is drawn from its address (seed, batch, query, block, parameter) wherever it is needed,
//! and what a block learns is two losses per query and numbers that it can draw itself. The partition changes nothing but these
//! draws.
//!
//! What we do differently: weights are not moved in place and back, which leaves rounding errors, but in a copy of one block at
//! a time, and the estimate goes to the optimiser as a gradient. The passes run as at inference: nothing is kept for a
//! backward pass, dropout drops nothing, and batch normalisation uses its running statistics, which stay as they are.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Shape, Tensor, TensorData};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::dfa::{output_layer, output_scores};
use super::local_classifiers::export_heads;
use super::{
    AnyHead, AnyRule, BlockRange, HeadReadout, Pass, Reach, ReadoutExport, Rule, RuleSpec, Scores, StepContext,
};
use crate::activation::{Activation, AnyActivation};
use crate::block::Block;
use crate::data::{Batch, BatchKey};
use crate::error::InBlock;
use crate::network::{Chain, Network};
use crate::pieces::label;
use crate::pieces::projection::ProjectedCrossEntropy;
use crate::random::Seed;
use crate::tape::{Score, Tape};
use crate::{Error, Result};

/// Distribution of the entries of a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DirectionEntries {
    /// 1 or -1, with equal probability.
    #[default]
    Rademacher,
    /// Normal, with mean 0 and variance 1.
    Gaussian,
}

impl DirectionEntries {
    /// So many entries.
    fn draw(self, count: usize, rng: &mut crate::random::Rng) -> Vec<f32> {
        match self {
            Self::Rademacher => {
                let words: Vec<u64> = (0..count.div_ceil(64)).map(|_| rng.random()).collect();
                (0..count).map(|i| if words[i / 64] >> (i % 64) & 1 == 1 { 1.0 } else { -1.0 }).collect()
            }
            Self::Gaussian => (0..count).map(|_| StandardNormal.sample(rng)).collect(),
        }
    }
}

/// Settings of `zeroth-order`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `directions` | rademacher | rademacher, gaussian | distribution of the entries of a direction |
/// | `queries` | 1 | 1 to 10,000 | directions `q` per step, two passes of the network each |
/// | `epsilon` | 0.001 | 1e-6 to 1 | how far weights move along a direction, `e` |
/// | `sign` | false | | learn from the sign of the estimate |
/// | `bias` | true | | whether the output layer has a bias |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ZerothOrderConfig {
    /// Distribution of the entries of a direction.
    pub directions: DirectionEntries,
    /// Directions per step, two passes of the network each.
    #[cfg_attr(feature = "config", schemars(range(min = 1, max = 10_000)))]
    pub queries: usize,
    /// How far weights move along a direction.
    #[cfg_attr(feature = "config", schemars(range(min = 1e-6, max = 1.0)))]
    pub epsilon: f64,
    /// Learn from the sign of the estimate.
    pub sign: bool,
    /// Whether the output layer has a bias.
    pub bias: bool,
}

impl Default for ZerothOrderConfig {
    fn default() -> Self {
        Self { directions: DirectionEntries::default(), queries: 1, epsilon: 1e-3, sign: false, bias: true }
    }
}

impl RuleSpec for ZerothOrderConfig {
    fn reach(&self) -> Reach {
        Reach::Network(LOSSES)
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

/// The signal: losses of every row `[B, 2q]`, those at `w + e u_i` and then those at `w - e u_i`.
const LOSSES: &str = "two losses";

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
    /// Directions of the block with this index at the step `key`; of the output layer for `None`.
    fn directions(&self, key: BatchKey, block: Option<usize>) -> Directions {
        let part = block.map_or(0, |index| index as u64 + 1);
        Directions { entries: self.settings.directions, seed: self.seed, at: [key.epoch, key.index, part] }
    }

    /// Class scores `[B, C]` of the network and its output layer, both moved by `by` along the directions of `query`.
    fn moved_scores(
        &self,
        network: &Network,
        inputs: &AnyActivation,
        key: BatchKey,
        query: usize,
        by: f64,
    ) -> Tensor<2> {
        let mut x = inputs.clone();
        for (index, block) in network.blocks().iter().enumerate() {
            x = self.directions(key, Some(index)).moved(block, query, by).forward(x);
        }
        self.directions(key, None).moved(&self.output, query, by).scores(&x)
    }

    /// Slopes of the loss along the directions `[1, q]`.
    fn slopes(&self, losses: &Tensor<2>) -> Tensor<2> {
        let queries = self.settings.queries;
        let difference = losses.clone().narrow(1, 0, queries) - losses.clone().narrow(1, queries, queries);
        difference.mean_dim(0) / (2.0 * self.settings.epsilon)
    }

    /// Puts the estimate for a block on the tape, and the mean of all losses, which is the network's and not its own.
    fn teach(&self, index: usize, block: &Chain, pass: &Pass, tape: &mut Tape) {
        let _in_block = InBlock::new(index);
        if let Some(losses) = pass.signals.rows(LOSSES) {
            let directions = self.directions(pass.key, Some(index));
            directions.register(block, &self.slopes(losses), self.settings.sign, tape);
            tape.record(index, Score::from(losses.clone().mean()));
        }
    }
}

impl Rule for ZerothOrder {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, network: &Network, batch: &Batch, context: StepContext, tape: &mut Tape) -> Pass {
        let ZerothOrderConfig { queries, epsilon, sign, .. } = self.settings;
        let (inputs, labels) = (batch.inputs.clone().without_autodiff(), batch.targets.clone().without_autodiff());
        let mut losses = Vec::with_capacity(2 * queries);
        let mut logits: Option<Tensor<2>> = None;
        for by in [epsilon, -epsilon] {
            for query in 0..queries {
                let scores = self.moved_scores(network, &inputs, context.key, query, by);
                losses.push(losses_of_rows(scores.clone(), &labels));
                logits = Some(logits.map_or(scores.clone(), |sum| sum + scores));
            }
        }
        let losses = Tensor::cat(losses, 1);
        self.directions(context.key, None).register(&self.output, &self.slopes(&losses), sign, tape);
        // The mean of what the moved networks say: that of the network itself up to terms of order `e^2`, at no extra cost.
        let logits = logits.map(|sum| sum / (2 * queries) as f64);
        let mut pass = Pass { key: context.key, logits, ..Pass::of(batch) };
        pass.signals.put(LOSSES, losses);
        pass
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        self.teach(index, block, pass, tape);
        self.advance(index, block, pass);
    }

    /// As at inference, as the passes that the losses come from.
    fn advance(&self, _: usize, block: &Chain, pass: &mut Pass) {
        let block = block.valid();
        for stream in &mut pass.streams {
            let device = stream.device();
            *stream = block.forward(stream.clone().without_autodiff()).with_autodiff(&device);
        }
    }

    /// No block is given anything but the losses, so a step needs no pass beside those of [`begin`](Rule::begin).
    fn learn(&self, network: &Network, pass: &mut Pass, _: StepContext, tape: &mut Tape) {
        for (index, block) in network.blocks().iter().enumerate() {
            self.teach(index, block, pass, tape);
        }
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
/// As [`cross_entropy`](crate::pieces::pair_loss::cross_entropy).
fn losses_of_rows(scores: Tensor<2>, labels: &Tensor<1, Int>) -> Tensor<2> {
    label::check("zeroth-order", labels, scores.dims());
    let [rows, _] = scores.dims();
    log_softmax(scores, 1).gather(1, labels.clone().reshape([rows, 1])).neg()
}

/// The directions of one module's parameters at one step.
#[derive(Debug, Clone, Copy)]
struct Directions {
    entries: DirectionEntries,
    seed: Seed,
    /// Epoch, batch and module.
    at: [u64; 3],
}

impl Directions {
    /// The direction of a parameter under `query`.
    fn draw<const D: usize>(&self, query: usize, parameter: usize, shape: Shape, device: &Device) -> Tensor<D> {
        let [epoch, batch, module] = self.at;
        let mut rng = self.seed.stream("directions", &[epoch, batch, query as u64, module, parameter as u64]);
        Tensor::from_data(TensorData::new(self.entries.draw(shape.num_elements(), &mut rng), shape), device)
    }

    /// A copy of `module` as at inference, every parameter that learns moved by `by` along its direction.
    fn moved<M: Module>(&self, module: &M, query: usize, by: f64) -> M {
        let mut learning = Learning(Vec::new());
        module.visit(&mut learning);
        // Not a clone: that would share running statistics, and changing it would change the original's.
        module.valid().map(&mut Move { directions: self, learning: learning.0, query, by })
    }

    /// Puts the estimate for `module` on the tape.
    ///
    /// # Shapes
    /// - `slopes`: `[1, q]`, of the loss along every direction.
    fn register<M: Module>(&self, module: &M, slopes: &Tensor<2>, sign: bool, tape: &mut Tape) {
        module.visit(&mut Register { directions: self, slopes, sign, next: 0, tape });
    }
}

/// Collects the parameters that learn, in order.
struct Learning(Vec<ParamId>);

impl ModuleVisitor for Learning {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0.push(param.id);
        }
    }
}

/// Moves parameters along their directions.
struct Move<'a> {
    directions: &'a Directions,
    learning: Vec<ParamId>,
    query: usize,
    by: f64,
}

impl ModuleMapper for Move<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(parameter) = self.learning.iter().position(|id| *id == param.id) else { return param };
        param.map(|value| {
            let direction = self.directions.draw::<D>(self.query, parameter, value.shape(), &value.device());
            value + direction * self.by
        })
    }
}

/// Puts estimates on the tape.
struct Register<'a> {
    directions: &'a Directions,
    slopes: &'a Tensor<2>,
    sign: bool,
    next: usize,
    tape: &'a mut Tape,
}

impl ModuleVisitor for Register<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let parameter = self.next;
        self.next += 1;
        let ([_, queries], device) = (self.slopes.dims(), self.slopes.device());
        let mut sum = Tensor::<D>::zeros(param.lazy_shape(), &device);
        for query in 0..queries {
            let slope = self.slopes.clone().narrow(1, query, 1).reshape([1; D]);
            sum = sum + self.directions.draw::<D>(query, parameter, param.lazy_shape(), &device) * slope;
        }
        let estimate = sum / queries as f64;
        self.tape.register(param.id, if self.sign { estimate.sign() } else { estimate });
    }
}

#[cfg(test)]
mod tests;
