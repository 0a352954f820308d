//! What the rules need to know about their input.

use burn_forward::ConfigError;
use burn_forward::activation::{AnyActivation, Labelled, RowShape};
use burn_forward::rules::Context;

/// An error for data that is no graph.
pub(super) fn needs_a_graph(rule: &str, context: &Context) -> Option<ConfigError> {
    let input = context.input.filter(|input| !matches!(input, RowShape::Nodes(_)))?;
    Some(ConfigError::new(
        "$.rule.name",
        format!("\"{rule}\" is for nodes of a graph, but the data has rows of {input}"),
    ))
}

/// Whether the labels are those of pairs of nodes.
pub(super) fn is_link_prediction(input: &AnyActivation) -> bool {
    input.nodes().is_some_and(|nodes| matches!(nodes.labelled, Labelled::Pairs(..)))
}
