//! A row of the registry of rules.

use serde_json::Value;

use super::RuleSpec;
use crate::Result;
use crate::settings::{Settings, parsed, schema_of};

/// The settings of a rule and their resolved form.
pub type ParsedRule = (Box<dyn RuleSpec>, Value);

/// Parses settings, which may name other rules of a registry.
pub type ParseRule = fn(&Value, &[RuleEntry]) -> Result<ParsedRule>;

/// A row of the registry.
#[derive(Clone)]
pub struct RuleEntry {
    /// Name in configs.
    pub name: &'static str,
    /// One line for `list`.
    pub about: &'static str,
    /// The paper.
    pub paper: &'static str,
    /// JSON Schema of the settings, without `name`.
    pub schema: fn() -> Value,
    /// Parses settings (without `name`), given all rules of the registry.
    pub parse: ParseRule,
}

/// A row for the typed config `T`.
pub fn rule_entry_of<T>(name: &'static str, about: &'static str, paper: &'static str) -> RuleEntry
where
    T: RuleSpec + Settings + 'static,
{
    RuleEntry {
        name,
        about,
        paper,
        schema: schema_of::<T>,
        parse: |value, _| {
            let (spec, written) = parsed::<T>("rule", value)?;
            let resolved = match spec.resolved() {
                Value::Null => written,
                resolved => resolved,
            };
            Ok((Box::new(spec), resolved))
        },
    }
}
