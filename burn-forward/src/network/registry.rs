//! The registry of networks: one row per architecture.

use std::fmt::Debug;

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{AnyLayer, LayerOutline, MlpConfig};
use crate::activation::RowShape;
use crate::random::Seed;
use crate::{ConfigError, ConfigErrors, Error, Result};

/// A network's settings: what the config says, before there is data.
pub trait NetworkSpec: Debug + Send + Sync {
    /// The layers as they will be, known before there is an input: what the number of blocks follows from.
    fn outline(&self) -> Vec<LayerOutline>;

    /// The layers for inputs of shape `input`, with weights from streams of `seed`, on `device`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the input does not fit.
    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>>;
}

impl NetworkSpec for MlpConfig {
    fn outline(&self) -> Vec<LayerOutline> {
        vec![LayerOutline::default(); self.widths.len()]
    }

    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        MlpConfig::layers(self, input, seed, device)
    }
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
    }
}

/// The networks of this crate.
pub fn network_entries() -> Vec<NetworkEntry> {
    vec![network_entry::<MlpConfig>("mlp", "multi-layer perceptron: dense layers of the given widths")]
}
