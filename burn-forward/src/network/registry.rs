//! The registry of networks: one row per architecture.

use std::fmt::Debug;

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{AnyLayer, LayerOutline, MlpConfig};
use crate::activation::RowShape;
use crate::normalise::Normaliser;
use crate::random::Seed;
use crate::{ConfigError, ConfigErrors, Error, Result};

/// What a rule wants of a network's layers beside what the config says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerRequest {
    /// Number of classes `C`.
    pub classes: usize,
    /// Whether the last layer itself is to give the class scores: `C` outputs, no activation function, no dropout.
    pub classifies: bool,
    /// Features that the rule adds to the inputs of layers.
    pub companions: Companions,
}

/// Features that a rule adds to the inputs of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companions {
    /// None.
    None,
    /// `C` label features to the input of the first layer.
    Labels,
    /// To every layer the output of the layer above it, to the last one `C` label features.
    Above,
}

impl LayerRequest {
    /// The layers as the config says.
    pub fn plain(classes: usize) -> Self {
        Self { classes, classifies: false, companions: Companions::None }
    }

    /// Whether nothing is wanted.
    pub fn is_plain(self) -> bool {
        !self.classifies && self.companions == Companions::None
    }
}

/// A network's settings: what the config says, before there is data.
pub trait NetworkSpec: Debug + Send + Sync {
    /// The layers as they will be, known before there is an input: what the number of blocks follows from.
    fn outline(&self) -> Vec<LayerOutline>;

    /// Normaliser of every layer's input; `None` where the architecture does not say, and rules take it to do.
    fn normalisation(&self) -> Option<Normaliser> {
        None
    }

    /// Whether the activation functions saturate, as tanh does and relu does not; `None` where the architecture does not
    /// say, and rules take them to do.
    fn saturates(&self) -> Option<bool> {
        None
    }

    /// Output features of every layer, where the settings give them.
    fn widths(&self) -> Option<&[usize]> {
        None
    }

    /// The layers for inputs of shape `input`, with weights from streams of `seed`, on `device`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the input does not fit.
    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>>;

    /// As [`layers`](Self::layers), with what a rule wants of them. An architecture that can give it overrides this.
    ///
    /// # Errors
    /// [`Error::Argument`] if the input does not fit, or the architecture cannot give what is wanted.
    fn layers_for(&self, input: RowShape, request: LayerRequest, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        if request.is_plain() {
            return self.layers(input, seed, device);
        }
        let given =
            if request.classifies { "one whose last layer gives class scores" } else { "one with wider inputs" };
        Err(unfit(given))
    }
}

impl NetworkSpec for MlpConfig {
    fn outline(&self) -> Vec<LayerOutline> {
        vec![LayerOutline::default(); self.widths.len()]
    }

    fn normalisation(&self) -> Option<Normaliser> {
        Some(self.normalisation)
    }

    fn saturates(&self) -> Option<bool> {
        Some(self.activation.saturates())
    }

    fn widths(&self) -> Option<&[usize]> {
        Some(&self.widths)
    }

    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        MlpConfig::layers(self, input, seed, device)
    }

    fn layers_for(&self, input: RowShape, request: LayerRequest, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        if request.companions != Companions::None {
            return Err(unfit("one with wider inputs"));
        }
        self.layers_up_to(request.classifies.then_some(request.classes), input, seed, device)
    }
}

/// A network that an architecture cannot give.
fn unfit(asked: &str) -> Error {
    Error::argument("network", "the network that the rule asks for", asked, "another architecture, or another rule")
}

/// Parses settings; returns them and their resolved form.
pub type ParseNetwork = fn(&Value) -> Result<(Box<dyn NetworkSpec>, Value)>;

/// A row of the registry.
#[derive(Clone)]
pub struct NetworkEntry {
    /// Name in configs.
    pub name: &'static str,
    /// One line for `list`.
    pub about: &'static str,
    /// JSON Schema of the settings, without `name` and `partition`.
    pub schema: fn() -> Value,
    /// Parses settings (without `name` and `partition`); returns them and their resolved form.
    pub parse: ParseNetwork,
    /// Further configs, by name, that an honest comparison on this architecture has to show beside a given one.
    pub baselines: fn(&Value) -> Vec<(&'static str, Value)>,
}

/// A row from a typed config.
pub fn network_entry<T>(name: &'static str, about: &'static str) -> NetworkEntry
where
    T: NetworkSpec + DeserializeOwned + Serialize + JsonSchema + 'static,
{
    NetworkEntry {
        name,
        about,
        schema: || schemars::schema_for!(T).to_value(),
        parse: |value| {
            let spec: T = serde_path_to_error::deserialize(value).map_err(|e| {
                let errors = vec![ConfigError::new(format!("$.network.{}", e.path()), e.inner().to_string())];
                Error::Config(ConfigErrors { origin: "network".into(), errors })
            })?;
            let resolved = serde_json::to_value(&spec).map_err(|e| Error::burn("network settings", e))?;
            Ok((Box::new(spec), resolved))
        },
        baselines: |_| Vec::new(),
    }
}

/// The networks of this crate.
pub fn network_entries() -> Vec<NetworkEntry> {
    vec![network_entry::<MlpConfig>("mlp", "multi-layer perceptron: dense layers of the given widths")]
}
