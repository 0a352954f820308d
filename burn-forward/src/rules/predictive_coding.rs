//! Predictive coding: the states of all blocks relax until they agree, and every block learns to predict its own state.
//!
//! Whittington and Bogacz 2017, <https://doi.org/10.1162/NECO_a_00949>; Salvatori et al. 2024, arXiv 2212.00720
//! (incremental); Millidge, Tschantz and Buckley 2022, arXiv 2006.04182 (fixed predictions); settings of Pinchetti et al.
//! 2025, arXiv 2407.01163. Let `x_0` `[B, d_0]` be the input, `f_l` with `l = 1 .. L` the blocks, `x_l` `[B, d_l]` their
//! states, `O` the output layer, and `y` `[B, C]` the one-hot targets:
//!
//! - A block predicts `u_l = f_l(x_{l-1})`; its error is `e_l = x_l - u_l` and its energy `E_l = |e_l|^2 / 2`. The energy of
//!   the output is `|y - O(x_L)|^2 / 2`, or the cross-entropy of `O(x_L)`. `F` is the sum over blocks and rows.
//! - States start from a forward pass, where every `e_l` is 0, and move `steps` times, each row by its own gradient:
//!   `v_l <- mu v_l + dF/dx_l`, `x_l <- x_l - eta v_l`, with `dF/dx_l = e_l - e_{l+1} df_{l+1}/dx_l`.
//! - Weights learn from `dF/dtheta / B`: once, at the states after the last step; or, if `incremental`, `steps` times, each
//!   time at the states before a step of the states.
//!
//! With every step of the states, an error reaches one more block. With `prediction` `fixed`, the `u_l` and their derivatives
//! remain those of the forward pass. `steps >= L` with `eta = 1` and `mu = 0` then make `e_l` the negative gradient of
//! back-propagation at the output of block `l`, and the weights learn the same as under back-propagation.
//!
//! Classes are predicted by a forward pass; no state relaxes at inference.
//!
//! What we do differently: blocks are those of the partition, and each has one state. All passes over a batch have the same
//! dropout masks. If a block has batch normalisation, each pass is normalised by its own statistics. Only those of the
//! forward pass update the running statistics, which are used at inference. Targets are clamped; nudging is not supported.

mod settings;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor};

pub use settings::{PcOutput, PcPrediction, PredictiveCodingConfig};

use super::dfa::{output_layer, output_scores};
use super::local_classifiers::export_heads;
use super::{
    AnyHead, AnyRule, BlockRange, Context, HeadReadout, Pass, Reach, ReadoutExport, Rule, RuleSpec, Scores, StepContext,
};
use crate::activation::{Activation, AnyActivation};
use crate::block::{Block, Trace};
use crate::data::Batch;
use crate::device::autodiff_leaf;
use crate::error::InBlock;
use crate::network::{Chain, Network};
use crate::pieces::dropout;
use crate::pieces::label::one_hot;
use crate::pieces::pair_loss::cross_entropy;
use crate::pieces::projection::ProjectedCrossEntropy;
use crate::random::Seed;
use crate::tape::{Score, Tape};
use crate::{ConfigError, Error, Result};

impl RuleSpec for PredictiveCodingConfig {
    fn resolved(&self) -> serde_json::Value {
        let (state_lr, state_momentum) = (Some(self.state_lr()), Some(self.state_momentum()));
        serde_json::to_value(Self { state_lr, state_momentum, ..self.clone() }).unwrap_or_default()
    }

    fn check(&self, _: &Context) -> Vec<ConfigError> {
        if !self.contradicts_itself() {
            return Vec::new();
        }
        let message = "\"fixed\" predictions are those of one forward pass, but incremental weights learn several times per \
                       batch; needed: \"current\", or incremental false";
        vec![ConfigError::new("$.rule.prediction", message)]
    }

    fn reach(&self) -> Reach {
        Reach::Network("states that relax together")
    }

    fn greedy(&self) -> Result<(), String> {
        Err("the states of all blocks relax together, so blocks cannot be trained one after the other".into())
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        let refuse = |what, given: String, needed| Err(Error::argument("predictive-coding", what, given, needed));
        let (state_lr, state_momentum) = (self.state_lr(), self.state_momentum());
        if self.contradicts_itself() {
            return refuse("prediction", "fixed, and incremental".into(), "current if weights learn several times");
        }
        if self.steps == 0 {
            return refuse("steps", "0".into(), ">= 1");
        }
        if !(state_lr.is_finite() && state_lr > 0.0) {
            return refuse("state-lr", state_lr.to_string(), "finite and > 0");
        }
        if !(0.0..1.0).contains(&state_momentum) {
            return refuse("state-momentum", state_momentum.to_string(), "in [0, 1)");
        }
        Ok(AnyRule::new(PredictiveCoding {
            output: output_layer(network, classes, true, seed)?,
            settings: self.clone(),
        }))
    }
}

