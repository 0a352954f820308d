//! The config of a run: typed, checked, resolved.

use std::path::Path;

use burn_forward::activation::RowShape;
use burn_forward::data::{DataFolders, DataSpec};
use burn_forward::network::{NetworkSpec, Partition};
use burn_forward::optim::OptimizerConfig;
use burn_forward::registry::Registry;
use burn_forward::rules::{Context, RuleSpec};
use burn_forward::{ConfigError, ConfigErrors, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::registry_schema::schema_of;
use super::{Keep, TrainingConfig, document, overrides, schema};
use crate::schedule::ScheduleConfig;
use crate::weights::WeightsConfig;

/// Most bytes of a config: far more than anyone writes, and little enough to be read at once.
const LARGEST_CONFIG: u64 = 16 << 20;

/// The parts of a config with a fixed type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Fixed {
    /// JSON Schema for editors; not read.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    /// Name of the run; the file's name where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The published result this reproduces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reproduces: Option<String>,
    /// What we measured with it, with the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measured: Option<Map<String, Value>>,
    /// Root of all random streams.
    #[serde(default)]
    seed: u64,
    /// Weights to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights: Option<WeightsConfig>,
    /// In which order blocks learn.
    #[serde(default)]
    schedule: ScheduleConfig,
    /// How long and in what portions.
    training: TrainingConfig,
    /// The optimiser.
    optimizer: OptimizerConfig,
}

/// A checked config.
#[derive(Debug)]
pub struct RunConfig {
    /// Name of the run.
    pub name: String,
    /// Root of all random streams.
    pub seed: u64,
    /// Name of the data set.
    pub data_name: String,
    /// Its settings.
    pub data: Box<dyn DataSpec>,
    /// Name of the architecture.
    pub network_name: String,
    /// Its settings.
    pub network: Box<dyn NetworkSpec>,
    /// Block borders, as the rule wants them.
    pub partition: Partition,
    /// Block borders, as the config states them or by default: those of another rule on the same network.
    pub stated_partition: Partition,
    /// Name of the rule.
    pub rule_name: String,
    /// Its settings.
    pub rule: Box<dyn RuleSpec>,
    /// Weights to start from.
    pub weights: Option<WeightsConfig>,
    /// In which order blocks learn.
    pub schedule: ScheduleConfig,
    /// How long and in what portions.
    pub training: TrainingConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    resolved: Value,
}

impl RunConfig {
    /// Reads, overrides, checks and resolves a config file. Every mistake of the file is in the error.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Config`] with all mistakes.
    pub fn load(path: &Path, sets: &[String], registry: &Registry) -> Result<Self> {
        let text = burn_forward::input::read_text(path, LARGEST_CONFIG, "a config")?;
        let origin = path.display().to_string();
        let value = document::parse_document(&origin, &text).map_err(Error::Config)?;
        Self::named(&origin, value, sets, registry, path.file_stem().and_then(|s| s.to_str()))
    }

    /// As [`load`](Self::load), from a parsed document.
    ///
    /// # Errors
    /// [`Error::Config`] with all mistakes, [`Error::Argument`] for a registry that has a name twice.
    pub fn from_value(origin: &str, value: Value, sets: &[String], registry: &Registry) -> Result<Self> {
        Self::named(origin, value, sets, registry, None)
    }

    /// A config that is called `name`, if it does not say how it is called.
    fn named(origin: &str, mut value: Value, sets: &[String], registry: &Registry, name: Option<&str>) -> Result<Self> {
        registry.check()?;
        let fail = |errors: Vec<ConfigError>| Error::Config(ConfigErrors { origin: origin.into(), errors });
        let schema = schema_of(registry);
        let mut errors = Vec::new();
        for assignment in sets {
            if let Err(e) = overrides::apply(&mut value, &schema, assignment) {
                errors.push(e);
            }
        }
        // After the changes, which may take the name away.
        if let (Some(object), Some(name)) = (value.as_object_mut(), name)
            && object.get("name").is_none_or(Value::is_null)
        {
            object.insert("name".into(), json!(name));
        }
        errors.extend(schema::check(&schema, &value));
        if !errors.is_empty() {
            return Err(fail(errors));
        }
        Self::typed(origin, value, registry)
    }

