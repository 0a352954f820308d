//! Single-forward learning of graph networks: in every block, nodes learn to match the representative of their class.
//!
//! Park et al. 2024, arXiv 2403.11004 (ForwardGNN, "SF"). A block `l` has the detached input `X` `[N, d]` and the output
//! `H = f(GNN(X))` `[N, d_l]`.
//!
//! - The scores of training node `i` are `<h_i, r_k>/tau` `[B, C]`; the loss is their cross-entropy with its class.
//! - The representatives are `r` `[C, d_l]`. With `virtual-nodes` (as in the paper), they are the outputs of `C` nodes that are
//!   added to the graph, with `N(0, 1)` features, and connected to the training nodes of their class. With `prototypes`, they
//!   are the means of the training nodes of each class, where a node is left out of its own mean. Gradients reach the block
//!   through the nodes and the representatives.
//! - Inference takes one pass, and averages `softmax(<h_i, r_k>/tau)` over blocks.
//!
//! For pairs of nodes (link prediction, "FGNN-CE"), the score of a pair is `sum_d h_i h_j`, and the loss is the binary
//! cross-entropy.
//!
//! - With `top-down` `to-input` ("SF-Top-To-Input"), block `l` gets `[N(s_{l-1}), N(s_{l+1})]`: the outputs of the block below
//!   and of the block above, with rows normalised to length 1. The output of the block above is one time step old; above the
//!   last block, it is replaced by the labels. All blocks learn in every step, blocks with an even index first. Inference sums
//!   the probabilities of ten time steps, without the first two.
//! - With `top-down` `to-loss` ("SF-Top-To-Loss"), the loss of a block uses the mean of its output and the states of all blocks
//!   above, instead of the output.
//!
//! The rule needs no negatives, no second pass, and no labels in the features of query nodes.
//!
//! In addition to the paper, there are prototypes, which do not change the graph, and blocks can learn simultaneously as well
//! as greedily (as in the paper). Under a greedy schedule, the aggregation of a block's constant input is computed once, except
//! for sparse features, which would become dense by aggregation. A block with a single layer computes only the rows that its
//! loss needs: the labelled nodes and the representatives.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::Module;
use burn_forward::activation::{Activation, AnyActivation, RequiredRows};
use burn_forward::block::Block;
use burn_forward::data::Batch;
use burn_forward::local::learn;
use burn_forward::network::{Chain, ExtraInputs, LayerRequest, Network, Partition};
use burn_forward::random::Seed;
use burn_forward::rules::{AnyRule, Context, Pass, Reach, ReadoutExport, Rule, RuleSpec, Scores, StepContext};
use burn_forward::tape::{Labels, Tape};
use burn_forward::{ConfigError, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{is_link_prediction, needs_a_graph};
use super::readout::{NodeReadout, mean_of_probabilities};
use super::representatives::{RepresentativeCrossEntropy, Representatives};
use super::top_down::{self, TopDown};
use super::virtual_nodes::with_virtual_nodes;

/// Settings of `single-forward`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `representatives` | virtual-nodes | virtual-nodes, prototypes | what represents a class; no effect on pairs of nodes |
/// | `temperature` | 1 | > 0 | `tau`, by which the scores are divided |
/// | `top-down` | none | none, to-input, to-loss | how blocks receive signals from the blocks above; not for a greedy schedule |
/// | `readout` | mean-probability | mean-probability, last | the blocks whose scores make the prediction |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SingleForwardConfig {
    /// What represents a class.
    pub representatives: Representatives,
    /// Divisor of the scores.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub temperature: f64,
    /// How blocks receive signals from the blocks above.
    pub top_down: TopDown,
    /// The blocks whose scores make the prediction.
    pub readout: NodeReadout,
}

impl Default for SingleForwardConfig {
    fn default() -> Self {
        Self {
            representatives: Representatives::default(),
            temperature: 1.0,
            top_down: TopDown::None,
            readout: NodeReadout::MeanProbability,
        }
    }
}

impl RuleSpec for SingleForwardConfig {
    fn reach(&self) -> Reach {
        match self.top_down {
            TopDown::None => Reach::Nothing,
            TopDown::ToInput | TopDown::ToLoss => Reach::Above("its state"),
        }
    }

    fn check(&self, context: &Context) -> Vec<ConfigError> {
        let mut errors: Vec<ConfigError> = needs_a_graph("single-forward", context).into_iter().collect();
        let widths = context.network.widths();
        if self.top_down == TopDown::ToLoss && widths.is_some_and(|w| w.windows(2).any(|pair| pair[0] != pair[1])) {
            errors.push(ConfigError::new(
                "$.network.widths",
                "are not equal, but \"top-down\": \"to-loss\" averages the outputs of different blocks; needed: equal widths",
            ));
        }
        errors
    }

    fn partition(&self) -> Option<Partition> {
        // The top-down signal of a layer has the width of the next layer.
        (self.top_down == TopDown::ToInput).then_some(Partition::LAYER)
    }

    fn greedy(&self) -> Result<(), String> {
        match self.top_down {
            TopDown::None => Ok(()),
            TopDown::ToInput | TopDown::ToLoss => {
                Err("top-down signals come from the blocks above, so all blocks must learn at once".into())
            }
        }
    }

    fn layer_request(&self, classes: usize) -> LayerRequest {
        let extra_inputs = if self.top_down == TopDown::ToInput { ExtraInputs::Above } else { ExtraInputs::None };
        LayerRequest { extra_inputs, ..LayerRequest::plain(classes) }
    }

