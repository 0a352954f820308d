//! GraphSAGE, Hamilton, Ying and Leskovec 2017, arXiv 1706.02216: `h_t = f(x_t W_self + agg_{s -> t}(x_s) W_neigh + b)`
//! with the mean or the maximum of the neighbours' features; without its normalisation of the output, which is the next
//! layer's business here.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::network::{Layer, LayerExport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FLOAT, Frame, product};
use crate::graph::Aggregation;

/// What becomes of the neighbours' features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregator {
    /// Their mean.
    #[default]
    Mean,
    /// Their maximum, by feature.
    Max,
}

/// A GraphSAGE layer.
#[derive(Module, Debug)]
pub struct Sage {
    /// `W_self` `[d_in, d_out]`, no bias.
    pub(super) own: Linear,
    /// `W_neigh` `[d_in, d_out]` and `b`.
    pub(super) neighbours: Linear,
    pub(super) frame: Frame,
    #[module(skip)]
    pub(super) aggregator: Aggregator,
}

impl Sage {
    fn sizes(&self) -> [usize; 2] {
        self.own.weight.lazy_shape().dims()
    }
}

impl Layer for Sage {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        let [d_in, d_out] = self.sizes();
        let kind = match self.aggregator {
            Aggregator::Mean => "mean",
            Aggregator::Max => "max",
        };
        format!("sage-{kind} {d_in}->{d_out} {}", self.frame.activation.name())
    }

    fn output(&self) -> RowShape {
        RowShape::Nodes(self.sizes()[1])
    }

    fn macs_per_row(&self) -> usize {
        2 * self.sizes().iter().product::<usize>()
    }

    fn activation_bytes_per_row(&self) -> usize {
        let [d_in, d_out] = self.sizes();
        (2 * d_in + 2 * d_out) * FLOAT
    }

    fn trace(&self, input: AnyActivation, _bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let [d_in, d_out] = self.sizes();
        let (sent, received) = self.frame.enter(input);
        let how = match self.aggregator {
            Aggregator::Mean => Aggregation::Mean,
            Aggregator::Max => Aggregation::Max,
        };
        let z = if let (Some(aggregated), Some(own)) = (sent.kept(how), sent.kept_rows()) {
            product(&self.own, own) + product(&self.neighbours, aggregated)
        } else if how == Aggregation::Mean && sent.is_sparse() {
            sent.product_of_rows(&self.own) + sent.aggregate(how, sent.product(&self.neighbours))
        } else {
            // One set of features for both, so that dropout drops the same.
            let x = sent.features();
            let own = product(&self.own, sent.rows(x.clone()));
            // A mean commutes with the product and goes where there are fewer features.
            own + if how == Aggregation::Mean && d_in > d_out {
                sent.aggregate(how, product(&self.neighbours, x))
            } else {
                product(&self.neighbours, sent.aggregate(how, x))
            }
        };
        received.shift(z, self.neighbours.bias.as_ref())
    }

    fn export(&self) -> LayerExport {
        self.frame.export("sage")
    }
}