    fn typed(origin: &str, value: Value, registry: &Registry) -> Result<Self> {
        let fail = |path: &str, message: String| {
            Error::Config(ConfigErrors { origin: origin.into(), errors: vec![ConfigError::new(path, message)] })
        };
        let Value::Object(mut object) = value else {
            return Err(fail("$", "needs to be an object".into()));
        };
        let (network_name, partition, network) = {
            let mut settings = take_object(&mut object, "network");
            let name = take_name(&mut settings);
            let partition: Partition = match settings.shift_remove("partition") {
                Some(p) => serde_json::from_value(p).map_err(|e| fail("$.network.partition", e.to_string()))?,
                None => Partition::default(),
            };
            (name, partition, settings)
        };
        let data_settings = take_object(&mut object, "data");
        let data_name = data_settings.get("name").and_then(|n| n.as_str()).unwrap_or_default().to_string();
        let mut rule_settings = take_object(&mut object, "rule");
        let rule_name = take_name(&mut rule_settings);
        let network_row = registry
            .networks
            .iter()
            .find(|r| r.name == network_name)
            .ok_or_else(|| fail("$.network.name", format!("unknown network \"{network_name}\"")))?;
        let rule_row = registry
            .rules
            .iter()
            .find(|r| r.name == rule_name)
            .ok_or_else(|| fail("$.rule.name", format!("unknown rule \"{rule_name}\"")))?;
        let data_row = registry
            .data
            .iter()
            .find(|r| r.name == data_name)
            .ok_or_else(|| fail("$.data.name", format!("unknown data set \"{data_name}\"")))?;
        let (data, data_resolved) = (data_row.parse)(&Value::Object(data_settings))?;
        let (network, network_resolved) = (network_row.parse)(&Value::Object(network))?;
        let (rule, rule_resolved) = (rule_row.parse)(&Value::Object(rule_settings), &registry.rules)?;
        let mut fixed: Fixed = super::document::parse(origin, &Value::Object(object)).map_err(Error::Config)?;

        let stated_partition = partition;
        let partition = rule.partition().unwrap_or(stated_partition);
        let mut outline = network.outline();
        let freeze = fixed.weights.as_ref().map_or(0, |w| w.freeze);
        if freeze > 0 && freeze >= outline.len() {
            let needed = format!("0 to {}, so that something learns", outline.len() - 1);
            return Err(fail("$.weights.freeze", format!("{freeze} of {} layers; needed: {needed}", outline.len())));
        }
        let blocks = match partition.count(&outline.split_off(freeze)) {
            Ok(blocks) => blocks,
            Err(Error::Argument { given, needed, .. }) => {
                return Err(fail("$.network.partition", format!("{given}; needed: {needed}")));
            }
            Err(other) => return Err(other),
        };
        let network_object = network_resolved.as_object().cloned().unwrap_or_default();
        let context = Context {
            network_name: &network_name,
            network: network.as_ref(),
            blocks: Some(blocks),
            input: None,
            classes: None,
        };
        let mut errors = data.check();
        if let Some(name) = &fixed.name
            && (name.trim().is_empty()
                || name.len() > MOST_BYTES_OF_A_NAME
                || name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\')))
        {
            errors.push(ConfigError::new("$.name", format!("{name:?} cannot be part of the name of a run's folder")));
        }
        errors.extend(rule.check(&context));
        errors.extend(fixed.optimizer.check(Some(blocks)));
        if fixed.schedule.is_greedy()
            && let Err(reason) = rule.greedy()
        {
            errors.push(ConfigError::new("$.schedule.name", format!("\"greedy\" is not possible: {reason}")));
        } else if let Err(reason) = fixed.schedule.settle_cache(rule.cacheable().and_then(|()| data.cacheable())) {
            let message = format!("true is not possible: {reason}; needed: false, or leave it out");
            errors.push(ConfigError::new("$.schedule.cache", message));
        }
        if !data.validates() {
            let why = match data_resolved.get("validation") {
                Some(_) => "$.data.validation is 0",
                None => "$.data holds nothing out for one",
            };
            errors.extend(need_validation(&fixed.training, fixed.schedule, &rule_resolved, why));
        }
        if fixed.schedule.is_greedy() && fixed.training.patience.is_some() {
            errors.push(ConfigError::new(
                "$.training.patience",
                "has no meaning under a greedy schedule; needed: $.schedule.patience, which counts for every block",
            ));
        }
        if !errors.is_empty() {
            return Err(Error::Config(ConfigErrors { origin: origin.into(), errors }));
        }

        // Momentum 0 with Nesterov, say, is read back without what has no effect, so the resolved form is what is kept.
        fixed.optimizer = fixed.optimizer.resolved();
        let mut resolved = serde_json::to_value(&fixed).map_err(|e| Error::burn("config", e))?;
        if let Some(o) = resolved.as_object_mut() {
            o.insert("data".into(), data_resolved);
            let mut n = Map::from_iter([("name".to_string(), json!(network_name))]);
            n.extend(network_object);
            n.insert("partition".into(), serde_json::to_value(partition).unwrap_or_default());
            let mut r = Map::from_iter([("name".to_string(), json!(rule_name))]);
            r.extend(rule_resolved.as_object().cloned().unwrap_or_default());
            o.insert("network".into(), Value::Object(n));
            o.insert("rule".into(), Value::Object(r));
        }
        Ok(Self {
            name: fixed.name.unwrap_or_else(|| "run".into()),
            seed: fixed.seed,
            data_name,
            data,
            network_name,
            network,
            partition,
            stated_partition,
            rule_name,
            rule,
            weights: fixed.weights,
            schedule: fixed.schedule,
            training: fixed.training,
            optimizer: fixed.optimizer,
            resolved,
        })
    }

    /// Number of blocks that learn.
    pub fn blocks(&self) -> usize {
        let mut outline = self.network.outline();
        let freeze = self.weights.as_ref().map_or(0, |w| w.freeze).min(outline.len());
        self.partition.count(&outline.split_off(freeze)).unwrap_or(1)
    }

    /// Mistakes that show once the shape of an input row and the number of classes are known.
    pub fn misfits(&self, input: RowShape, classes: usize) -> Vec<ConfigError> {
        self.rule.check(&self.context(None, Some((input, classes))))
    }

    /// An error of this config.
    pub fn refusal(&self, errors: Vec<ConfigError>) -> Error {
        Error::Config(ConfigErrors { origin: self.name.clone(), errors })
    }

    /// Refuses the config if there are mistakes.
    ///
    /// # Errors
    /// [`Error::Config`] with all of them.
    pub fn refuse(&self, errors: Vec<ConfigError>) -> Result<()> {
        if errors.is_empty() { Ok(()) } else { Err(self.refusal(errors)) }
    }

    /// An argument that the part of the config at `path` led to, as a mistake there; any other error as it is.
    pub fn located(&self, path: &str, error: Error) -> Error {
        match error {
            Error::Argument { place, what, given, needed } => {
                self.refusal(vec![ConfigError::new(path, format!("{place}: {what} is {given}; needed: {needed}"))])
            }
            other => other,
        }
    }

    /// The [resolved](Self::resolved) config for a file in `folder`, see [`paths::relative_to`](super::paths::relative_to).
    pub fn resolved_in(&self, folder: &Path, folders: &DataFolders) -> Value {
        let mut resolved = self.resolved.clone();
        super::paths::relative_to(&mut resolved, folder, folders);
        resolved
    }

    /// Mistakes in training without validation samples: an error for every setting that chooses by them. `why` says what
    /// became of the samples that the settings promised.
    pub fn without_validation(&self, why: &str) -> Vec<ConfigError> {
        need_validation(&self.training, self.schedule, &self.resolved["rule"], why)
    }

    /// What the user should know and nothing forbids.
    pub fn warnings(&self) -> Vec<ConfigError> {
        let blocks = self.partition.count(&self.network.outline()).ok();
        self.rule.warnings(&self.context(blocks, None))
    }

    /// What a rule's check is told; `data` is the shape of an input row and the number of classes, once they are known.
    pub(crate) fn context(&self, blocks: Option<usize>, data: Option<(RowShape, usize)>) -> Context<'_> {
        let (input, classes) = data.unzip();
        Context { network_name: &self.network_name, network: self.network.as_ref(), blocks, input, classes }
    }

