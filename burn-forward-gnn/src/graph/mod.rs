//! Graphs: which nodes send messages to which.

mod csr;
mod edges;
mod labelled;
mod matrices;
mod sampler;
mod subgraph;

pub use edges::{Aggregation, Edges, MAX_MESSAGE_FLOATS};
pub use labelled::LabelledGraph;
pub use sampler::Sampler;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::tensor::Device;
use burn_forward::{Error, Result};
use burn_forward_kernels::sparse::Sparse;

use self::csr::Csr;
use self::matrices::Matrices;

/// A directed graph, sorted once by target and once by source. An undirected one has every edge in both directions.
///
/// ```
/// use burn_forward_gnn::graph::Graph;
///
/// let path = Graph::undirected(3, &[(0, 1), (1, 2)])?;
/// assert_eq!(path.edges(), 4);
/// assert_eq!(path.sources_of(1), [0, 2]);
/// assert!(Graph::undirected(3, &[(0, 3)]).is_err());
/// # Ok::<(), burn_forward::Error>(())
/// ```
pub struct Graph {
    nodes: usize,
    /// Edges by target: `sources[offsets[t]..offsets[t + 1]]` send to node `t`, in ascending order.
    incoming: Csr,
    /// Edges by source.
    outgoing: Csr,
    /// Weights in the order of `incoming`; `None` if all of them are 1.
    weights: Option<Vec<f32>>,
    /// The same edges as sparse matrices, created at their first use.
    matrices: OnceLock<Arc<Matrices>>,
    /// Index tensors per device, created at their first use.
    on_devices: Mutex<Vec<(Device, Arc<Edges>)>>,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph").field("nodes", &self.nodes).field("edges", &self.edges()).finish_non_exhaustive()
    }
}

impl Graph {
    /// Creates a graph with edges `(source, target)`, all with weight 1. Repeated edges count once.
    ///
    /// # Errors
    /// [`Error::Argument`] for an edge to or from a node that does not exist.
    pub fn directed(nodes: usize, edges: &[(u32, u32)]) -> Result<Self> {
        let mut by_target: Vec<(u32, u32)> = edges.iter().map(|&(source, target)| (target, source)).collect();
        check(nodes, edges)?;
        by_target.sort_unstable();
        by_target.dedup();
        Ok(Self::sorted(nodes, &by_target, None))
    }

    /// Creates a graph in which both ends of every edge send to each other. Edges that are repeated, or given in both
    /// directions, count once. Edges from a node to itself are dropped, since layers that need a node's own features add them
    /// themselves.
    ///
    /// # Errors
    /// [`Error::Argument`] for an edge to or from a node that does not exist.
    pub fn undirected(nodes: usize, edges: &[(u32, u32)]) -> Result<Self> {
        let both: Vec<(u32, u32)> = edges.iter().filter(|(a, b)| a != b).flat_map(|&(a, b)| [(a, b), (b, a)]).collect();
        check(nodes, edges)?;
        Self::directed(nodes, &both)
    }

    /// Creates a graph with edges `(source, target, weight)`.
    ///
    /// # Errors
    /// [`Error::Argument`] for an edge to or from a node that does not exist, for an edge that is given twice, or for a weight
    /// that is not finite.
    pub fn weighted(nodes: usize, edges: &[(u32, u32, f32)]) -> Result<Self> {
        let ends: Vec<(u32, u32)> = edges.iter().map(|&(source, target, _)| (source, target)).collect();
        check(nodes, &ends)?;
        let mut by_target: Vec<(u32, u32, f32)> = edges.iter().map(|&(s, t, w)| (t, s, w)).collect();
        by_target.sort_unstable_by_key(|&(t, s, _)| (t, s));
        for (i, &(target, source, weight)) in by_target.iter().enumerate() {
            let edge = || format!("edge {source} -> {target}");
            if !weight.is_finite() {
                return Err(Error::argument("Graph", format!("weight of {}", edge()), weight, "finite"));
            }
            if i > 0 && by_target[i - 1].0 == target && by_target[i - 1].1 == source {
                return Err(Error::argument(
                    "Graph",
                    edge(),
                    "given twice",
                    "given once, since its weight is ambiguous otherwise",
                ));
            }
        }
        let weights = by_target.iter().map(|e| e.2).collect();
        let pairs: Vec<(u32, u32)> = by_target.iter().map(|&(t, s, _)| (t, s)).collect();
        Ok(Self::sorted(nodes, &pairs, Some(weights)))
    }

