//! The registry of networks: one row per architecture.

use serde_json::Value;

use super::{MlpConfig, NetworkSpec};
use crate::Result;
use crate::settings::{Settings, parsed, schema_of};

/// Parses settings, and returns them together with their resolved form.
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
    /// Parses settings (without `name` and `partition`), and returns them together with their resolved form.
    pub parse: ParseNetwork,
    /// Additional configs, by name, that a fair comparison on this architecture has to include, for the given settings.
    pub baselines: fn(&Value) -> Vec<(&'static str, Value)>,
}

/// A row for the typed config `T`.
pub fn network_entry<T>(name: &'static str, about: &'static str) -> NetworkEntry
where
    T: NetworkSpec + Settings + 'static,
{
    NetworkEntry {
        name,
        about,
        schema: schema_of::<T>,
        parse: |value| {
            let (spec, resolved) = parsed::<T>("network", value)?;
            Ok((Box::new(spec), resolved))
        },
        baselines: |_| Vec::new(),
    }
}

/// The networks of this crate.
pub fn network_entries() -> Vec<NetworkEntry> {
    vec![network_entry::<MlpConfig>("mlp", "multi-layer perceptron: dense layers of the given widths")]
}
