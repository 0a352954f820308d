//! Forward-Forward learning of graph networks: the goodness of nodes is increased with right labels and decreased with wrong
//! ones.
//!
//! Park et al. 2024, arXiv 2403.11004 (ForwardGNN, "FF"). Let `g_i = sum_d h_id^2` be the goodness of training node `i` in
//! block `l`. The loss is `BCE(sigmoid(g+ - theta), 1) + mean_j BCE(sigmoid(g-_j - theta), 0)`, over one positive graph and up
//! to `C - 1` negative graphs. Each negative graph assigns another wrong class to every training node, drawn once. A class
//! enters the graph in one of two ways:
//!
//! - `append` ("FF-LA"): `C` additional features, one-hot for nodes with a class, `1/C` for all others. Blocks after the first
//!   get the outputs of the block below for the positive graph and for each negative one.
//! - `virtual-nodes` ("FF-VN"): one virtual node per class with `N(0, 1)` features, connected to the training nodes of the
//!   class (in negative graphs, to those with this wrong class). Blocks after the first get the output of the block below for
//!   the positive graph; only the links differ.
//!
//! Inference takes `C` passes: for each class `k`, all query nodes are given class `k`, while nodes with a known class keep it.
//! The prediction is the class with the highest goodness `sum_l (mean_d h^2 - theta)`.
//!
//! For pairs of nodes (link prediction, "FGNN-FF"), the goodness of a pair is `sum_d (h_i h_j)^2`; edges are positive and other
//! pairs negative, in a single graph.
//!
//! As in the program of the paper, but not in the paper itself, the classes of validation nodes are also given in the test. No
//! other method here does this; set `validation-labels` to false to leave them out.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_forward::activation::{Activation, AnyActivation, Nodes, RequiredRows};
use burn_forward::block::Block;
use burn_forward::data::Batch;
use burn_forward::network::{Chain, ExtraInputs, LayerRequest, Network};
use burn_forward::pieces::goodness::Goodness;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::pieces::pair_loss::{PairLoss, Threshold, cross_entropy};
use burn_forward::random::Seed;
use burn_forward::rules::{AnyRule, Context, Pass, ReadoutExport, Rule, RuleSpec, Scores, StepContext};
use burn_forward::tape::{Score, Tape};
use burn_forward::{ConfigError, Error, Result};
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{is_link_prediction, needs_a_graph};
use super::readout::mean_of_probabilities;
use super::virtual_nodes::{link_virtual_nodes, with_virtual_nodes};
use crate::graph::LabelledGraph;

/// How a class enters the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LabelInjection {
    /// As additional features of the nodes.
    Append,
    /// As links to a virtual node of the class.
    #[default]
    VirtualNodes,
}

/// Settings of `graph-forward-forward`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `label-injection` | virtual-nodes | append, virtual-nodes | how a class enters the graph; no effect on pairs of nodes |
/// | `threshold` | 2 | | `theta`, for the sum of squares |
/// | `negatives` | 100 | >= 1 | largest number of negative graphs |
/// | `validation-labels` | true | | whether classes of validation nodes are given in the test, as in the paper's program |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GraphForwardForwardConfig {
    /// How a class enters the graph.
    pub label_injection: LabelInjection,
    /// Threshold between the goodness of positives and negatives.
    #[schemars(range(min = -1e6, max = 1e6))]
    pub threshold: f64,
    /// Largest number of negative graphs.
    #[schemars(range(min = 1, max = 10_000))]
    pub negatives: usize,
    /// Whether classes of validation nodes are given in the test.
    pub validation_labels: bool,
}

impl Default for GraphForwardForwardConfig {
    fn default() -> Self {
        Self { label_injection: LabelInjection::default(), threshold: 2.0, negatives: 100, validation_labels: true }
    }
}

impl RuleSpec for GraphForwardForwardConfig {
    fn check(&self, context: &Context) -> Vec<ConfigError> {
        let mut errors: Vec<ConfigError> = needs_a_graph("graph-forward-forward", context).into_iter().collect();
        if context.network.normalisation() == Some(Normalisation::None) {
            errors.push(ConfigError::new(
                "$.network.normalisation",
                "\"none\" lets the next block read the goodness of the one before from the length of its output; \
                 'graph-forward-forward' needs \"rms\", \"l2\" or \"layer-norm\"",
            ));
        }
        errors
    }

