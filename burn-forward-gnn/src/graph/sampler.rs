//! Neighbour sampling: the subgraph around some nodes, for graphs that are too large for one step.

use burn_forward::random::Rng;
use burn_forward::{Error, Result};
use rand::seq::index;

use super::Graph;

/// For every node that is reached, samples a limited number of the nodes that send to it. There is one limit per layer,
/// starting at the labelled nodes (Hamilton, Ying and Leskovec 2017, arXiv 1706.02216).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampler {
    fan_outs: Vec<usize>,
}

impl Sampler {
    /// A sampler with one fan-out per layer.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are no fan-outs, or if one is 0.
    pub fn new(fan_outs: Vec<usize>) -> Result<Self> {
        if fan_outs.is_empty() || fan_outs.contains(&0) {
            return Err(Error::argument("Sampler", "fan-outs", format!("{fan_outs:?}"), "one >= 1 per layer"));
        }
        Ok(Self { fan_outs })
    }

    /// The sampled nodes in the order in which they were reached, starting with `seeds`, and the graph of the sampled edges
    /// between them.
    ///
    /// # Errors
    /// [`Error::Argument`] for a seed that does not exist or is given twice.
    pub fn sample(&self, graph: &Graph, seeds: &[u32], rng: &mut Rng) -> Result<(Vec<u32>, Graph)> {
        let mut place = vec![u32::MAX; graph.nodes()];
        let mut nodes: Vec<u32> = Vec::with_capacity(seeds.len() * 4);
        for &seed in seeds {
            match place.get_mut(seed as usize) {
                Some(p) if *p == u32::MAX => *p = nodes.len() as u32,
                _ => {
                    let needed = format!("less than {}, the number of nodes, and given once", graph.nodes());
                    return Err(Error::argument("Sampler", "a seed", seed, needed));
                }
            }
            nodes.push(seed);
        }
        let mut edges: Vec<(u32, u32, f32)> = Vec::new();
        let mut frontier = 0..nodes.len();
        for &fan_out in &self.fan_outs {
            for target in frontier.clone() {
                let node = nodes[target] as usize;
                let sources = graph.sources_of(node);
                let start = graph.incoming.offsets[node];
                let mut chosen = if sources.len() <= fan_out {
                    (0..sources.len()).collect()
                } else {
                    index::sample(rng, sources.len(), fan_out).into_vec()
                };
                chosen.sort_unstable();
                for k in chosen {
                    let p = &mut place[sources[k] as usize];
                    if *p == u32::MAX {
                        *p = nodes.len() as u32;
                        nodes.push(sources[k]);
                    }
                    edges.push((*p, target as u32, graph.weights().map_or(1.0, |w| w[start + k])));
                }
            }
            frontier = frontier.end..nodes.len();
        }
        let subgraph = match graph.weights() {
            Some(_) => Graph::weighted(nodes.len(), &edges)?,
            None => Graph::directed(nodes.len(), &edges.iter().map(|&(s, t, _)| (s, t)).collect::<Vec<_>>())?,
        };
        Ok((nodes, subgraph))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_forward::random::Seed;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_sample_is_a_part_of_the_graph(
            pairs in prop::collection::vec((0u32..30, 0u32..30), 1..200), fan_out in 1usize..5, seed: u64,
        ) {
            let graph = Graph::undirected(30, &pairs).unwrap();
            let sampler = Sampler::new(vec![fan_out, fan_out]).unwrap();
            let draw = || sampler.sample(&graph, &[4, 7], &mut Seed::new(seed).stream("neighbours", &[1])).unwrap();
            let (nodes, part) = draw();
            prop_assert_eq!(&nodes[..2], &[4, 7]);
            let mut unique = nodes.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), nodes.len());
            for (s, t) in part.iter() {
                prop_assert!(graph.has_edge(nodes[s as usize], nodes[t as usize]));
            }
            for t in 0..part.nodes() {
                prop_assert!(part.sources_of(t).len() <= fan_out);
            }
            for (seed, node) in nodes.iter().take(2).enumerate() {
                let all = graph.sources_of(*node as usize).len();
                prop_assert_eq!(part.sources_of(seed).len(), all.min(fan_out));
            }
            prop_assert_eq!(draw().0, nodes);
        }
    }

    #[test]
    fn a_fan_out_beyond_the_degree_takes_the_whole_neighbourhood() {
        let graph = Graph::undirected(4, &[(0, 1), (1, 2), (2, 3)]).unwrap();
        let sampler = Sampler::new(vec![9, 9]).unwrap();
        let (nodes, part) = sampler.sample(&graph, &[0], &mut Seed::new(0).stream("n", &[])).unwrap();
        assert_eq!(nodes, [0, 1, 2]);
        assert_eq!(part.iter().collect::<Vec<_>>(), [(1, 0), (0, 1), (2, 1)]);
        assert!(Sampler::new(vec![]).is_err() && Sampler::new(vec![2, 0]).is_err());
        assert!(sampler.sample(&graph, &[0, 0], &mut Seed::new(0).stream("n", &[])).is_err());
    }
}
