//! Graph convolution, Kipf and Welling 2017, arXiv 1609.02907: `H = f(A_hat X W + b)` with
//! `A_hat = D^(-1/2) (A + I) D^(-1/2)`.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::network::{Layer, LayerExport};

use super::{FLOAT, MessagePassing};
use crate::graph::Aggregation;

/// A graph convolution.
#[derive(Module, Debug)]
pub struct Gcn {
    /// `W` `[d_in, d_out]` and `b`.
    pub(super) linear: Linear,
    pub(super) message_passing: MessagePassing,
}

impl Gcn {
    fn sizes(&self) -> [usize; 2] {
        self.linear.weight.lazy_shape().dims()
    }
}

impl Layer for Gcn {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        let [d_in, d_out] = self.sizes();
        format!("gcn {d_in}->{d_out} {}", self.message_passing.activation.name())
    }

    fn output(&self) -> RowShape {
        RowShape::Nodes(self.sizes()[1])
    }

    fn macs_per_row(&self) -> usize {
        self.sizes().iter().product()
    }

    fn activation_bytes_per_row(&self) -> usize {
        let [d_in, d_out] = self.sizes();
        (d_in + 2 * d_out) * FLOAT
    }

    fn trace(&self, input: AnyActivation, _bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let [d_in, d_out] = self.sizes();
        let (messages, update) = self.message_passing.start(input);
        // The product and the sum over neighbours commute; the sum is computed where there are fewer features.
        match messages.cached_aggregate(Aggregation::Propagation) {
            Some(aggregated) => update.affine(aggregated, &self.linear),
            None if d_in > d_out || messages.is_sparse() => {
                let z = messages.aggregate(Aggregation::Propagation, messages.product(&self.linear));
                update.shift(z, self.linear.bias.as_ref())
            }
            None => update.affine(messages.take_aggregate(Aggregation::Propagation), &self.linear),
        }
    }

    fn export(&self) -> LayerExport {
        self.message_passing.export("gcn")
    }
}
