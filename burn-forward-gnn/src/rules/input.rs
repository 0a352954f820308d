//! Checks and questions about the input of the rules.

use burn_forward::ConfigError;
use burn_forward::activation::{AnyActivation, Labelled, RowShape};
use burn_forward::rules::Context;

/// An error for data that are not a graph.
pub(super) fn needs_a_graph(rule: &str, context: &Context) -> Option<ConfigError> {
    let input = context.input.filter(|input| !matches!(input, RowShape::Nodes(_)))?;
    Some(ConfigError::new(
        "$.rule.name",
        format!("\"{rule}\" needs nodes of a graph, but the data have rows of {input}"),
    ))
}

/// Whether the labels belong to pairs of nodes.
pub(super) fn is_link_prediction(input: &AnyActivation) -> bool {
    input.nodes().is_some_and(|nodes| matches!(nodes.labelled, Labelled::Pairs(..)))
}
