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

    fn trace(&self, input: AnyActivation, _bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let [d_in, d_out] = self.sizes();
        let (sent, received) = self.frame.enter(input);
        // The product and the sum over neighbours commute: the sum goes where there are fewer features.
        match sent.kept(Aggregation::Propagation) {
            Some(aggregated) => received.affine(aggregated, &self.linear),
            None if d_in > d_out || sent.is_sparse() => {
                let z = sent.aggregate(Aggregation::Propagation, sent.product(&self.linear));
                received.shift(z, self.linear.bias.as_ref())
            }
            None => received.affine(sent.aggregated(Aggregation::Propagation), &self.linear),
        }
    }

    fn export(&self) -> LayerExport {
        self.frame.export("gcn")
    }
}
