//! Edges that are hidden for link prediction, and negative edges, which are pairs of nodes without an edge.

use std::collections::HashSet;
use std::sync::Arc;

use burn_forward::data::DataSplit;
use burn_forward::random::{Rng, Seed};
use burn_forward::{Error, Result};
use rand::RngExt;
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::graph::Graph;

/// The edges that are hidden for link prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LinkConfig {
    /// Fraction of the edges held out for validation; default 0.16.
    #[schemars(range(min = 0.0, max = 0.8))]
    pub validation: f64,
    /// Fraction of the edges held out for the test; default 0.2.
    #[schemars(range(min = 0.01, max = 0.8))]
    pub test: f64,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self { validation: 0.16, test: 0.2 }
    }
}

/// The pairs of nodes of one part.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    /// Pairs that are edges.
    pub(super) edges: Arc<[(u32, u32)]>,
    /// The same number of negative edges; `None` if they are drawn anew in every step.
    pub(super) negatives: Option<Arc<[(u32, u32)]>>,
    /// The whole graph with the edges of all parts, none of which may be drawn as a negative edge.
    pub(super) graph: Arc<Graph>,
}

/// The split of a graph's edges for link prediction.
#[derive(Debug)]
pub(super) struct LinkSplit {
    pairs: [Pairs; 3],
    /// The edges for messages in training and validation: training edges.
    pub(super) training_graph: Arc<Graph>,
    /// The edges for messages in the test: training and validation edges.
    pub(super) test_graph: Arc<Graph>,
}

impl LinkSplit {
    pub(super) fn pairs(&self, split: DataSplit) -> Pairs {
        let part = match split {
            DataSplit::Train => 0,
            DataSplit::Validation => 1,
            DataSplit::Test => 2,
        };
        self.pairs[part].clone()
    }
}

/// Hides edges for validation and test, drawn from the stream `links` of `seed`, and draws the same numbers of negative edges.
pub(super) fn split(graph: &Arc<Graph>, config: LinkConfig, seed: Seed) -> Result<LinkSplit> {
    let mut edges: Vec<(u32, u32)> = graph.iter().filter(|(s, t)| s < t || !graph.has_edge(*t, *s)).collect();
    edges.shuffle(&mut seed.stream("links", &[]));
    let count = |fraction: f64| (edges.len() as f64 * fraction).floor() as usize;
    let (validation, test) = (count(config.validation), count(config.test));
    let training = edges.len().saturating_sub(validation + test);
    if training == 0 || test == 0 {
        return Err(Error::argument("links", "number of edges", edges.len(), "enough for training and test"));
    }
    let nodes = graph.nodes() as u64;
    let free = nodes * (nodes - 1) / 2 - edges.len().min((nodes * (nodes - 1) / 2) as usize) as u64;
    // With few free pairs, drawing would take very long.
    if free < 2 * edges.len() as u64 {
        let needed = format!("at least {}, twice the number of edges", 2 * edges.len());
        return Err(Error::argument("links", "number of pairs without an edge", free, needed));
    }
    let negatives = |name: &str, n: usize| Some(negative_edges(graph, n, &mut seed.stream(name, &[])).into());
    let part = |range: &[(u32, u32)], negatives| Pairs { edges: range.into(), negatives, graph: graph.clone() };
    let (seen, held) = edges.split_at(training);
    let (for_validation, for_test) = held.split_at(validation);
    Ok(LinkSplit {
        pairs: [
            part(seen, None),
            part(for_validation, negatives("links-validation", validation)),
            part(for_test, negatives("links-test", test)),
        ],
        training_graph: Arc::new(Graph::undirected(graph.nodes(), seen)?),
        test_graph: Arc::new(Graph::undirected(graph.nodes(), &edges[..training + validation])?),
    })
}

/// Draws `n` different pairs of different nodes without an edge in either direction. That many must exist.
pub(super) fn negative_edges(graph: &Graph, n: usize, rng: &mut Rng) -> Vec<(u32, u32)> {
    let nodes = graph.nodes() as u32;
    let mut chosen = Vec::with_capacity(n);
    let mut seen = HashSet::with_capacity(n);
    while chosen.len() < n {
        let (a, b) = (rng.random_range(0..nodes), rng.random_range(0..nodes));
        let pair = (a.min(b), a.max(b));
        if a != b && !graph.has_edge(a, b) && !graph.has_edge(b, a) && seen.insert(pair) {
            chosen.push(pair);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_edge_is_hidden_and_seen_and_no_other_pair_is_an_edge(
            pairs in prop::collection::vec((0u32..40, 0u32..40), 30..120), seed: u64,
        ) {
            let graph = Arc::new(Graph::undirected(40, &pairs).unwrap());
            let config = LinkConfig::default();
            let Ok(s) = split(&graph, config, Seed::new(seed)) else { return Ok(()) };
            let all = graph.edges() / 2;
            let sizes = [DataSplit::Train, DataSplit::Validation, DataSplit::Test].map(|p| s.pairs(p).edges.len());
            prop_assert_eq!(sizes.iter().sum::<usize>(), all);
            prop_assert_eq!(sizes[2], (all as f64 * 0.2) as usize);
            for part in [DataSplit::Validation, DataSplit::Test] {
                let p = s.pairs(part);
                let negatives = p.negatives.clone().unwrap();
                prop_assert_eq!(negatives.len(), p.edges.len());
                prop_assert!(negatives.iter().all(|(a, b)| a != b && !graph.has_edge(*a, *b) && !graph.has_edge(*b, *a)));
                prop_assert!(p.edges.iter().all(|(a, b)| !s.training_graph.has_edge(*a, *b)));
            }
            prop_assert!(s.pairs(DataSplit::Test).edges.iter().all(|(a, b)| !s.test_graph.has_edge(*a, *b)));
            prop_assert!(s.pairs(DataSplit::Validation).edges.iter().all(|(a, b)| s.test_graph.has_edge(*a, *b)));
        }
    }

    #[test]
    fn a_graph_with_hardly_a_free_pair_is_refused() {
        let all: Vec<(u32, u32)> = (0..12).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
        let graph = Arc::new(Graph::undirected(12, &all).unwrap());
        let error = split(&graph, LinkConfig::default(), Seed::new(0)).unwrap_err().to_string();
        assert_eq!(
            error,
            "links: number of pairs without an edge is 0, but needs to be at least 132, twice the number of edges"
        );
    }
}