    fn build(&self, _: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        if classes < 2 {
            return Err(Error::argument("single-forward", "number of classes", classes, ">= 2"));
        }
        let Self { representatives, temperature, .. } = *self;
        let loss = RepresentativeCrossEntropy { representatives, temperature, classes };
        Ok(AnyRule::new(SingleForward { loss, settings: self.clone(), seed, states: Arc::default() }))
    }
}

/// Blocks that learn from representatives of the classes.
#[derive(Module, Debug)]
pub struct SingleForward {
    loss: RepresentativeCrossEntropy,
    #[module(skip)]
    settings: SingleForwardConfig,
    #[module(skip)]
    seed: Seed,
    /// States of all blocks at the end of the last time step, for top-down signals.
    #[module(skip)]
    states: Arc<Mutex<Vec<AnyActivation>>>,
}

impl SingleForward {
    /// The input of the blocks: with virtual nodes if the rule uses them.
    fn with_representatives(&self, inputs: &AnyActivation) -> AnyActivation {
        if self.settings.representatives == Representatives::Prototypes || is_link_prediction(inputs) {
            return inputs.clone();
        }
        with_virtual_nodes(inputs, self.seed, "training", |labelled_graph| labelled_graph.training.to_vec())
    }

    fn top_down(&self) -> TopDown {
        self.settings.top_down
    }

    /// The states at the start of an epoch; see [`top_down::initial_states`].
    fn initial_states(
        &self,
        network: &Network,
        inputs: &AnyActivation,
        carry: fn(AnyActivation) -> AnyActivation,
    ) -> Vec<AnyActivation> {
        let virtual_nodes =
            self.settings.representatives == Representatives::VirtualNodes && !is_link_prediction(inputs);
        top_down::initial_states(
            network,
            self.with_representatives(inputs),
            self.loss.classes,
            self.top_down(),
            virtual_nodes,
            carry,
        )
    }

    fn saved_states(&self) -> MutexGuard<'_, Vec<AnyActivation>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule for SingleForward {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, network: &Network, batch: &Batch, context: StepContext, _: &mut Tape) -> Pass {
        let streams = match self.top_down() {
            TopDown::None => vec![self.with_representatives(&batch.inputs)],
            TopDown::ToInput | TopDown::ToLoss => {
                let kept = std::mem::take(&mut *self.saved_states());
                match context.key.index == 0 || kept.is_empty() {
                    true => self.initial_states(network, &batch.inputs, Activation::detach),
                    false => kept,
                }
            }
        };
        Pass { streams, ..Pass::of(batch) }
    }

    fn order(&self, blocks: usize) -> Vec<usize> {
        top_down::order(blocks, self.top_down())
    }

    /// The states of a time step, which are computed anew in every epoch.
    fn carries_state(&self) -> bool {
        self.top_down() != TopDown::None
    }

    fn end(&self, _: &Network, pass: &mut Pass, _: &mut Tape) {
        if self.top_down() != TopDown::None {
            *self.saved_states() = std::mem::take(&mut pass.streams);
        }
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        if self.top_down() != TopDown::None {
            top_down::learn_block(index, block, &self.loss, pass, tape, self.top_down());
            return;
        }
        let labels = Labels(pass.labels.clone());
        // Streams are moved, so that a block need not keep its input once it has aggregated it.
        let streams = std::mem::take(&mut pass.streams).into_iter();
        pass.streams = streams.map(|stream| learn(block, &self.loss, index, stream, &labels, tape)).collect();
        pass.logits = tape.records().last().and_then(|r| r.score.logits.clone());
    }

    fn advance(&self, index: usize, block: &Chain, pass: &mut Pass) {
        if self.top_down() != TopDown::None {
            return top_down::advance(index, block, pass, self.top_down());
        }
        for stream in &mut pass.streams {
            *stream = block.forward(stream.clone()).detach();
        }
    }

    fn required_rows(&self, stream: &AnyActivation) -> Option<RequiredRows> {
        let (nodes, top_down) = (stream.rows(), self.top_down());
        let labelled = stream.labelled_rows().filter(|_| top_down == TopDown::None)?;
        Some(RequiredRows::new(labelled, nodes.saturating_sub(self.loss.virtual_nodes()) as u32..nodes as u32))
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        self.scores_with(network, inputs, &|input| network.forward_all(input))
    }

    fn scores_with(
        &self,
        network: &Network,
        inputs: AnyActivation,
        forward_all: &dyn Fn(AnyActivation) -> Vec<AnyActivation>,
    ) -> Scores {
        let mut scores = if self.top_down() == TopDown::None {
            let outputs = forward_all(self.with_representatives(&inputs));
            mean_of_probabilities(outputs.iter().map(|h| self.loss.scores(h, None)).collect())
        } else {
            let states = self.initial_states(network, &inputs, Activation::detach);
            top_down::scores(network, states, &self.loss, self.top_down())
        };
        let wanted = self.settings.readout.name();
        scores.primary = scores.readouts.iter().position(|(name, _)| *name == wanted).unwrap_or(scores.primary);
        scores
    }

    fn activities(&self, network: &Network, batch: &Batch) -> Vec<AnyActivation> {
        match self.top_down() {
            TopDown::None => network.forward_all(self.with_representatives(&batch.inputs)),
            TopDown::ToInput | TopDown::ToLoss => {
                let states = self.initial_states(network, &batch.inputs, |state| state);
                states.into_iter().skip(1).take(network.len()).collect()
            }
        }
    }

    fn export(&self, _: &Network) -> ReadoutExport {
        let description = serde_json::json!({
            "kind": "representatives",
            "representatives": self.settings.representatives,
            "temperature": self.settings.temperature,
            "readout": self.settings.readout,
        });
        ReadoutExport { description, ..ReadoutExport::default() }
    }
}
