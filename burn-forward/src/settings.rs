//! Settings in a config.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{ConfigError, ConfigErrors, Error, Result};

/// Name of the definition of all rules in the schema of a config; a rule that takes another rule's settings refers to it.
pub const RULE_DEFINITION: &str = "Rule";

/// Settings that are parsed from a config, written back with every default filled in, and described by a JSON Schema. It is
/// implemented for every type that implements these three traits.
pub trait Settings: DeserializeOwned + Serialize + JsonSchema {}

impl<T: DeserializeOwned + Serialize + JsonSchema> Settings for T {}

/// The JSON Schema of settings.
pub fn schema_of<T: Settings>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// Parses the settings in `value`, the `part` of a config, and returns them together with their JSON, with every default
/// filled in.
///
/// # Errors
/// [`Error::Config`] with the JSON path of the value that does not fit.
pub fn parsed<T: Settings>(part: &'static str, value: &Value) -> Result<(T, Value)> {
    let settings: T = serde_path_to_error::deserialize(value).map_err(|e| {
        let errors = vec![ConfigError::new(format!("$.{part}.{}", e.path()), e.inner().to_string())];
        Error::Config(ConfigErrors { origin: part.into(), errors })
    })?;
    let resolved = serde_json::to_value(&settings).map_err(|e| Error::burn("settings", e))?;
    Ok((settings, resolved))
}
