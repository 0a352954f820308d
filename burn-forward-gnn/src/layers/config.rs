//! The networks of the registry: stacks of layers of one kind.

use burn::module::Param;
use burn::tensor::Device;
use burn_forward::activation::RowShape;
use burn_forward::init::InitScheme;
use burn_forward::init::{self, Init};
use burn_forward::network::{
    AnyLayer, ExtraInputs, LayerOutline, LayerRequest, NetworkEntry, NetworkSpec, network_entry,
};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::pieces::dropout::Dropout;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::random::{Rng, Seed};
use burn_forward::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Aggregator, Gat, Gcn, Gin, MessagePassing, Sage};
use crate::baselines::baselines;

fn xavier() -> InitScheme {
    InitScheme::Xavier
}

/// The settings of a network, starting with those that all architectures of this crate share.
macro_rules! graph_network {
    ($(#[$doc:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        ///
        /// | name | default | range | meaning |
        /// |---|---|---|---|
        /// | `widths` | required | 1 to 1000 of >= 1 | number of output features of every layer |
        /// | `activation` | relu | relu, leaky-relu, gelu, tanh, none | activation function of every layer |
        /// | `dropout` | 0 | [0, 1) | probability of zeroing an input feature of a layer, node features included |
        /// | `normalisation` | none | none, rms, l2, layer-norm | normalisation of every layer's input, including the node features |
        /// | `init` | xavier | default, unit-normal, he-uniform, xavier, zeros | initial weights |
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct $name {
            /// Number of output features of every layer.
            #[schemars(length(min = 1, max = 1000), inner(range(min = 1, max = 1_000_000)))]
            pub widths: Vec<usize>,
            /// Activation function of every layer.
            #[serde(default)]
            pub activation: ActivationFn,
            /// Probability of zeroing an input feature of a layer during training.
            #[serde(default)]
            #[schemars(range(min = 0.0, max = 0.99))]
            pub dropout: f64,
            /// Normalisation of every layer's input.
            #[serde(default)]
            pub normalisation: Normalisation,
            /// Distribution of the initial weights.
            #[serde(default = "xavier")]
            pub init: InitScheme,
            $($own)*
        }

        impl NetworkSpec for $name {
            fn outline(&self) -> Vec<LayerOutline> {
                vec![LayerOutline::default(); self.widths.len()]
            }

            fn normalisation(&self) -> Option<Normalisation> {
                Some(self.normalisation)
            }

            fn saturates(&self) -> Option<bool> {
                Some(self.activation.saturates())
            }

            fn widths(&self) -> Option<&[usize]> {
                Some(&self.widths)
            }

            fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
                self.layers_for(input, LayerRequest::plain(0), seed, device)
            }

            fn layers_for(
                &self,
                input: RowShape,
                request: LayerRequest,
                seed: Seed,
                device: &Device,
            ) -> Result<Vec<AnyLayer>> {
                sizes(&self.widths, input, request)?
                    .into_iter()
                    .enumerate()
                    .map(|(i, size)| {
                        let message_passing = MessagePassing {
                            dropout: Dropout::new(self.dropout)?,
                            activation: if size.scores { ActivationFn::None } else { self.activation },
                            normalisation: self.normalisation,
                        };
                        self.layer(size, message_passing, &mut seed.stream("init", &[i as u64]), device)
                    })
                    .collect()
            }
        }
    };
}

graph_network! {
    /// Graph convolutions ([`Gcn`]).
    GcnConfig {}
}

graph_network! {
    /// GraphSAGE layers ([`Sage`]); `aggregator` is `mean` (default) or `max`.
    SageConfig {
        /// How the neighbours' features are aggregated.
        #[serde(default)]
        pub aggregator: Aggregator,
    }
}

graph_network! {
    /// Graph attention layers ([`Gat`]); every width must be a multiple of `heads` (default 4).
    GatConfig {
        /// Number of attention heads of every layer.
        #[serde(default = "heads")]
        #[schemars(range(min = 1, max = 1000))]
        pub heads: usize,
    }
}

graph_network! {
    /// Graph isomorphism layers ([`Gin`]); `train-epsilon` (default false) learns the weight of a node's own features.
    GinConfig {
        /// Whether the weight of a node's own features is learned.
        #[serde(default)]
        pub train_epsilon: bool,
    }
}

fn heads() -> usize {
    4
}

/// The sizes of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    d_in: usize,
    d_out: usize,
    /// Whether its outputs are class scores.
    scores: bool,
}

