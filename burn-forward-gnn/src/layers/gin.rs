//! Graph isomorphism network, Xu, Hu, Leskovec and Jegelka 2019, arXiv 1810.00826:
//! `h_t = f(relu(((1 + eps) x_t + sum_{s -> t} x_s) W_1 + b_1) W_2 + b_2)` with `eps` learned or 0.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::network::{Layer, LayerExport};
use burn_forward_kernels::affine::affine_relu;

use super::{FLOAT, MessagePassing};
use crate::graph::Aggregation;

/// A GIN layer.
#[derive(Module, Debug)]
pub struct Gin {
    /// `W_1` `[d_in, d_out]`, `b_1`.
    pub(super) first: Linear,
    /// `W_2` `[d_out, d_out]`, `b_2`.
    pub(super) second: Linear,
    /// `eps` `[1]`; `None` means 0.
    pub(super) epsilon: Option<Param<Tensor<1>>>,
    pub(super) message_passing: MessagePassing,
}

impl Gin {
    fn sizes(&self) -> [usize; 2] {
        self.first.weight.lazy_shape().dims()
    }
}

impl Layer for Gin {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        let [d_in, d_out] = self.sizes();
        format!("gin {d_in}->{d_out} {}", self.message_passing.activation.name())
    }

    fn output(&self) -> RowShape {
        RowShape::Nodes(self.sizes()[1])
    }

    fn macs_per_row(&self) -> usize {
        let [d_in, d_out] = self.sizes();
        d_in * d_out + d_out * d_out
    }

    fn activation_bytes_per_row(&self) -> usize {
        let [d_in, d_out] = self.sizes();
        (2 * d_in + 4 * d_out) * FLOAT
    }

    fn trace(&self, input: AnyActivation, _bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let (messages, update) = self.message_passing.start(input);
        let (own, neighbours) = match (messages.cached_rows(), messages.cached_aggregate(Aggregation::Sum)) {
            (Some(own), Some(neighbours)) => (own, neighbours),
            _ => {
                let x = messages.features();
                (messages.select_rows(x.clone()), messages.aggregate(Aggregation::Sum, x))
            }
        };
        let sum = match &self.epsilon {
            Some(epsilon) => own * (epsilon.val() + 1.0).unsqueeze() + neighbours,
            None => own + neighbours,
        };
        let bias = self.first.bias.as_ref().map(|bias| bias.val());
        let hidden = affine_relu(sum, self.first.weight.val(), bias);
        update.affine(hidden, &self.second)
    }

    fn export(&self) -> LayerExport {
        self.message_passing.export("gin")
    }
}