/// The states `x_l` of the blocks.
const STATES: &str = "states";
/// The input of the first block, for the following rounds.
const INPUT: &str = "input";
/// `dF/dx_l`, as far as the blocks of this round have contributed to it.
const FORCES: &str = "forces on the states";
/// `v_l`.
const VELOCITIES: &str = "velocities of the states";

/// An output layer, and the relaxation of the states.
#[derive(Module, Debug)]
pub struct PredictiveCoding {
    output: ProjectedCrossEntropy,
    #[module(skip)]
    settings: PredictiveCodingConfig,
}

/// `|error|^2 / 2` summed over rows and features `[1]`.
fn energy(error: Tensor<2>) -> Tensor<1> {
    error.square().sum() * 0.5
}

/// The input of a block; if `asked`, as a leaf that receives a gradient.
fn entering(activation: &AnyActivation, asked: bool) -> (Option<Tensor<2>>, AnyActivation) {
    if !asked {
        return (None, activation.clone().detach());
    }
    let leaf = activation.features().detach().require_grad();
    (Some(leaf.clone()), activation.with_features(leaf))
}

/// The module with separate running statistics, which start from those of `module`. Its parameters are shared.
fn with_own_statistics<M: Module>(module: &M, device: &Device) -> M {
    // A clone would share the statistics.
    module.valid().train().map(&mut OnDevice(device))
}

/// Moves parameters to a training device with all its settings, such as gradient checkpointing.
struct OnDevice<'a>(&'a Device);

impl ModuleMapper for OnDevice<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let learns = param.is_require_grad();
        param.map(|value| autodiff_leaf(value.without_autodiff(), self.0).set_require_grad(learns))
    }
}

impl PredictiveCoding {
    /// The energy of the output layer for the input `below`, summed over rows, `[1]`.
    fn output_energy(
        &self,
        output: &ProjectedCrossEntropy,
        below: &AnyActivation,
        labels: &Tensor<1, Int>,
    ) -> Tensor<1> {
        let scores = output.scores(below);
        let [rows, classes] = scores.dims();
        match self.settings.output {
            PcOutput::SquaredError => energy(one_hot(labels, classes) - scores),
            PcOutput::CrossEntropy => cross_entropy(scores, labels.clone()) * rows as f64,
        }
    }

    /// `dF/dx_l` for every state, where `entered` are the inputs of the blocks and of the output layer; without autodiff.
    fn forces(
        &self,
        blocks: &[Chain],
        output: &ProjectedCrossEntropy,
        entered: &[AnyActivation],
        states: &[AnyActivation],
        labels: &Tensor<1, Int>,
    ) -> Vec<Tensor<2>> {
        dropout::repeat();
        let mut forces: Vec<Tensor<2>> = Vec::with_capacity(states.len());
        let pull = |forces: &mut Vec<Tensor<2>>, leaf: Option<Tensor<2>>, loss: Tensor<1>| {
            if let (Some(leaf), Some(force)) = (leaf, forces.last_mut())
                && let Some(gradient) = leaf.grad(&loss.backward())
            {
                *force = force.clone() + gradient;
            }
        };
        for (index, ((block, state), below)) in blocks.iter().zip(states).zip(entered).enumerate() {
            let _in_block = InBlock::new(index);
            let (leaf, below) = entering(below, index > 0);
            let error = state.features() - block.forward(below).features();
            pull(&mut forces, leaf, energy(error.clone()));
            forces.push(error.without_autodiff());
        }
        if let Some(top) = entered.last() {
            let (leaf, below) = entering(top, true);
            pull(&mut forces, leaf, self.output_energy(output, &below, labels));
        }
        forces
    }

    /// A state and its velocity after a step with `force`.
    fn step(&self, state: &AnyActivation, velocity: Option<Tensor<2>>, force: Tensor<2>) -> (AnyActivation, Tensor<2>) {
        let velocity = match velocity {
            Some(velocity) => velocity * self.settings.state_momentum() + force,
            None => force,
        };
        let moved = state.features().without_autodiff() - velocity.clone() * self.settings.state_lr();
        (state.with_features(autodiff_leaf(moved, &state.device())), velocity)
    }

