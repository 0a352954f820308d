//! Edges on a device, and sums, means and maxima over neighbourhoods.
//!
//! If the backend supports products of sparse matrices ([`Sparse`]), sums are such products, and the messages are never stored.
//! Otherwise messages are gathered with `select` along the sources, and added up with `select_assign` along the targets; both
//! are Burn operations that every backend has. Edges are sorted by target. On a CPU, the order of summation is therefore that
//! of the sources, and the result is the same in every run. A GPU adds in any order.
//! result the same in every run; a GPU adds in any order.

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use burn_forward_kernels::shape;
use burn_forward_kernels::sparse::Sparse;

use super::csr::Csr;
use super::matrices::Matrices;

/// Largest number of floats in the messages that are in memory at once (64 MiB). If a sum over many edges has wide features, it
/// is computed in parts of this size.
pub const MAX_MESSAGE_FLOATS: usize = 1 << 24;

/// How the features of a node's sources are aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    /// [`Edges::sum`].
    Sum,
    /// [`Edges::mean`].
    Mean,
    /// [`Edges::max`].
    Max,
    /// [`Edges::propagate`].
    Propagation,
}

/// The edges of a graph as tensors.
#[derive(Debug)]
pub struct Edges {
    /// Source of every edge `[E]`, sorted by target.
    pub sources: Tensor<1, Int>,
    /// Target of every edge `[E]`, ascending.
    pub targets: Tensor<1, Int>,
    /// Weights `[E, 1]`; `None` if all of them are 1.
    pub weights: Option<Tensor<2>>,
    /// `1/max(1, d_t)` `[N, 1]`, where `d_t` is the sum of the weights of the edges to `t`.
    inverse_degree: Tensor<2>,
    /// `(1 + d_t)^(-1/2)` `[N, 1]`.
    inverse_root: Tensor<2>,
    /// The same edges as sparse matrices, on a backend with products of them.
    matrices: Option<Arc<Matrices>>,
}

impl Edges {
    /// The edges of a graph whose row `t` contains the nodes that send to `t`, with `matrices` if the device has products of
    /// sparse matrices.
    pub(super) fn new(
        incoming: &Csr,
        weights: Option<&[f32]>,
        matrices: Option<Arc<Matrices>>,
        device: &Device,
    ) -> Self {
        let (targets, sources) = incoming.iter().map(|(t, s)| (t as i32, s as i32)).unzip();
        Self { matrices, ..Self::of(incoming.rows(), sources, targets, weights, device) }
    }

    /// The edges of a graph without edges.
    pub(crate) fn none(nodes: usize, device: &Device) -> Self {
        Self::of(nodes, Vec::new(), Vec::new(), None, device)
    }

    fn of(nodes: usize, sources: Vec<i32>, targets: Vec<i32>, weights: Option<&[f32]>, device: &Device) -> Self {
        let edges = targets.len();
        let mut degree = vec![0f32; nodes];
        for (i, target) in targets.iter().enumerate() {
            degree[*target as usize] += weights.map_or(1.0, |w| w[i]);
        }
        let column = |values: Vec<f32>| {
            let rows = values.len();
            Tensor::from_data(TensorData::new(values, [rows, 1]), device)
        };
        Self {
            sources: Tensor::from_data(TensorData::new(sources, [edges]), device),
            targets: Tensor::from_data(TensorData::new(targets, [edges]), device),
            weights: weights.map(|w| column(w.to_vec())),
            inverse_degree: column(degree.iter().map(|d| if *d > 0.0 { 1.0 / d } else { 1.0 }).collect()),
            inverse_root: column(degree.iter().map(|d| if *d > -1.0 { (1.0 + d).powf(-0.5) } else { 0.0 }).collect()),
            matrices: None,
        }
    }

    /// Number of edges `E`.
    pub fn len(&self) -> usize {
        self.sources.dims()[0]
    }