    /// Creates a graph in which both ends of every edge `(a, b, weight)` send to each other with this weight. An edge that is
    /// given in both directions with the same weight counts once. Edges from a node to itself are dropped.
    ///
    /// # Errors
    /// Those of [`weighted`](Self::weighted), and [`Error::Argument`] for an edge whose two directions have different weights.
    pub fn undirected_weighted(nodes: usize, edges: &[(u32, u32, f32)]) -> Result<Self> {
        // Sorted by ends; the direction that starts at the smaller node comes first.
        let mut sorted: Vec<(u32, u32, f32)> = edges.iter().copied().filter(|(a, b, _)| a != b).collect();
        sorted.sort_unstable_by_key(|&(a, b, _)| (a.min(b), a.max(b), a));
        let mut both = Vec::with_capacity(2 * sorted.len());
        for (i, &(a, b, weight)) in sorted.iter().enumerate() {
            if let Some(&(c, d, other)) = i.checked_sub(1).and_then(|before| sorted.get(before))
                && (c, d) == (b, a)
            {
                // Weights that are not finite are reported below.
                if weight != other && weight.is_finite() && other.is_finite() {
                    let given = format!("given with weights {other} and {weight} for its two directions");
                    return Err(Error::argument(
                        "Graph",
                        format!("edge {c} - {d}"),
                        given,
                        "given with the same weight for both",
                    ));
                }
                continue;
            }
            both.extend([(a, b, weight), (b, a, weight)]);
        }
        check(nodes, &edges.iter().map(|&(a, b, _)| (a, b)).collect::<Vec<_>>())?;
        Self::weighted(nodes, &both)
    }

    /// Creates a graph from `(target, source)` pairs in ascending order without repetitions.
    fn sorted(nodes: usize, by_target: &[(u32, u32)], weights: Option<Vec<f32>>) -> Self {
        let mut by_source: Vec<(u32, u32)> = by_target.iter().map(|&(t, s)| (s, t)).collect();
        by_source.sort_unstable();
        Self {
            nodes,
            incoming: Csr::new(nodes, by_target.iter().copied()),
            outgoing: Csr::new(nodes, by_source.into_iter()),
            weights,
            matrices: OnceLock::new(),
            on_devices: Mutex::default(),
        }
    }

    /// Number of nodes `N`.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Number of directed edges `E`.
    pub fn edges(&self) -> usize {
        self.incoming.columns.len()
    }

    /// Nodes that send to `target`, in ascending order.
    ///
    /// # Panics
    /// If the node does not exist, like the index of a slice.
    pub fn sources_of(&self, target: usize) -> &[u32] {
        self.incoming.row(target)
    }

    /// Nodes that `source` sends to, in ascending order.
    ///
    /// # Panics
    /// If the node does not exist, like the index of a slice.
    pub fn targets_of(&self, source: usize) -> &[u32] {
        self.outgoing.row(source)
    }

    /// Whether `source` sends to `target`; false for nodes that do not exist.
    pub fn has_edge(&self, source: u32, target: u32) -> bool {
        (target as usize) < self.nodes && self.sources_of(target as usize).binary_search(&source).is_ok()
    }

    /// All edges `(source, target)`, sorted by target.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.incoming.iter().map(|(target, source)| (source, target))
    }

    /// Weights in the order of [`iter`](Self::iter); `None` if all of them are 1.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    /// The graph as sparse matrices, created once.
    fn matrices(&self) -> Arc<Matrices> {
        self.matrices.get_or_init(|| Arc::new(Matrices::new(&self.incoming, self.weights()))).clone()
    }

    /// The edges as index tensors on a device, created once.
    pub fn on(&self, device: &Device) -> Arc<Edges> {
        let mut made = self.on_devices.lock().unwrap_or_else(PoisonError::into_inner);
        // Devices with and without autodiff compare equal, but their tensors cannot always be combined.
        let same = |d: &Device| d == device && d.is_autodiff() == device.is_autodiff();
        if let Some((_, edges)) = made.iter().find(|(d, _)| same(d)) {
            return edges.clone();
        }
        let matrices = Sparse::works_on(device).then(|| self.matrices());
        let edges = Arc::new(Edges::new(&self.incoming, self.weights(), matrices, device));
        made.push((device.clone(), edges.clone()));
        edges
    }
}

