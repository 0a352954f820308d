//! Graphs derived from other graphs.

use burn_forward::{Error, Result};

use super::Graph;

impl Graph {
    /// Adds `nodes` nodes, numbered after the existing ones, and edges. Existing edges do not change.
    ///
    /// # Errors
    /// [`Error::Argument`] for an edge to or from a node that does not exist.
    pub fn with_nodes_and_edges(&self, nodes: usize, edges: &[(u32, u32)]) -> Result<Self> {
        let all = self.nodes() + nodes;
        match self.weights() {
            None => Self::directed(all, &self.iter().chain(edges.iter().copied()).collect::<Vec<_>>()),
            Some(weights) => {
                let mut own: Vec<(u32, u32, f32)> = self.iter().zip(weights).map(|((s, t), w)| (s, t, *w)).collect();
                let mut new: Vec<(u32, u32)> = edges.iter().copied().filter(|(s, t)| !self.has_edge(*s, *t)).collect();
                new.sort_unstable();
                new.dedup();
                own.extend(new.into_iter().map(|(s, t)| (s, t, 1.0)));
                Self::weighted(all, &own)
            }
        }
    }

    /// Adds `count` virtual nodes, numbered after the existing nodes. Each is connected in both directions to the nodes that
    /// `links` lists, as pairs of a node and the index of a virtual node.
    ///
    /// # Errors
    /// [`Error::Argument`] for a node or virtual node that does not exist.
    pub fn with_virtual_nodes(&self, count: usize, links: &[(u32, u32)]) -> Result<Self> {
        let first = self.nodes() as u32;
        if let Some((_, v)) = links.iter().find(|(_, v)| *v as usize >= count) {
            return Err(Error::argument(
                "Graph",
                "a virtual node",
                v,
                format!("less than {count}, the number of virtual nodes"),
            ));
        }
        let edges: Vec<(u32, u32)> = links.iter().flat_map(|&(n, v)| [(n, first + v), (first + v, n)]).collect();
        self.with_nodes_and_edges(count, &edges)
    }

    /// The given nodes, renumbered in the given order, with all edges between them.
    ///
    /// # Errors
    /// [`Error::Argument`] for a node that does not exist or is given twice.
    pub fn induced_subgraph(&self, nodes: &[u32]) -> Result<Self> {
        let mut place = vec![u32::MAX; self.nodes()];
        for (i, &node) in nodes.iter().enumerate() {
            let needed = format!("less than {}, the number of nodes, and given once", self.nodes());
            match place.get_mut(node as usize) {
                Some(p) if *p == u32::MAX => *p = i as u32,
                _ => return Err(Error::argument("Graph::induced_subgraph", "a node", node, needed)),
            }
        }
        let mut edges = Vec::new();
        for (i, &node) in nodes.iter().enumerate() {
            let start = self.incoming.offsets[node as usize];
            for (k, &source) in self.sources_of(node as usize).iter().enumerate() {
                if place[source as usize] != u32::MAX {
                    let weight = self.weights().map_or(1.0, |w| w[start + k]);
                    edges.push((place[source as usize], i as u32, weight));
                }
            }
        }
        if self.weights().is_some() {
            return Self::weighted(nodes.len(), &edges);
        }
        Self::directed(nodes.len(), &edges.iter().map(|&(s, t, _)| (s, t)).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_induced_graph_has_the_edges_among_its_nodes() {
        let graph = Graph::undirected(5, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]).unwrap();
        let part = graph.induced_subgraph(&[3, 2, 0]).unwrap();
        assert_eq!(part.iter().collect::<Vec<_>>(), [(1, 0), (0, 1)]);
        assert!(graph.induced_subgraph(&[1, 1]).unwrap_err().to_string().contains("given once"));
        let weighted = Graph::weighted(3, &[(0, 1, 2.0), (1, 2, 3.0)]).unwrap().induced_subgraph(&[2, 1]).unwrap();
        assert_eq!((weighted.iter().collect::<Vec<_>>(), weighted.weights()), (vec![(1, 0)], Some(&[3.0][..])));
    }

    #[test]
    fn virtual_nodes_are_linked_both_ways() {
        let graph = Graph::undirected(3, &[(0, 1)]).unwrap().with_virtual_nodes(2, &[(0, 1), (2, 0)]).unwrap();
        assert_eq!(graph.nodes(), 5);
        let mut edges: Vec<_> = graph.iter().collect();
        edges.sort_unstable();
        assert_eq!(edges, [(0, 1), (0, 4), (1, 0), (2, 3), (3, 2), (4, 0)]);
        assert!(graph.with_virtual_nodes(1, &[(0, 1)]).is_err());
        let weighted = Graph::weighted(2, &[(0, 1, 5.0)]).unwrap().with_virtual_nodes(1, &[(1, 0)]).unwrap();
        assert_eq!(weighted.weights().unwrap(), [5.0, 1.0, 1.0]);
    }
}
