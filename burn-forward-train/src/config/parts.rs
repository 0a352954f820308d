//! The parts of a config, each with its type.

use burn_forward::data::DataSpec;
use burn_forward::network::{NetworkSpec, Partition};
use burn_forward::registry::Registry;
use burn_forward::rules::RuleSpec;
use burn_forward::{ConfigError, ConfigErrors, Error, Result};
use serde_json::{Map, Value, json};

use super::document;
use super::fixed::Fixed;

/// A row of the registry that the config names, with its settings.
pub(super) struct Named<T> {
    pub(super) name: String,
    pub(super) settings: T,
    /// The settings with every default filled in.
    pub(super) resolved: Value,
}

/// The parts of a config, each parsed by itself.
pub(super) struct Parts {
    pub(super) fixed: Fixed,
    pub(super) data: Named<Box<dyn DataSpec>>,
    pub(super) network: Named<Box<dyn NetworkSpec>>,
    /// Block borders that the config states, or the default ones.
    pub(super) stated_partition: Partition,
    pub(super) rule: Named<Box<dyn RuleSpec>>,
}

impl Parts {
    /// Reads the parts of a document.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that is not in the registry, and any error from parsing the settings.
    pub(super) fn read(origin: &str, value: Value, registry: &Registry) -> Result<Self> {
        let fail = |path: &str, message: String| mistake(origin, path, message);
        let Value::Object(mut object) = value else {
            return Err(fail("$", "must be an object".into()));
        };
        let mut network = take_object(&mut object, "network");
        let network_name = take_name(&mut network);
        let stated_partition = match network.shift_remove("partition") {
            Some(p) => serde_json::from_value(p).map_err(|e| fail("$.network.partition", e.to_string()))?,
            None => Partition::default(),
        };
        // Settings of a data set include its name, since several data sets may share one settings type.
        let data = take_object(&mut object, "data");
        let data_name = data.get("name").and_then(|n| n.as_str()).unwrap_or_default().to_string();
        let mut rule = take_object(&mut object, "rule");
        let rule_name = take_name(&mut rule);

        let unknown =
            |part: &str, what: &str, name: &str| fail(&format!("$.{part}.name"), format!("unknown {what} \"{name}\""));
        let network_row = registry.networks.iter().find(|row| row.name == network_name);
        let network_row = network_row.ok_or_else(|| unknown("network", "network", &network_name))?;
        let rule_row = registry.rules.iter().find(|row| row.name == rule_name);
        let rule_row = rule_row.ok_or_else(|| unknown("rule", "rule", &rule_name))?;
        let data_row = registry.data.iter().find(|row| row.name == data_name);
        let data_row = data_row.ok_or_else(|| unknown("data", "data set", &data_name))?;
        let data = Named::new(data_name, (data_row.parse)(&Value::Object(data))?);
        let network = Named::new(network_name, (network_row.parse)(&Value::Object(network))?);
        let rule = Named::new(rule_name, (rule_row.parse)(&Value::Object(rule), &registry.rules)?);
        let fixed = document::parse(origin, &Value::Object(object)).map_err(Error::Config)?;
        Ok(Self { fixed, data, network, stated_partition, rule })
    }

    /// Number of blocks that learn under the given `partition`.
    ///
    /// # Errors
    /// [`Error::Config`] if there are none, or if the network cannot be partitioned in this way.
    pub(super) fn learning_blocks(&self, origin: &str, partition: Partition) -> Result<usize> {
        let mut layers = self.network.settings.outline();
        let freeze = self.fixed.weights.as_ref().map_or(0, |w| w.freeze);
        if freeze > 0 && freeze >= layers.len() {
            let needed = format!("0 to {}, so that at least one layer learns", layers.len() - 1);
            let message = format!("{freeze} of {} layers; needed: {needed}", layers.len());
            return Err(mistake(origin, "$.weights.freeze", message));
        }
        match partition.count(&layers.split_off(freeze)) {
            Err(Error::Argument { given, needed, .. }) => {
                Err(mistake(origin, "$.network.partition", format!("{given}; needed: {needed}")))
            }
            counted => counted,
        }
    }

    /// The whole config with every default filled in.
    ///
    /// # Errors
    /// [`Error::Burn`] for settings that JSON cannot represent.
    pub(super) fn resolved(&self, partition: Partition) -> Result<Value> {
        let mut resolved = serde_json::to_value(&self.fixed).map_err(|e| Error::burn("config", e))?;
        if let Some(whole) = resolved.as_object_mut() {
            whole.insert("data".into(), self.data.resolved.clone());
            let mut network = self.network.with_name();
            network.insert("partition".into(), serde_json::to_value(partition).unwrap_or_default());
            whole.insert("network".into(), Value::Object(network));
            whole.insert("rule".into(), Value::Object(self.rule.with_name()));
        }
        Ok(resolved)
    }
}

impl<T> Named<T> {
    fn new(name: String, (settings, resolved): (T, Value)) -> Self {
        Self { name, settings, resolved }
    }

    /// The resolved settings, preceded by the name.
    fn with_name(&self) -> Map<String, Value> {
        let mut named = Map::from_iter([("name".to_string(), json!(self.name))]);
        named.extend(self.resolved.as_object().cloned().unwrap_or_default());
        named
    }
}

fn mistake(origin: &str, path: &str, message: String) -> Error {
    Error::Config(ConfigErrors { origin: origin.into(), errors: vec![ConfigError::new(path, message)] })
}

fn take_object(from: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    match from.shift_remove(key) {
        Some(Value::Object(o)) => o,
        _ => Map::new(),
    }
}

fn take_name(settings: &mut Map<String, Value>) -> String {
    settings.shift_remove("name").and_then(|n| n.as_str().map(String::from)).unwrap_or_default()
}
