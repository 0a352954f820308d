//! GraphSAGE, Hamilton, Ying and Leskovec 2017, arXiv 1706.02216: `h_t = f(x_t W_self + agg_{s -> t}(x_s) W_neigh + b)` with
//! the mean or the maximum of the neighbours' features. The paper's normalisation of the output is left to the next layer.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::network::{Layer, LayerExport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FLOAT, MessagePassing, product};
use crate::graph::Aggregation;

/// How the neighbours' features are aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregator {
    /// Their mean.
    #[default]
    Mean,
    /// Their maximum, feature by feature.
    Max,
}

/// A GraphSAGE layer.
#[derive(Module, Debug)]
pub struct Sage {
    /// `W_self` `[d_in, d_out]`, without a bias.
    pub(super) own: Linear,
    /// `W_neigh` `[d_in, d_out]` and `b`.
    pub(super) neighbours: Linear,
    pub(super) message_passing: MessagePassing,
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
        format!("sage-{kind} {d_in}->{d_out} {}", self.message_passing.activation.name())
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
        let (messages, update) = self.message_passing.start(input);
        let how = match self.aggregator {
            Aggregator::Mean => Aggregation::Mean,
            Aggregator::Max => Aggregation::Max,
        };
        let z = if let (Some(aggregated), Some(own)) = (messages.cached_aggregate(how), messages.cached_rows()) {
            product(&self.own, own) + product(&self.neighbours, aggregated)
        } else if how == Aggregation::Mean && messages.is_sparse() {
            messages.product_of_rows(&self.own) + messages.aggregate(how, messages.product(&self.neighbours))
        } else {
            // Both products use the same features, so that dropout zeroes the same ones.
            let x = messages.features();
            let own = product(&self.own, messages.select_rows(x.clone()));
            // A mean commutes with the product; it is computed where there are fewer features.
            own + if how == Aggregation::Mean && d_in > d_out {
                messages.aggregate(how, product(&self.neighbours, x))
            } else {
                product(&self.neighbours, messages.aggregate(how, x))
            }
        };
        update.shift(z, self.neighbours.bias.as_ref())
    }

    fn export(&self) -> LayerExport {
        self.message_passing.export("sage")
    }
}