    fn warnings(&self, context: &Context) -> Vec<ConfigError> {
        let message = match (self.label_injection, context.network_name) {
            (LabelInjection::VirtualNodes, "gcn") => {
                "\"virtual-nodes\" with graph convolutions stays near chance in the paper's own tables (28 % on Cora_ML); \
                 use \"single-forward\" for \"gcn\""
            }
            (LabelInjection::Append, "gcn" | "gat") if context.blocks.is_some_and(|b| b > 1) => {
                "with \"gcn\" and \"gat\", \"append\" loses 20 points from the second block on in the paper's own tables \
                 (82 % to 64 % on Cora_ML); use \"single-forward\", or \"graph-sage\" as the network"
            }
            _ => return Vec::new(),
        };
        vec![ConfigError::new("$.rule.label-injection", message)]
    }

    fn layer_request(&self, classes: usize) -> LayerRequest {
        let extra_inputs = match self.label_injection {
            LabelInjection::Append => ExtraInputs::Labels,
            LabelInjection::VirtualNodes => ExtraInputs::None,
        };
        LayerRequest { extra_inputs, ..LayerRequest::plain(classes) }
    }

    fn build(&self, _: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        if classes < 2 {
            return Err(Error::argument(
                "graph-forward-forward",
                "number of classes",
                classes,
                ">= 2, since otherwise no label is wrong",
            ));
        }
        Ok(AnyRule::new(GraphForwardForward { settings: self.clone(), classes, seed }))
    }
}

/// Blocks that learn from the goodness of nodes; the rule has no parameters.
#[derive(Module, Debug)]
pub struct GraphForwardForward {
    #[module(skip)]
    settings: GraphForwardForwardConfig,
    classes: usize,
    #[module(skip)]
    seed: Seed,
}

/// Classes assigned to nodes: pairs of a node and a class.
type Assignment = Vec<(u32, u32)>;

impl GraphForwardForward {
    /// Number of negative graphs.
    fn negatives(&self) -> usize {
        (self.classes - 1).min(self.settings.negatives)
    }

    /// The classes of the training nodes in negative graph `j`: the `j`th wrong class, in an order drawn for each node.
    fn wrong_labels(&self, labelled_graph: &LabelledGraph, j: usize) -> Assignment {
        let wrong_one = |&(node, class): &(u32, u32)| {
            let mut wrong: Vec<u32> = (0..self.classes as u32).filter(|c| *c != class).collect();
            wrong.shuffle(&mut self.seed.stream("negatives", &[u64::from(node)]));
            (node, wrong[j])
        };
        labelled_graph.training.iter().map(wrong_one).collect()
    }

    /// The classes in an evaluation that assigns class `k` to all query nodes.
    fn candidate_labels(&self, labelled_graph: &LabelledGraph, k: u32) -> Assignment {
        let mut given = vec![None; labelled_graph.graph.nodes()];
        let validation: &[(u32, u32)] = if self.settings.validation_labels { &labelled_graph.validation } else { &[] };
        for &(node, class) in labelled_graph.training.iter().chain(validation) {
            given[node as usize] = Some(class);
        }
        labelled_graph.queried.iter().for_each(|node| given[*node as usize] = Some(k));
        (0u32..).zip(given).filter_map(|(node, class)| Some((node, class?))).collect()
    }

    /// The input with classes assigned to some nodes.
    fn with_labels(
        &self,
        inputs: &AnyActivation,
        name: &str,
        given: impl FnOnce(&LabelledGraph) -> Assignment,
    ) -> AnyActivation {
        match self.settings.label_injection {
            LabelInjection::VirtualNodes => with_virtual_nodes(inputs, self.seed, name, given),
            LabelInjection::Append => {
                let (Some(nodes), Some(labelled_graph)) = (inputs.nodes(), LabelledGraph::of_activation(inputs)) else {
                    return inputs.clone();
                };
                let labels = label_features(inputs.rows(), self.classes, &given(labelled_graph), &inputs.device());
                let features = nodes.features.with_columns(labels);
                AnyActivation::Nodes(Nodes { features, feature_cache: None, ..nodes.clone() })
            }
        }
    }