fn check(nodes: usize, edges: &[(u32, u32)]) -> Result<()> {
    for (i, &(source, target)) in edges.iter().enumerate() {
        for node in [source, target] {
            if node as usize >= nodes {
                let needed = format!("less than {nodes}, the number of nodes");
                return Err(Error::argument(
                    "Graph",
                    format!("a node of edge {i} ({source} -> {target})"),
                    node,
                    needed,
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn both_orders_hold_the_same_edges(pairs in prop::collection::vec((0u32..20, 0u32..20), 0..80)) {
            let graph = Graph::directed(20, &pairs).unwrap();
            let expected: BTreeSet<(u32, u32)> = pairs.iter().copied().collect();
            prop_assert_eq!(graph.iter().collect::<BTreeSet<_>>(), expected.clone());
            let by_source = (0..20usize).flat_map(|s| graph.targets_of(s).iter().map(move |&t| (s as u32, t)));
            prop_assert_eq!(by_source.collect::<BTreeSet<_>>(), expected.clone());
            prop_assert_eq!(graph.edges(), expected.len());
            for s in 0..20 {
                for t in 0..20 {
                    prop_assert_eq!(graph.has_edge(s, t), expected.contains(&(s, t)));
                }
            }
        }

        #[test]
        fn undirected_edges_go_both_ways_and_never_home(pairs in prop::collection::vec((0u32..9, 0u32..9), 0..40)) {
            let graph = Graph::undirected(9, &pairs).unwrap();
            for (s, t) in graph.iter() {
                prop_assert!(s != t && graph.has_edge(t, s) && (pairs.contains(&(s, t)) || pairs.contains(&(t, s))));
            }
            prop_assert!(pairs.iter().all(|&(a, b)| a == b || graph.has_edge(a, b)));
        }
    }

    #[test]
    fn mistakes_are_named() {
        let error = |e: Result<Graph>| e.unwrap_err().to_string();
        assert_eq!(
            error(Graph::directed(3, &[(0, 1), (2, 7)])),
            "Graph: a node of edge 1 (2 -> 7) is 7, but needs to be less than 3, the number of nodes"
        );
        assert_eq!(
            error(Graph::weighted(3, &[(0, 1, 1.0), (1, 2, f32::NAN)])),
            "Graph: weight of edge 1 -> 2 is NaN, but needs to be finite"
        );
        assert!(error(Graph::weighted(3, &[(0, 1, 1.0), (0, 1, 2.0)])).contains("edge 0 -> 1 is given twice"));
        assert!(error(Graph::undirected(2, &[(5, 5)])).contains("5"));
    }

    #[test]
    fn an_edge_with_one_weight_may_be_given_in_both_directions() {
        let graph = |edges: &[(u32, u32, f32)]| Graph::undirected_weighted(3, edges);
        let given = [
            graph(&[(0, 1, 2.0), (2, 1, 3.0)]),
            graph(&[(0, 1, 2.0), (2, 1, 3.0), (1, 0, 2.0), (1, 2, 3.0)]),
            graph(&[(1, 0, 2.0), (1, 1, 7.0), (1, 2, 3.0), (0, 1, 2.0)]),
        ];
        for graph in given.map(Result::unwrap) {
            assert_eq!(graph.iter().collect::<Vec<_>>(), [(1, 0), (0, 1), (2, 1), (1, 2)]);
            assert_eq!(graph.weights().unwrap(), [2.0, 2.0, 3.0, 3.0]);
        }
        let error = |edges: &[(u32, u32, f32)]| graph(edges).unwrap_err().to_string();
        assert_eq!(
            error(&[(1, 0, 2.5), (0, 1, 2.0)]),
            "Graph: edge 0 - 1 is given with weights 2 and 2.5 for its two directions, but needs to be given with the same weight for both"
        );
        assert!(error(&[(0, 1, 2.0), (0, 1, 2.0)]).contains("given twice"));
        assert!(error(&[(0, 1, 2.0), (1, 0, 2.0), (1, 0, 2.0)]).contains("given twice"));
        assert!(error(&[(3, 3, 2.0)]).contains("less than 3"));
        assert!(error(&[(0, 1, f32::NAN), (1, 0, f32::NAN)]).contains("NaN"));
    }

    #[test]
    fn weights_follow_their_edges() {
        let graph = Graph::weighted(3, &[(2, 0, 0.5), (1, 2, 3.0), (1, 0, 2.0)]).unwrap();
        assert_eq!(graph.iter().collect::<Vec<_>>(), [(1, 0), (2, 0), (1, 2)]);
        assert_eq!(graph.weights().unwrap(), [2.0, 0.5, 3.0]);
    }
}