    /// Whether there are no edges.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn check_nodes(&self, operation: &str, tensor: &str, x: &Tensor<2>) {
        let [nodes, _] = self.inverse_degree.dims();
        shape::check(operation, tensor, x.dims(), [Some(nodes), None]);
    }

    /// Checks messages `[E, d]` and the tensor that they are added to `[N, d]`.
    fn check_messages(&self, operation: &str, messages: &Tensor<2>, into: &Tensor<2>) {
        self.check_nodes(operation, "tensor of nodes", into);
        let [_, width] = into.dims();
        shape::check(operation, "tensor of edges", messages.dims(), [Some(self.len()), Some(width)]);
    }

    /// One of the aggregations below.
    ///
    /// # Shapes
    /// - `x`: `[N, d]`; returns `[N, d]`.
    ///
    /// # Panics
    /// If the number of rows differs. All operations below also panic if shapes do not match.
    pub fn aggregate(&self, how: Aggregation, x: Tensor<2>) -> Tensor<2> {
        match how {
            Aggregation::Sum => self.sum(x),
            Aggregation::Mean => self.mean(x),
            Aggregation::Max => self.max(x),
            Aggregation::Propagation => self.propagate(x),
        }
    }

    /// The matrix of an aggregation that is a matrix product, on a backend that has such products.
    pub(crate) fn matrix(&self, how: Aggregation) -> Option<&Arc<Sparse>> {
        let matrices = self.matrices.as_ref()?;
        match how {
            Aggregation::Sum => matrices.sum(),
            Aggregation::Mean => matrices.mean(),
            Aggregation::Max => None,
            Aggregation::Propagation => matrices.propagation(),
        }
    }

    /// `into_t + sum_{s -> t} w_st x_s`.
    ///
    /// # Shapes
    /// - `x`, `into`: `[N, d]`; returns `[N, d]`.
    pub fn sum_into(&self, x: Tensor<2>, into: Tensor<2>) -> Tensor<2> {
        self.check_nodes("sum over neighbours", "features", &x);
        shape::check("sum over neighbours", "tensor that is added to", into.dims(), x.dims().map(Some));
        match self.matrix(Aggregation::Sum).and_then(|sum| sum.product(&x)) {
            Some(sum) => into + sum,
            None => self.add_messages(x, into),
        }
    }

    fn add_messages(&self, x: Tensor<2>, into: Tensor<2>) -> Tensor<2> {
        let (edges, [_, width]) = (self.len(), x.dims());
        let piece = (MAX_MESSAGE_FLOATS / width.max(1)).max(1);
        let mut sum = into;
        for start in (0..edges).step_by(piece) {
            let n = piece.min(edges - start);
            let mut messages = x.clone().select(0, self.sources.clone().narrow(0, start, n));
            if let Some(weights) = &self.weights {
                messages = messages * weights.clone().narrow(0, start, n);
            }
            sum = sum.select_assign(0, self.targets.clone().narrow(0, start, n), messages, IndexingUpdateOp::Add);
        }
        sum
    }

    /// `sum_{s -> t} w_st x_s`: `A x`.
    ///
    /// # Shapes
    /// - `x`: `[N, d]`; returns `[N, d]`.
    pub fn sum(&self, x: Tensor<2>) -> Tensor<2> {
        let zeros = x.zeros_like();
        self.sum_into(x, zeros)
    }

    /// `D^(-1/2) (A + I) D^(-1/2) x` with `D = 1 + sum of A's rows`: the propagation of GCN (Kipf and Welling 2017, arXiv
    /// 1609.02907).
    ///
    /// # Shapes
    /// - `x`: `[N, d]`; returns `[N, d]`.
    pub fn propagate(&self, x: Tensor<2>) -> Tensor<2> {
        self.check_nodes("propagation", "features", &x);
        if let Some(propagated) = self.matrix(Aggregation::Propagation).and_then(|m| m.product(&x)) {
            return propagated;
        }
        // Applying the two roots per node costs 2 N d multiplications, while a factor per edge would cost E d.
        let scaled = x * self.inverse_root.clone();
        self.sum_into(scaled.clone(), scaled) * self.inverse_root.clone()
    }

    /// Weighted mean over the sources of every node; 0 for a node without sources.
    ///
    /// # Shapes
    /// - `x`: `[N, d]`; returns `[N, d]`.
    pub fn mean(&self, x: Tensor<2>) -> Tensor<2> {
        self.check_nodes("mean over neighbours", "features", &x);
        if let Some(mean) = self.matrix(Aggregation::Mean).and_then(|m| m.product(&x)) {
            return mean;
        }
        self.sum(x) * self.inverse_degree.clone()
    }

    /// Largest value of every feature over the sources of every node; 0 for a node without sources. Weights have no effect. The
    /// gradient goes to the source with the largest value; if several have it, it is divided equally.
    ///
    /// # Shapes
    /// - `x`: `[N, d]`; returns `[N, d]`.
    pub fn max(&self, x: Tensor<2>) -> Tensor<2> {
        self.check_nodes("maximum over neighbours", "features", &x);
        let zeros = x.zeros_like();
        let messages = x.select(0, self.sources.clone());
        // In Burn's gradient of a maximum by index, every value is compared with the previous content instead of the maximum,
        // which is wrong if an index occurs twice. Therefore the sources with the maximum are determined without gradients, and
        // the maximum is computed as the sum of their messages.
        let plain = messages.clone().detach();
        let lowest = zeros.clone().detach() + LOWEST;
        let max = lowest.select_assign(0, self.targets.clone(), plain.clone(), IndexingUpdateOp::Max);
        let won = plain.greater_equal(max.select(0, self.targets.clone())).float();
        let winners = zeros.clone().detach().select_assign(0, self.targets.clone(), won.clone(), IndexingUpdateOp::Add);
        let share = won / winners.select(0, self.targets.clone());
        self.scatter_add(messages * share, zeros)
    }

    /// `max(own_t, max_{s -> t} e_st)` without a gradient. A softmax subtracts it before the exponential; it cancels in the
    /// quotient.
    ///
    /// # Shapes
    /// - `scores`: `[E, h]`; `own`: `[N, h]`; returns `[N, h]`.
    pub fn scatter_max(&self, scores: Tensor<2>, own: Tensor<2>) -> Tensor<2> {
        self.check_messages("highest scores", &scores, &own);
        own.detach().select_assign(0, self.targets.clone(), scores.detach(), IndexingUpdateOp::Max)
    }

    /// `into_t + sum_{s -> t} m_st`, with one message per edge.
    ///
    /// # Shapes
    /// - `messages`: `[E, d]`; `into`: `[N, d]`; returns `[N, d]`.
    pub fn scatter_add(&self, messages: Tensor<2>, into: Tensor<2>) -> Tensor<2> {
        self.check_messages("sum of messages", &messages, &into);
        into.select_assign(0, self.targets.clone(), messages, IndexingUpdateOp::Add)
    }

    /// Graph attention in which every node is also a neighbour of itself; see [`Sparse::attention`]. Returns `Continue` with
    /// `g` on a backend without this operation.
    pub(crate) fn attention(
        &self,
        g: Tensor<2>,
        source: &Tensor<2>,
        target: &Tensor<2>,
        slope: f32,
    ) -> ControlFlow<Tensor<2>, Tensor<2>> {
        match self.matrix(Aggregation::Sum) {
            Some(matrix) => matrix.attention(g, source, target, slope),
            None => ControlFlow::Continue(g),
        }
    }

    /// `into_t + sum_{s -> t} e_st x_s` with learned weights, for `h` adjacent heads with their own weights.
    ///
    /// # Shapes
    /// - `weights`: `[E, h]`; `x`, `into`: `[N, h d]`; returns `[N, h d]`.
    pub fn weighted_sum_into(&self, weights: Tensor<2>, x: Tensor<2>, into: Tensor<2>) -> Tensor<2> {
        const PLACE: &str = "weighted sum over neighbours";
        let ([edges, heads], [_, width]) = (weights.dims(), x.dims());
        self.check_nodes(PLACE, "features", &x);
        shape::check(PLACE, "tensor that is added to", into.dims(), x.dims().map(Some));
        shape::check(PLACE, "weights", weights.dims(), [Some(self.len()), None]);
        shape::ensure(heads > 0 && width.is_multiple_of(heads), PLACE, || {
            format!("The features need to be a multiple of the heads. got: {width}, heads: {heads}")
        });
        let messages = x.select(0, self.sources.clone()).reshape([edges, heads, width / heads]);
        let messages = messages * weights.reshape([edges, heads, 1]);
        self.scatter_add(messages.reshape([edges, width]), into)
    }
}

/// A value below any feature.
const LOWEST: f64 = -1e30;
