//! The registry of rules: one row per rule.

use serde_json::Value;

use super::{
    BackpropConfig, DeepSupervisionConfig, DfaConfig, DrtpConfig, ForwardForwardConfig, MonoForwardConfig, RuleSpec,
};
use crate::Result;
use crate::settings::{Settings, parsed, schema_of};

/// A rule's settings and their resolved form.
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

/// A row from a typed config.
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

/// The rules of this crate, in alphabetical order.
pub fn rule_entries() -> Vec<RuleEntry> {
    vec![
        rule_entry_of::<BackpropConfig>(
            "backprop",
            "the whole network is one block: the baseline",
            "Rumelhart et al. 1986",
        ),
        RuleEntry {
            name: "deep-supervision",
            about: "local heads' losses, of any rule's heads, with nothing detached: the upper baseline",
            paper: "Lee et al. 2015, arXiv 1409.5185",
            schema: schema_of::<DeepSupervisionConfig>,
            parse: DeepSupervisionConfig::parse,
        },
        rule_entry_of::<DfaConfig>(
            "dfa",
            "fixed random feedback of the output error to every hidden block",
            "Nokland 2016, arXiv 1609.01596",
        ),
        rule_entry_of::<DrtpConfig>(
            "drtp",
            "fixed random projection of the targets to every hidden block; tanh only",
            "Frenkel et al. 2021, arXiv 1909.01311",
        ),
        rule_entry_of::<ForwardForwardConfig>(
            "forward-forward",
            "goodness up on right labels, down on wrong ones; presets hinton, pezeshki, ff-plus",
            "Hinton 2022, arXiv 2212.13345",
        ),
        rule_entry_of::<MonoForwardConfig>(
            "mono-forward",
            "every block learns from the error of its own projection to the classes",
            "Gong et al. 2025, arXiv 2501.09238",
        ),
    ]
}

/// The row called `name`.
pub fn rule_entry(name: &str) -> Option<RuleEntry> {
    rule_entries().into_iter().find(|e| e.name == name)
}
