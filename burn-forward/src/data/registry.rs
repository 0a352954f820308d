//! The registry of data sets: one row per name.

use serde_json::{Map, Value};

use super::DataSpec;
use crate::Result;
use crate::settings::{Settings, parsed, schema_of};

/// Parses the settings of a data set (including `name`), and returns them together with their resolved form.
pub type ParseData = fn(&Value) -> Result<(Box<dyn DataSpec>, Value)>;

/// A row of the registry.
#[derive(Clone)]
pub struct DataEntry {
    /// Name in configs.
    pub name: &'static str,
    /// One line for `list`.
    pub about: &'static str,
    /// JSON Schema of the settings; the schema of `name` is replaced by the name of this row.
    pub schema: fn() -> Value,
    /// Parses the settings.
    pub parse: ParseData,
}

/// A row for the typed config `T`, which may or may not have the field `name`.
pub fn data_entry<T>(name: &'static str, about: &'static str) -> DataEntry
where
    T: DataSpec + Settings + 'static,
{
    DataEntry {
        name,
        about,
        schema: schema_of::<T>,
        parse: |value| {
            let has_name = schema_of::<T>()["properties"].get("name").is_some();
            let mut settings = value.as_object().cloned().unwrap_or_default();
            let name = settings.get("name").cloned().unwrap_or_default();
            if !has_name {
                settings.shift_remove("name");
            }
            let (spec, fields) = parsed::<T>("data", &Value::Object(settings))?;
            let mut resolved = Map::from_iter([("name".to_string(), name)]);
            resolved.extend(fields.as_object().cloned().unwrap_or_default());
            Ok((Box::new(spec), Value::Object(resolved)))
        },
    }
}
