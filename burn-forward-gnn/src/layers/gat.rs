//! Graph attention, Velickovic et al. 2018, arXiv 1710.10903. Per head, with `g = x W` `[N, d]`:
//! `e_st = leaky_relu(a_src . g_s + a_dst . g_t)`, `alpha = softmax` over the nodes that send to `t`, including `t` itself, and
//! `h_t = f(sum_s alpha_st g_s + b)`. The outputs of the heads are concatenated, or averaged in a layer whose output is the
//! class scores.

use std::ops::ControlFlow;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Tensor, activation};
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::network::{Layer, LayerExport};

use super::{FLOAT, MessagePassing};
use crate::graph::Edges;

/// Slope of the leaky ReLU of the attention below 0.
const SLOPE: f64 = 0.2;

/// A graph attention layer.
#[derive(Module, Debug)]
pub struct Gat {
    /// `W` `[d_in, heads d]` without bias.
    pub(super) linear: Linear,
    /// `a_src` `[heads, d]`.
    pub(super) source: Param<Tensor<2>>,
    /// `a_dst` `[heads, d]`.
    pub(super) target: Param<Tensor<2>>,
    /// `b`, with the width of the output.
    pub(super) bias: Param<Tensor<1>>,
    pub(super) message_passing: MessagePassing,
    /// Whether the heads are averaged.
    pub(super) average: bool,
}

impl Gat {
    /// Number of input features, of heads, and of features per head.
    fn sizes(&self) -> [usize; 3] {
        let [d_in, _] = self.linear.weight.lazy_shape().dims();
        let [heads, width] = self.source.lazy_shape().dims();
        [d_in, heads, width]
    }

    fn width(&self) -> usize {
        let [_, heads, width] = self.sizes();
        if self.average { width } else { heads * width }
    }

    /// Attention with Burn's own operations: `g` `[N, heads d]` to `[N, heads d]`.
    fn attend(&self, edges: &Edges, g: Tensor<2>) -> Tensor<2> {
        let [_, heads, width] = self.sizes();
        let [nodes, _] = g.dims();
        let by_head = g.clone().reshape([nodes, heads, width]);
        // Computed per node and head, since a . [g_s, g_t] is a sum of two parts: N products instead of E.
        let part = |a: &Param<Tensor<2>>| (by_head.clone() * a.val().unsqueeze()).sum_dim(2).reshape([nodes, heads]);
        let (source, target) = (part(&self.source), part(&self.target));

        // Every node also sends to itself. These scores are kept separate, so that the edges are those of the graph.
        let own = activation::leaky_relu(source.clone() + target.clone(), SLOPE);
        let scores = source.select(0, edges.sources.clone()) + target.select(0, edges.targets.clone());
        let scores = activation::leaky_relu(scores, SLOPE);
        let highest = edges.scatter_max(scores.clone(), own.clone());
        let own = (own - highest.clone()).exp();
        let exp = (scores - highest.select(0, edges.targets.clone())).exp();
        let sums = edges.scatter_add(exp.clone(), own.clone());

        let itself = (by_head * own.reshape([nodes, heads, 1])).reshape([nodes, heads * width]);
        // Divided once per node instead of once per edge.
        let sum = edges.weighted_sum_into(exp, g, itself).reshape([nodes, heads, width]);
        (sum / sums.reshape([nodes, heads, 1])).reshape([nodes, heads * width])
    }
}

impl Layer for Gat {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        let [d_in, heads, width] = self.sizes();
        format!("gat {d_in}->{heads}x{width} {}", self.message_passing.activation.name())
    }

    fn output(&self) -> RowShape {
        RowShape::Nodes(self.width())
    }

    fn macs_per_row(&self) -> usize {
        let [d_in, heads, width] = self.sizes();
        (d_in + 2) * heads * width
    }

    fn activation_bytes_per_row(&self) -> usize {
        let [d_in, heads, width] = self.sizes();
        (d_in + 3 * heads * width + 2 * self.width()) * FLOAT
    }

    fn trace(&self, input: AnyActivation, _bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let [_, heads, width] = self.sizes();
        let (mut messages, update) = self.message_passing.start(input);
        let g = messages.take_product(&self.linear);
        let [nodes, _] = g.dims();
        let h = match messages.edges.attention(g, &self.source.val(), &self.target.val(), SLOPE as f32) {
            ControlFlow::Break(h) => h,
            ControlFlow::Continue(g) => self.attend(&messages.edges, g),
        };
        let h = if self.average { h.reshape([nodes, heads, width]).mean_dim(1).reshape([nodes, width]) } else { h };
        update.shift(messages.select_rows(h), Some(&self.bias))
    }

    fn export(&self) -> LayerExport {
        self.message_passing.export("gat")
    }
}
