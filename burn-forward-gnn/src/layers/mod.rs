//! Message-passing layers, each a [`Layer`](burn_forward::network::Layer) for blocks.
//!
//! A layer requires [`AnyActivation::Nodes`] with a [`LabelledGraph`]; the networks reject other data before weights are
//! created. Rows without a graph are treated as nodes without neighbours.

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

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn_forward::activation::{Activation, AnyActivation, FeatureCache, NodeFeatures, RequiredRows};
use burn_forward::block::Trace;
use burn_forward::network::LayerExport;
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::pieces::dropout::Dropout;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward_kernels::affine::{affine, affine_relu, shift, shift_relu};
use burn_forward_kernels::shape;
use burn_forward_kernels::sparse::Sparse;

use crate::graph::{Aggregation, Edges, LabelledGraph};

/// The common parts of all layers: normalisation and dropout of the input before the messages, and the activation function of
/// the update after their aggregation.
#[derive(Module, Debug)]
pub(crate) struct MessagePassing {
    dropout: Dropout,
    #[module(skip)]
    pub(crate) activation: ActivationFn,
    #[module(skip)]
    pub(crate) normalisation: Normalisation,
}

/// The messages of a layer: the features of its input, and the edges along which they are sent.
pub(crate) struct Messages<'a> {
    features: NodeFeatures,
    feature_cache: Option<FeatureCache>,
    message_passing: &'a MessagePassing,
    pub(crate) edges: Arc<Edges>,
}

/// The update of a layer, which turns the aggregated messages into its output.
pub(crate) struct Update<'a> {
    /// The input without its features, so that these are freed once the messages are aggregated.
    input: AnyActivation,
    read: Option<Arc<RequiredRows>>,
    message_passing: &'a MessagePassing,
}

impl MessagePassing {
    /// The messages and the update for an input.
    ///
    /// # Panics
    /// If the number of nodes differs from that of the graph.
    pub(crate) fn start(&self, input: AnyActivation) -> (Messages<'_>, Update<'_>) {
        let device = input.device();
        let edges = match LabelledGraph::of_activation(&input) {
            Some(labelled_graph) => {
                shape::check("graph layer", "nodes", [input.rows()], [Some(labelled_graph.graph.nodes())]);
                labelled_graph.graph.on(&device)
            }
            None => Arc::new(Edges::none(input.rows(), &device)),
        };
        let feature_cache = input.nodes().and_then(|nodes| nodes.feature_cache.clone());
        let read = feature_cache.as_ref().and_then(|feature_cache| feature_cache.required_rows().cloned());
        let rest = input.with_features(Tensor::empty([0, 0], &device));
        let features = match input {
            AnyActivation::Nodes(nodes) => nodes.features,
            other => other.features().into(),
        };
        (
            Messages { features, feature_cache, message_passing: self, edges },
            Update { input: rest, read, message_passing: self },
        )
    }

    /// Whether a product may use the sparse features. Dropout draws a number for every feature, so it needs dense ones.
    fn counts_as_sparse(&self, features: &NodeFeatures) -> bool {
        matches!(features, NodeFeatures::Sparse { .. }) && self.dropout.prob == 0.0
    }

    fn preprocess(&self, features: NodeFeatures) -> Tensor<2> {
        self.dropout.forward(self.normalisation.forward(features.dense()))
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

impl Update<'_> {
    /// `f(x W + b)` for the rows that are needed. The trace has no pre-activation, since no loss on graphs uses it.
    pub(crate) fn affine(self, x: Tensor<2>, linear: &Linear) -> Trace<AnyActivation> {
        let bias = linear.bias.as_ref().map(|bias| bias.val());
        let h = match self.message_passing.activation {
            ActivationFn::Relu => affine_relu(x, linear.weight.val(), bias),
            other => other.forward(affine(x, linear.weight.val(), bias)),
        };
        self.output(h)
    }

    /// `f(z + b)` for the rows that are needed, in place if possible.
    pub(crate) fn shift(self, z: Tensor<2>, bias: Option<&Param<Tensor<1>>>) -> Trace<AnyActivation> {
        let bias = bias.map(|bias| bias.val());
        let h = match self.message_passing.activation {
            ActivationFn::Relu => shift_relu(z, bias),
            other => other.forward(shift(z, bias)),
        };
        self.output(h)
    }

    fn output(self, h: Tensor<2>) -> Trace<AnyActivation> {
        let mut output = self.input.with_features(h);
        if let (AnyActivation::Nodes(nodes), Some(read)) = (&mut output, self.read) {
            nodes.labelled = read.labelled();
        }
        output.into()
    }
}

impl Messages<'_> {
    /// The features after normalisation and dropout.
    pub(crate) fn features(&self) -> Tensor<2> {
        self.message_passing.preprocess(self.features.clone())
    }