    /// The config with every default filled in; reading it back gives the same run.
    pub fn resolved(&self) -> &Value {
        &self.resolved
    }
}

/// An error for every setting that chooses by a validation set, of which `why` says that it is not there.
fn need_validation(training: &TrainingConfig, schedule: ScheduleConfig, rule: &Value, why: &str) -> Vec<ConfigError> {
    // Every rule whose heads can be read in several ways calls the setting so.
    let sip = |rule: &Value| rule["readout"] == "sip";
    [
        ("$.training.keep", training.keep == Keep::Best, "\"best\" needs a validation set"),
        ("$.rule.readout", sip(rule), "\"sip\" chooses blocks by a validation set"),
        ("$.rule.heads.readout", sip(&rule["heads"]), "\"sip\" chooses blocks by a validation set"),
        ("$.training.patience", training.patience.is_some(), "needs a validation set"),
        ("$.schedule.patience", schedule.patience().is_some(), "needs a validation set"),
    ]
    .into_iter()
    .filter(|(_, asked, _)| *asked)
    .map(|(path, _, needs)| ConfigError::new(path, format!("{needs}; {why}")))
    .collect()
}

/// A folder's name has at most 255 bytes on common file systems, and `-1`, `-seed0.json` or a temporary ending comes behind.
const MOST_BYTES_OF_A_NAME: usize = 200;

fn take_object(from: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    match from.shift_remove(key) {
        Some(Value::Object(o)) => o,
        _ => Map::new(),
    }
}

fn take_name(settings: &mut Map<String, Value>) -> String {
    settings.shift_remove("name").and_then(|n| n.as_str().map(String::from)).unwrap_or_default()
}
