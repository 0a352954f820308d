//! A graph as sparse matrices, for backends with products of sparse matrices.

use std::sync::{Arc, OnceLock};

use burn_forward_kernels::sparse::Sparse;

use super::csr::Csr;

/// Matrices `[N, N]` whose row `t` has an entry for every node that sends to `t`. Each is created at its first use.
#[derive(Debug)]
pub(crate) struct Matrices {
    offsets: Vec<usize>,
    sources: Vec<u32>,
    weights: Vec<f32>,
    sum: OnceLock<Option<Arc<Sparse>>>,
    mean: OnceLock<Option<Arc<Sparse>>>,
    propagation: OnceLock<Option<Arc<Sparse>>>,
}

impl Matrices {
    /// Matrices for a graph whose row `t` contains the nodes that send to `t`, with weights in the same order; `None` if all
    /// are 1.
    pub(super) fn new(incoming: &Csr, weights: Option<&[f32]>) -> Self {
        Self {
            offsets: incoming.offsets.clone(),
            sources: incoming.columns.clone(),
            weights: weights.map_or_else(|| vec![1.0; incoming.columns.len()], <[f32]>::to_vec),
            sum: OnceLock::new(),
            mean: OnceLock::new(),
            propagation: OnceLock::new(),
        }
    }

    fn nodes(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Sums of the weights of the edges to every node.
    fn degrees(&self) -> Vec<f32> {
        self.offsets.windows(2).map(|ends| self.weights[ends[0]..ends[1]].iter().sum()).collect()
    }

    /// The matrix with the entry `value(source, target, weight)` for every edge.
    fn of(&self, value: impl Fn(usize, usize, f32) -> f32) -> Option<Arc<Sparse>> {
        let targets = self.offsets.windows(2).enumerate().flat_map(|(t, ends)| (ends[0]..ends[1]).map(move |k| (t, k)));
        let values = targets.map(|(t, k)| value(self.sources[k] as usize, t, self.weights[k])).collect();
        Sparse::new(self.nodes(), self.offsets.clone(), self.sources.clone(), values).ok().map(Arc::new)
    }

    /// `A`: sums over sources.
    pub(super) fn sum(&self) -> Option<&Arc<Sparse>> {
        self.sum.get_or_init(|| self.of(|_, _, weight| weight)).as_ref()
    }

    /// `D^(-1) A`: means over sources; 0 for a node without sources.
    pub(super) fn mean(&self) -> Option<&Arc<Sparse>> {
        let make = || {
            let degrees = self.degrees();
            self.of(|_, target, weight| if degrees[target] > 0.0 { weight / degrees[target] } else { weight })
        };
        self.mean.get_or_init(make).as_ref()
    }

    /// `(D + I)^(-1/2) (A + I) (D + I)^(-1/2)`.
    pub(super) fn propagation(&self) -> Option<&Arc<Sparse>> {
        self.propagation.get_or_init(|| self.make_propagation()).as_ref()
    }

    fn make_propagation(&self) -> Option<Arc<Sparse>> {
        let root = |d: f32| if d > -1.0 { (1.0 + d).powf(-0.5) } else { 0.0 };
        let roots: Vec<f32> = self.degrees().into_iter().map(root).collect();
        let (mut offsets, mut places, mut values) = (vec![0], Vec::new(), Vec::new());
        for (target, ends) in self.offsets.windows(2).enumerate() {
            // The node itself comes first, because the sum starts with it.
            places.push(target as u32);
            values.push(roots[target] * roots[target]);
            for k in ends[0]..ends[1] {
                places.push(self.sources[k]);
                values.push(roots[target] * self.weights[k] * roots[self.sources[k] as usize]);
            }
            offsets.push(places.len());
        }
        Sparse::new(self.nodes(), offsets, places, values).ok().map(Arc::new)
    }
}