    /// `N(x) W` for the features.
    pub(crate) fn product(&self, linear: &Linear) -> Tensor<2> {
        self.product_of(self.features.clone(), linear)
    }

    /// Like [`product`](Self::product), but frees the features.
    pub(crate) fn take_product(&mut self, linear: &Linear) -> Tensor<2> {
        let features = self.take_features();
        self.product_of(features, linear)
    }

    fn take_features(&mut self) -> NodeFeatures {
        let device = self.features.device();
        std::mem::replace(&mut self.features, Tensor::empty([0, 0], &device).into())
    }

    /// `N(x) W` for the rows that are needed, for features that are not [cached](Self::cached_rows).
    pub(crate) fn product_of_rows(&self, linear: &Linear) -> Tensor<2> {
        match (&self.feature_cache, self.read()) {
            (Some(feature_cache), Some(read)) if self.is_sparse() => {
                let features = feature_cache.get_or_make("sparse rows", || self.features.read(read));
                self.product_of(features, linear)
            }
            _ => self.select_rows(self.product(linear)),
        }
    }

    fn product_of(&self, features: NodeFeatures, linear: &Linear) -> Tensor<2> {
        match self.message_passing.counts_as_sparse(&features) {
            true => features.normalised_product(self.message_passing.normalisation, linear.weight.val()),
            false => product(linear, self.message_passing.preprocess(features)),
        }
    }

    /// Whether a product with the features costs less than their aggregation, because few of them are nonzero.
    pub(crate) fn is_sparse(&self) -> bool {
        self.message_passing.counts_as_sparse(&self.features)
    }

    fn read(&self) -> Option<&Arc<RequiredRows>> {
        self.feature_cache.as_ref().and_then(FeatureCache::required_rows)
    }

    /// Selects the rows that are needed.
    pub(crate) fn select_rows(&self, x: Tensor<2>) -> Tensor<2> {
        match self.read() {
            Some(read) => read.of(x),
            None => x,
        }
    }

    /// `x` aggregated over neighbours, for the rows that are needed.
    pub(crate) fn aggregate(&self, how: Aggregation, x: Tensor<2>) -> Tensor<2> {
        let (Some(feature_cache), Some(read)) = (&self.feature_cache, self.read()) else {
            return self.edges.aggregate(how, x);
        };
        let matrix = || self.edges.matrix(how)?.select_rows(read.rows()).ok().map(Arc::new);
        let matrix: Option<Arc<Sparse>> = feature_cache.get_or_make(&format!("matrix {how:?}"), matrix);
        match matrix.and_then(|matrix| matrix.product(&x)) {
            Some(sum) => sum,
            None => read.of(self.edges.aggregate(how, x)),
        }
    }

    /// The aggregated features; frees the features.
    pub(crate) fn take_aggregate(mut self, how: Aggregation) -> Tensor<2> {
        let features = self.take_features();
        self.aggregate(how, self.message_passing.preprocess(features))
    }

    /// The aggregated features, computed once if the features are the same in every step.
    ///
    /// `None` if nothing can be cached, and for sparse features, which would become dense by aggregation: a layer then
    /// multiplies by its weights before it aggregates.
    pub(crate) fn cached_aggregate(&self, how: Aggregation) -> Option<Tensor<2>> {
        self.cached(&format!("{how:?}"), || self.aggregate(how, self.features()))
    }

    /// The features of the rows that are needed, under the same conditions as [`cached_aggregate`](Self::cached_aggregate).
    pub(crate) fn cached_rows(&self) -> Option<Tensor<2>> {
        self.cached("rows", || self.select_rows(self.features()))
    }

    fn cached(&self, name: &str, make: impl FnOnce() -> Tensor<2>) -> Option<Tensor<2>> {
        if self.message_passing.dropout.prob > 0.0 || self.is_sparse() {
            return None;
        }
        let name = format!("{name} {}", self.message_passing.normalisation.name());
        Some(self.feature_cache.as_ref()?.get_or_make(&name, || make().detach()))
    }
}

/// `x W` of a linear layer, without its bias.
pub(crate) fn product(linear: &Linear, x: Tensor<2>) -> Tensor<2> {
    affine(x, linear.weight.val(), None)
}

/// Number of bytes of an `f32`.
pub(crate) const FLOAT: usize = size_of::<f32>();

#[cfg(test)]
mod tests;
