//! Message-passing layers, each a [`Layer`](burn_forward::network::Layer) that blocks are made of.
//!
//! A layer takes [`AnyActivation::Nodes`] with a [`GraphTask`] behind them, which `config` makes sure of before there are
//! weights. Should it meet anything else, every row is a node without neighbours.

mod config;
mod gat;
mod gcn;
mod gin;
mod sage;

pub use config::{GatConfig, GcnConfig, GinConfig, SageConfig, network_entries};
pub use gat::Gat;
pub use gcn::Gcn;
pub use gin::Gin;
pub use sage::{Aggregator, Sage};

use std::sync::Arc;

use burn::module::Module;
use burn::nn::{Dropout, Linear};
use burn::tensor::Tensor;
use burn_forward::activation::{Activation, AnyActivation, NodeFeatures};
use burn_forward::block::Trace;
use burn_forward::network::{ActivationFn, LayerExport};
use burn_forward::normalise::Normaliser;

use crate::graph::{Edges, GraphTask};

/// What all layers have in common: what happens to the input before messages are sent and to the sum behind.
#[derive(Module, Debug)]
pub(crate) struct Frame {
    dropout: Dropout,
    #[module(skip)]
    pub(crate) activation: ActivationFn,
    #[module(skip)]
    pub(crate) normalisation: Normaliser,
}

/// A layer's input, ready to be sent.
pub(crate) struct Incoming<'a> {
    input: &'a AnyActivation,
    frame: &'a Frame,
    pub(crate) edges: Arc<Edges>,
}

impl Frame {
    /// The input with its edges.
    pub(crate) fn enter<'a>(&'a self, input: &'a AnyActivation) -> Incoming<'a> {
        let device = input.device();
        let edges = match GraphTask::behind(input) {
            Some(task) => task.graph.on(&device),
            None => Arc::new(Edges::none(input.rows(), &device)),
        };
        Incoming { input, frame: self, edges }
    }

    /// From the pre-activation to the output.
    pub(crate) fn finish(&self, input: &AnyActivation, z: Tensor<2>) -> Trace<AnyActivation> {
        let h = self.activation.forward(z.clone());
        Trace { output: input.with_features(h), pre_activation: Some(z) }
    }

    pub(crate) fn export(&self, kind: &str) -> LayerExport {
        LayerExport {
            name: String::new(),
            kind: kind.into(),
            normalisation: self.normalisation.name().into(),
            activation: self.activation.name().into(),
        }
    }
}

impl Incoming<'_> {
    /// The features that are sent: normalised, with dropout.
    pub(crate) fn features(&self) -> Tensor<2> {
        self.frame.dropout.forward(self.frame.normalisation.forward(self.input.features()))
    }

    /// `N(x) W` of the features that are sent.
    pub(crate) fn product(&self, linear: &Linear) -> Tensor<2> {
        let weight = linear.weight.val();
        match self.input.nodes() {
            Some(nodes) if self.is_sparse() => nodes.features.normalised_product(self.frame.normalisation, weight),
            _ => self.features().matmul(weight),
        }
    }

    /// Whether a product with the features costs less than a sum over neighbours: few of them are not 0.
    ///
    /// Dropout draws for every feature, so with it they count as dense.
    pub(crate) fn is_sparse(&self) -> bool {
        let sparse = self.input.nodes().is_some_and(|n| matches!(n.features, NodeFeatures::Sparse { .. }));
        sparse && self.frame.dropout.prob == 0.0
    }

    /// The features, aggregated; of features that stay the same from step to step only once.
    ///
    /// `None` where nothing can be kept, and for sparse features, which an aggregation would fill: then a layer may as well
    /// transform before it aggregates.
    pub(crate) fn kept(&self, how: &str, aggregate: impl Fn(&Edges, Tensor<2>) -> Tensor<2>) -> Option<Tensor<2>> {
        let memo = self.input.nodes()?.memo.as_ref()?;
        if self.frame.dropout.prob > 0.0 || self.is_sparse() {
            return None;
        }
        let name = format!("{how} {}", self.frame.normalisation.name());
        Some(memo.get_or_make(&name, || aggregate(&self.edges, self.features())))
    }
}

/// Bytes of one `f32`.
pub(crate) const FLOAT: usize = size_of::<f32>();

#[cfg(test)]
mod tests;
