//! Single-forward learning of graph networks: in every block nodes find the representative of their class.
//!
//! Park et al. 2024, arXiv 2403.11004 (ForwardGNN, "SF"). For block `l` with input `X` `[N, d]`, behind a border that no
//! gradient crosses, and `H = f(GNN(X))` `[N, d_l]`:
//!
//! - scores of training node `i`: `<h_i, r_k>/tau` `[B, C]`, loss cross-entropy with its class;
//! - representatives `r` `[C, d_l]`: with `virtual-nodes` (the paper) the outputs of `C` nodes that are added to the graph,
//!   with `N(0, 1)` features, and joined to the training nodes of their class; with `prototypes` the means of the training
//!   nodes of each class, a node left out of its own. Gradients reach the block through nodes and representatives.
//! - inference: one pass; mean over blocks of `softmax(<h_i, r_k>/tau)`.
//!
//! For pairs of nodes (link prediction, "FGNN-CE") the score of a pair is `sum_d h_i h_j` and the loss binary cross-entropy.
//!
//! No negatives, no second pass, no label in the features of any node that is asked for.
//!
//! What we do differently: prototypes, which need no change of the graph. Blocks may learn simultaneously as well as greedily
//! (the paper's way); under a greedy schedule the aggregation of a block's constant input is kept.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::block::{Block, Trace};
use burn_forward::config::Context;
use burn_forward::data::Batch;
use burn_forward::local::{LocalLoss, learn};
use burn_forward::network::{Chain, Network};
use burn_forward::pair_loss::cross_entropy;
use burn_forward::prototypes::{class_means, leave_one_out_scores, scores};
use burn_forward::random::Seed;
use burn_forward::rules::{AnyRule, Pass, ReadoutExport, Rule, RuleSpec, Scores, StepContext};
use burn_forward::tape::{Labels, Score, Tape};
use burn_forward::{ConfigError, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::virtual_nodes::{virtual_rows, with_virtual_nodes};
use super::{is_of_pairs, mean_of_probabilities, needs_a_graph};
use crate::graph::GraphTask;

/// What represents a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Representatives {
    /// A virtual node joined to the training nodes of the class.
    #[default]
    VirtualNodes,
    /// The mean of the training nodes of the class.
    Prototypes,
}

/// Settings of `single-forward`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `representatives` | virtual-nodes | virtual-nodes, prototypes | what represents a class; without effect on pairs of nodes |
/// | `temperature` | 1 | > 0 | `tau` |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SingleForwardConfig {
    /// What represents a class.
    #[serde(default)]
    pub representatives: Representatives,
    /// Divisor of the scores.
    #[serde(default = "one")]
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub temperature: f64,
}

fn one() -> f64 {
    1.0
}

impl Default for SingleForwardConfig {
    fn default() -> Self {
        Self { representatives: Representatives::default(), temperature: 1.0 }
    }
}

impl RuleSpec for SingleForwardConfig {
    fn check(&self, context: &Context) -> Vec<ConfigError> {
        needs_a_graph("single-forward", context).into_iter().collect()
    }

    fn build(&self, _: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        if classes < 2 {
            return Err(Error::argument("single-forward", "number of classes", classes, ">= 2"));
        }
        let loss = RepresentativeCrossEntropy { settings: self.clone(), classes };
        Ok(AnyRule::new(SingleForward { loss, seed }))
    }
}

/// Cross-entropy of scaled dot products with the representatives of the classes; no parameters.
#[derive(Module, Debug)]
pub struct RepresentativeCrossEntropy {
    #[module(skip)]
    settings: SingleForwardConfig,
    classes: usize,
}

impl RepresentativeCrossEntropy {
    /// Scores of the labelled nodes, or pairs, of a block's output `[B, C]`.
    ///
    /// With `labels` the labelled nodes are training nodes, which are left out of their own prototypes.
    fn scores(&self, output: &AnyActivation, labels: Option<&Tensor<1, Int>>) -> Tensor<2> {
        let temperature = self.settings.temperature;
        let h = output.labelled();
        if is_of_pairs(output) {
            let score = h.sum_dim(1) / temperature;
            return Tensor::cat(vec![score.zeros_like(), score], 1);
        }
        match (self.settings.representatives, labels) {
            (Representatives::VirtualNodes, _) => scores(h, virtual_rows(output.features(), self.classes), temperature),
            (Representatives::Prototypes, Some(labels)) => leave_one_out_scores(h, labels, self.classes, temperature),
            (Representatives::Prototypes, None) => scores(h, self.prototypes(output), temperature),
        }
    }

    /// Means of the training nodes of every class.
    fn prototypes(&self, output: &AnyActivation) -> Tensor<2> {
        let device = output.device();
        let training = GraphTask::behind(output).map(|task| task.training.clone()).unwrap_or_default();
        let ints = |values: Vec<i32>| Tensor::<1, Int>::from_data(TensorData::new(values, [training.len()]), &device);
        let nodes = ints(training.iter().map(|t| t.0 as i32).collect());
        let labels = ints(training.iter().map(|t| t.1 as i32).collect());
        class_means(output.features().select(0, nodes), &labels, self.classes)
    }
}

impl LocalLoss<Labels, AnyActivation> for RepresentativeCrossEntropy {
    fn score(&self, trace: &Trace<AnyActivation>, labels: &Labels) -> Score {
        let logits = self.scores(&trace.output, Some(&labels.0));
        Score { logits: Some(logits.clone()), ..Score::from(cross_entropy(logits, labels.0.clone())) }
    }
}

/// Blocks that learn from representatives of the classes.
#[derive(Module, Debug)]
pub struct SingleForward {
    loss: RepresentativeCrossEntropy,
    #[module(skip)]
    seed: Seed,
}

impl SingleForward {
    /// The input as blocks see it: with virtual nodes where the rule has them.
    fn enter(&self, inputs: &AnyActivation) -> AnyActivation {
        if self.loss.settings.representatives == Representatives::Prototypes || is_of_pairs(inputs) {
            return inputs.clone();
        }
        with_virtual_nodes(inputs, self.seed, "training", |task| task.training.to_vec())
    }
}

impl Rule for SingleForward {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, _: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        Pass { streams: vec![self.enter(&batch.inputs)], ..Pass::of(batch) }
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let labels = Labels(pass.labels.clone());
        for stream in &mut pass.streams {
            *stream = learn(block, &self.loss, index, stream.clone(), &labels, tape);
        }
        pass.logits = tape.records().last().and_then(|r| r.score.logits.clone());
    }

    fn advance(&self, _: usize, block: &Chain, pass: &mut Pass) {
        for stream in &mut pass.streams {
            *stream = block.forward(stream.clone()).detach();
        }
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        let outputs = network.forward_all(self.enter(&inputs));
        mean_of_probabilities(outputs.iter().map(|h| self.loss.scores(h, None)).collect())
    }

    fn activities(&self, network: &Network, batch: &Batch) -> Vec<AnyActivation> {
        network.forward_all(self.enter(&batch.inputs))
    }

    fn export(&self, _: &Network) -> ReadoutExport {
        let description = serde_json::json!({
            "kind": "representatives",
            "representatives": self.loss.settings.representatives,
            "temperature": self.loss.settings.temperature,
        });
        ReadoutExport { description, ..ReadoutExport::default() }
    }
}