    /// The positive and the negative graphs for training.
    fn graphs(&self, inputs: &AnyActivation) -> Vec<AnyActivation> {
        if is_link_prediction(inputs) {
            return vec![self.link_prediction_input(inputs)];
        }
        let positive = self.with_labels(inputs, "training", |labelled_graph| labelled_graph.training.to_vec());
        let negative = (0..self.negatives()).map(|j| match (&positive, self.settings.label_injection) {
            // The features are those of the positive graph; only the links differ.
            (AnyActivation::Nodes(nodes), LabelInjection::VirtualNodes) => {
                let graph = LabelledGraph::of_activation(inputs)
                    .map(|g| link_virtual_nodes(g, &format!("negative {j}"), |g| self.wrong_labels(g, j)));
                match graph {
                    Some(graph) => AnyActivation::Nodes(Nodes { graph, feature_cache: None, ..nodes.clone() }),
                    None => positive.clone(),
                }
            }
            _ => self.with_labels(inputs, "", |labelled_graph| self.wrong_labels(labelled_graph, j)),
        });
        std::iter::once(positive.clone()).chain(negative).collect()
    }

    /// The input for link prediction: no classes are assigned to nodes, and label features are neutral.
    fn link_prediction_input(&self, inputs: &AnyActivation) -> AnyActivation {
        match self.settings.label_injection {
            LabelInjection::VirtualNodes => inputs.clone(),
            LabelInjection::Append => self.with_labels(inputs, "", |_| Vec::new()),
        }
    }

    fn loss(&self) -> PairLoss {
        PairLoss::Logistic { threshold: Threshold::Value(self.settings.threshold), scale: 1.0 }
    }

    /// Scores of pairs `[P, 2]`: 0 for no edge, `sum_d (h_i h_j)^2 - theta` for an edge.
    fn pair_scores(&self, output: &AnyActivation) -> Tensor<2> {
        let edge = output.labelled().square().sum_dim(1) - self.settings.threshold;
        Tensor::cat(vec![edge.zeros_like(), edge], 1)
    }

    fn learn_pairs(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let output = block.forward(pass.streams[0].clone().detach());
        let logits = self.pair_scores(&output);
        let loss = cross_entropy(logits.clone(), pass.labels.clone());
        tape.backward(&loss, block);
        tape.record(index, Score { logits: Some(logits), ..Score::from(loss) });
        pass.streams = vec![output.detach()];
    }

    /// The inputs of the next block, from the outputs of this one; the positive one comes first.
    fn next_inputs(&self, inputs: &[AnyActivation], outputs: Vec<AnyActivation>) -> Vec<AnyActivation> {
        match self.settings.label_injection {
            LabelInjection::Append => outputs.into_iter().map(Activation::detach).collect(),
            LabelInjection::VirtualNodes => {
                let Some(positive) = outputs.into_iter().next() else { return Vec::new() };
                let features = positive.detach().features();
                inputs.iter().map(|input| input.with_features(features.clone())).collect()
            }
        }
    }
}

/// One-hot rows for nodes with a class, `1/C` for all others `[N, C]`.
fn label_features(nodes: usize, classes: usize, given: &[(u32, u32)], device: &Device) -> Tensor<2> {
    let mut values = vec![1.0 / classes as f32; nodes * classes];
    for &(node, class) in given {
        let row = &mut values[node as usize * classes..][..classes];
        row.fill(0.0);
        row[class as usize] = 1.0;
    }
    Tensor::from_data(TensorData::new(values, [nodes, classes]), device)
}