fn sizes(widths: &[usize], input: RowShape, request: LayerRequest) -> Result<Vec<Size>> {
    let RowShape::Nodes(features) = input else {
        return Err(Error::argument("graph network", "an input row", input, "a node, from a data set on a graph"));
    };
    let last = widths.len().saturating_sub(1);
    let mut d_in = features;
    let mut all = Vec::with_capacity(widths.len());
    for (i, &width) in widths.iter().enumerate() {
        let extra_inputs = match request.extra_inputs {
            ExtraInputs::Labels if i == 0 => request.classes,
            ExtraInputs::Above => widths.get(i + 1).copied().unwrap_or(request.classes),
            ExtraInputs::None | ExtraInputs::Labels => 0,
        };
        let scores = request.classifies && i == last;
        let d_out = if scores { request.classes } else { width };
        all.push(Size { d_in: d_in + extra_inputs, d_out, scores });
        d_in = d_out;
    }
    Ok(all)
}

impl GcnConfig {
    fn layer(&self, size: Size, message_passing: MessagePassing, rng: &mut Rng, device: &Device) -> Result<AnyLayer> {
        let (weight, bias) = self.init.of(size.d_in, size.d_out);
        let linear = init::linear(size.d_in, size.d_out, weight, Some(bias), rng, device)?;
        Ok(AnyLayer::new(Gcn { linear, message_passing }))
    }
}

impl SageConfig {
    fn layer(&self, size: Size, message_passing: MessagePassing, rng: &mut Rng, device: &Device) -> Result<AnyLayer> {
        let (weight, bias) = self.init.of(size.d_in, size.d_out);
        let own = init::linear(size.d_in, size.d_out, weight, None, rng, device)?;
        let neighbours = init::linear(size.d_in, size.d_out, weight, Some(bias), rng, device)?;
        Ok(AnyLayer::new(Sage { own, neighbours, message_passing, aggregator: self.aggregator }))
    }
}

impl GatConfig {
    fn layer(&self, size: Size, message_passing: MessagePassing, rng: &mut Rng, device: &Device) -> Result<AnyLayer> {
        let heads = self.heads;
        if !size.scores && !size.d_out.is_multiple_of(heads.max(1)) {
            let needed = format!("a multiple of {heads}, the number of heads");
            return Err(Error::argument("gat", "a width", size.d_out, needed));
        }
        let width = if size.scores { size.d_out } else { size.d_out / heads.max(1) };
        let (weight, _) = self.init.of(size.d_in, heads * width);
        let linear = init::linear(size.d_in, heads * width, weight, None, rng, device)?;
        let (attention, _) = self.init.of(heads, width);
        let mut vectors = || Ok::<_, Error>(Param::from_tensor(attention.draw([heads, width], rng, device)?));
        Ok(AnyLayer::new(Gat {
            linear,
            source: vectors()?,
            target: vectors()?,
            bias: Param::from_tensor(Init::Zeros.draw([size.d_out], rng, device)?),
            message_passing,
            average: size.scores,
        }))
    }
}

impl GinConfig {
    fn layer(&self, size: Size, message_passing: MessagePassing, rng: &mut Rng, device: &Device) -> Result<AnyLayer> {
        let mut linear = |d_in: usize| {
            let (weight, bias) = self.init.of(d_in, size.d_out);
            init::linear(d_in, size.d_out, weight, Some(bias), rng, device)
        };
        let (first, second) = (linear(size.d_in)?, linear(size.d_out)?);
        let epsilon =
            self.train_epsilon.then(|| Init::Zeros.draw([1], rng, device)).transpose()?.map(Param::from_tensor);
        Ok(AnyLayer::new(Gin { first, second, epsilon, message_passing }))
    }
}

/// The networks of this crate.
pub fn network_entries() -> Vec<NetworkEntry> {
    let mut entries = vec![
        network_entry::<GcnConfig>("gcn", "graph convolutions (Kipf and Welling 2017, arXiv 1609.02907)"),
        network_entry::<SageConfig>("graph-sage", "GraphSAGE, mean or max (Hamilton et al. 2017, arXiv 1706.02216)"),
        network_entry::<GatConfig>("gat", "graph attention (Velickovic et al. 2018, arXiv 1710.10903)"),
        network_entry::<GinConfig>("gin", "graph isomorphism network (Xu et al. 2019, arXiv 1810.00826)"),
    ];
    for entry in &mut entries {
        entry.baselines = baselines;
    }
    entries
}
