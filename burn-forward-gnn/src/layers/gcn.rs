//! Graph convolution, Kipf and Welling 2017, arXiv 1609.02907: `H = f(A_hat X W + b)` with
//! `A_hat = D^(-1/2) (A + I) D^(-1/2)`.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::network::{Layer, LayerExport};

use super::{FLOAT, Frame};
use crate::graph::Aggregation;

/// A graph convolution.
#[derive(Module, Debug)]
pub struct Gcn {
    /// `W` `[d_in, d_out]` and `b`.
    pub(super) linear: Linear,
    pub(super) frame: Frame,
}

impl Gcn {
    fn sizes(&self) -> [usize; 2] {
        self.linear.weight.lazy_shape().dims()
    }
}

/// `x W` of a linear layer, without its bias.
pub(super) fn product(linear: &Linear, x: Tensor<2>) -> Tensor<2> {
    x.matmul(linear.weight.val())
}

/// The bias of a linear layer, where it has one.
pub(super) fn with_bias(linear: &Linear, z: Tensor<2>) -> Tensor<2> {
    match &linear.bias {
        Some(bias) => z + bias.val().unsqueeze(),
        None => z,
    }
}

impl Layer for Gcn {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        let [d_in, d_out] = self.sizes();
        format!("gcn {d_in}->{d_out} {}", self.frame.activation.name())
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

    fn trace(&self, input: AnyActivation, _drive: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let [d_in, d_out] = self.sizes();
        let (sent, received) = self.frame.enter(input);
        // The product and the sum over neighbours commute: the sum goes where there are fewer features.
        let z = match sent.kept(Aggregation::Propagation) {
            Some(aggregated) => product(&self.linear, aggregated),
            None if d_in > d_out || sent.is_sparse() => {
                sent.aggregate(Aggregation::Propagation, sent.product(&self.linear))
            }
            None => product(&self.linear, sent.aggregated(Aggregation::Propagation)),
        };
        received.finish(with_bias(&self.linear, z))
    }

    fn export(&self) -> LayerExport {
        self.frame.export("gcn")
    }
}