impl Rule for GraphForwardForward {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, _: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        Pass { streams: self.graphs(&batch.inputs), ..Pass::of(batch) }
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let inputs = std::mem::take(&mut pass.streams);
        if inputs.first().is_some_and(is_link_prediction) {
            pass.streams = inputs;
            return self.learn_pairs(index, block, pass, tape);
        }
        let outputs: Vec<AnyActivation> = inputs.iter().map(|x| block.forward(x.clone().detach())).collect();
        let goodness: Vec<Tensor<1>> = outputs.iter().map(|h| Goodness::SumSquares.of(h.labelled())).collect();
        let positive = goodness[0].clone();
        let negative = goodness[1..].to_vec();
        // The positive term is the same in every pair, so the mean over pairs equals the loss.
        let pairs = negative.len();
        let loss = self.loss().forward(positive.clone().repeat_dim(0, pairs), Tensor::cat(negative.clone(), 0), 1.0);
        tape.backward(&loss, block);
        let mean = negative[1..].iter().fold(negative[0].clone(), |a, b| a + b.clone()) / pairs as f64;
        tape.record(
            index,
            Score { goodness_positive: Some(positive), goodness_negative: Some(mean), ..Score::from(loss) },
        );
        pass.streams = self.next_inputs(&inputs, outputs);
    }

    fn advance(&self, _: usize, block: &Chain, pass: &mut Pass) {
        let inputs = std::mem::take(&mut pass.streams);
        // With virtual nodes, the next blocks only get the output for the positive graph.
        let seen = match self.settings.label_injection {
            LabelInjection::VirtualNodes => &inputs[..1],
            LabelInjection::Append => &inputs[..],
        };
        let outputs = seen.iter().map(|x| block.forward(x.clone())).collect();
        pass.streams = self.next_inputs(&inputs, outputs);
    }

    fn required_rows(&self, stream: &AnyActivation) -> Option<RequiredRows> {
        Some(RequiredRows::new(stream.labelled_rows()?, []))
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
        if is_link_prediction(&inputs) {
            let outputs = forward_all(self.link_prediction_input(&inputs));
            return mean_of_probabilities(outputs.iter().map(|h| self.pair_scores(h)).collect());
        }
        let mut blocks: Vec<Vec<Tensor<2>>> = vec![Vec::new(); network.len()];
        for k in 0..self.classes as u32 {
            let candidate = self.with_labels(&inputs, &format!("candidate {k}"), |labelled_graph| {
                self.candidate_labels(labelled_graph, k)
            });
            for (all, h) in blocks.iter_mut().zip(forward_all(candidate)) {
                let h = h.labelled();
                let [rows, _] = h.dims();
                let goodness = Goodness::MeanSquares.of(h) - self.settings.threshold;
                all.push(goodness.reshape([rows, 1]));
            }
        }
        let blocks: Vec<Tensor<2>> = blocks.into_iter().map(|columns| Tensor::cat(columns, 1)).collect();
        let sum = blocks[1..].iter().fold(blocks[0].clone(), |a, b| a + b.clone());
        let last = blocks[blocks.len() - 1].clone();
        Scores {
            blocks: blocks.into_iter().map(Some).collect(),
            readouts: vec![("sum", sum), ("last", last)],
            primary: 0,
        }
    }

    fn activities(&self, network: &Network, batch: &Batch) -> Vec<AnyActivation> {
        if is_link_prediction(&batch.inputs) {
            return network.forward_all(self.link_prediction_input(&batch.inputs));
        }
        let own: Vec<u32> = classes(&batch.targets);
        let own_class = |labelled_graph: &LabelledGraph| {
            let queried = labelled_graph.queried.iter().copied().zip(own.iter().copied());
            let known = labelled_graph.training.iter().copied().filter(|(n, _)| !labelled_graph.queried.contains(n));
            queried.chain(known).collect()
        };
        network.forward_all(self.with_labels(&batch.inputs, "own", own_class))
    }

    fn export(&self, _: &Network) -> ReadoutExport {
        let description = serde_json::json!({
            "kind": "graph-energy",
            "label": self.settings.label_injection,
            "goodness": Goodness::MeanSquares,
            "classes": self.classes,
        });
        ReadoutExport { description, ..ReadoutExport::default() }
    }
}

fn classes(labels: &Tensor<1, Int>) -> Vec<u32> {
    labels.to_data().iter::<i64>().map(|c| c as u32).collect()
}