    /// The states after all steps, starting from `first`, the states of a forward pass of `inputs`.
    fn relaxed(
        &self,
        network: &Network,
        inputs: &AnyActivation,
        first: Vec<AnyActivation>,
        labels: &Tensor<1, Int>,
    ) -> Vec<AnyActivation> {
        // Weights only learn from the final states, so these passes need no gradients of weights.
        let own = |block: &Chain| with_own_statistics(block, &inputs.device()).no_grad();
        let (blocks, output) = (network.blocks().iter().map(own).collect::<Vec<_>>(), self.output.clone().no_grad());
        let above_inputs = |states: &[AnyActivation]| [std::slice::from_ref(inputs), states].concat();
        let mut entered = above_inputs(&first);
        let mut velocities: Vec<Option<Tensor<2>>> = vec![None; first.len()];
        let mut states = first;
        for _ in 0..self.settings.steps {
            let forces = self.forces(&blocks, &output, &entered, &states, labels);
            for ((state, velocity), force) in states.iter_mut().zip(&mut velocities).zip(forces) {
                let (moved, faster) = self.step(state, velocity.take(), force);
                (*state, *velocity) = (moved, Some(faster));
            }
            if self.settings.prediction == PcPrediction::Current {
                entered = above_inputs(&states);
            }
        }
        states
    }

    /// Adds to the force on the state of block `index`.
    fn add_force(pass: &mut Pass, index: usize, force: Tensor<2>) {
        let force = match pass.signals.take_block(FORCES, index) {
            Some(before) => before.output.features() + force,
            None => force,
        };
        pass.signals.put_block(FORCES, index, AnyActivation::Features(force).into());
    }

    /// Moves all states by the forces of this round, and starts the next round.
    fn next_round(&self, network: &Network, pass: &mut Pass) {
        for index in 0..network.len() {
            let (state, force) = (pass.signals.take_block(STATES, index), pass.signals.take_block(FORCES, index));
            let (Some(state), Some(force)) = (state, force) else { continue };
            let velocity = pass.signals.take_block(VELOCITIES, index).map(|velocity| velocity.output.features());
            let (state, velocity) = self.step(&state.output, velocity, force.output.features());
            pass.signals.put_block(STATES, index, state.into());
            pass.signals.put_block(VELOCITIES, index, AnyActivation::Features(velocity).into());
        }
        pass.streams = pass.signals.block(INPUT, 0).map(|input| input.output.clone()).into_iter().collect();
    }
}

impl Rule for PredictiveCoding {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn rounds(&self) -> usize {
        if self.settings.incremental { self.settings.steps } else { 1 }
    }

    fn begin(&self, network: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        let mut pass = Pass::of(batch);
        let inputs = batch.inputs.clone().detach();
        let mut states: Vec<AnyActivation> = Vec::with_capacity(network.len());
        for block in network.blocks() {
            let below = states.last().unwrap_or(&inputs).clone();
            states.push(block.forward(below).detach());
        }
        let scores = states.last().map(|top| self.output.scores(top));
        pass.logits = scores.map(Tensor::without_autodiff);
        if self.settings.incremental {
            pass.signals.put(INPUT, vec![Trace::from(inputs)]);
        } else {
            states = self.relaxed(network, &inputs, states, &pass.labels);
        }
        pass.signals.put(STATES, states.into_iter().map(Trace::from).collect::<Vec<_>>());
        pass
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let _in_block = InBlock::new(index);
        let Some(state) = pass.signals.block(STATES, index).map(|trace| trace.output.clone()) else { return };
        if index == 0 {
            dropout::repeat();
        }
        let [rows] = pass.labels.dims();
        let block = with_own_statistics(block, &state.device());
        let (leaf, below) = entering(&pass.streams[0], self.settings.incremental && index > 0);
        let predicted = block.forward(below);
        let error = state.features() - predicted.features();
        let score = Score::from(energy(error.clone()) / rows as f64);
        let left = tape.backward(&score.loss, &block);
        tape.record(index, score);
        if self.settings.incremental {
            Self::add_force(pass, index, error.without_autodiff());
            if let Some(gradient) = leaf.and_then(|leaf| leaf.grad(&left)) {
                Self::add_force(pass, index - 1, gradient * rows as f64);
            }
        }
        pass.streams = match self.settings.prediction {
            PcPrediction::Current => vec![state],
            PcPrediction::Fixed => vec![predicted.detach()],
        };
    }

    /// A state does not depend on a pass of the block; only a fixed prediction needs one.
    fn advance(&self, index: usize, block: &Chain, pass: &mut Pass) {
        pass.streams = match (self.settings.prediction, pass.signals.block(STATES, index)) {
            (PcPrediction::Current, Some(state)) => vec![state.output.clone()],
            _ => {
                let below = pass.streams[0].clone().detach();
                vec![with_own_statistics(block, &below.device()).forward(below).detach()]
            }
        };
    }

    fn end(&self, network: &Network, pass: &mut Pass, tape: &mut Tape) {
        let [rows] = pass.labels.dims();
        let (leaf, below) = entering(&pass.streams[0], self.settings.incremental);
        let loss = self.output_energy(&self.output, &below, &pass.labels) / rows as f64;
        let left = tape.backward(&loss, &self.output);
        if self.settings.incremental {
            if let Some(gradient) = leaf.and_then(|leaf| leaf.grad(&left)) {
                Self::add_force(pass, network.len() - 1, gradient * rows as f64);
            }
            self.next_round(network, pass);
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
