//! ForwardGNN's learning rules (Park et al. 2024, arXiv 2403.11004), and what they share.

mod graph_forward_forward;
mod single_forward;
mod top_down;
mod virtual_nodes;

pub use graph_forward_forward::{GraphForwardForward, GraphForwardForwardConfig, LabelPlace};
pub use single_forward::{
    NodeReadout, RepresentativeCrossEntropy, Representatives, SingleForward, SingleForwardConfig, TopDown,
};

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn_forward::ConfigError;
use burn_forward::activation::{AnyActivation, Labelled, RowShape};
use burn_forward::rules::Context;
use burn_forward::rules::{RuleEntry, Scores, rule_entry_of};

/// The rules of this crate.
pub fn rule_entries() -> Vec<RuleEntry> {
    const PAPER: &str = "Park et al. 2024, arXiv 2403.11004";
    vec![
        rule_entry_of::<GraphForwardForwardConfig>(
            "graph-forward-forward",
            "goodness of nodes up with right labels, down with wrong ones; label features or virtual nodes",
            PAPER,
        ),
        rule_entry_of::<SingleForwardConfig>(
            "single-forward",
            "nodes find the representative of their class among all, in every block; one pass, no negatives",
            PAPER,
        ),
    ]
}

/// An error for data that is no graph.
fn needs_a_graph(rule: &str, context: &Context) -> Option<ConfigError> {
    let input = context.input.filter(|input| !matches!(input, RowShape::Nodes(_)))?;
    Some(ConfigError::new(
        "$.rule.name",
        format!("\"{rule}\" is for nodes of a graph, but the data has rows of {input}"),
    ))
}

/// Whether labels speak about pairs of nodes.
fn is_of_pairs(input: &AnyActivation) -> bool {
    input.nodes().is_some_and(|nodes| matches!(nodes.labelled, Labelled::Pairs(..)))
}

/// Name of the readout that averages the blocks' class probabilities.
const MEAN_PROBABILITY: &str = "mean-probability";

/// Scores of every block, and the readouts `mean-probability`, the logarithm of the mean over blocks of their class
/// probabilities, and `last`.
fn mean_of_probabilities(blocks: Vec<Tensor<2>>) -> Scores {
    let last = blocks[blocks.len() - 1].clone();
    let sum = blocks[1..].iter().fold(softmax(blocks[0].clone(), 1), |sum, b| sum + softmax(b.clone(), 1));
    let mean = (sum / blocks.len() as f64).clamp_min(1e-30).log();
    let readouts = vec![(MEAN_PROBABILITY, mean), ("last", last)];
    Scores { blocks: blocks.into_iter().map(Some).collect(), readouts, primary: 0 }
}
