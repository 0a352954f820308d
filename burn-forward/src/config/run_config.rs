//! The config of a run: typed, checked, resolved.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{document, overrides, schema};
use crate::activation::RowShape;
use crate::data::{Batching, DataEntry, DataFolders, DataSpec, LastBatch, data_entries};
use crate::network::{NetworkEntry, NetworkSpec, Partition, network_entries};
use crate::optimize::OptimizerConfig;
use crate::rules::{RuleEntry, RuleSpec, rule_entries};
use crate::schedule::ScheduleConfig;
use crate::weights::WeightsConfig;
use crate::{ConfigError, ConfigErrors, Error, Result};

/// What a config may name: rules, networks and data sets. Other crates add their rows.
#[derive(Clone)]
pub struct Registry {
    /// Learning rules.
    pub rules: Vec<RuleEntry>,
    /// Architectures.
    pub networks: Vec<NetworkEntry>,
    /// Data sets.
    pub data: Vec<DataEntry>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { rules: rule_entries(), networks: network_entries(), data: data_entries() }
    }
}

/// What a check may want to know of the rest of the config. What is `None` is not known yet.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Name of the architecture.
    pub network_name: &'a str,
    /// Its settings.
    pub network: &'a dyn NetworkSpec,
    /// Number of blocks.
    pub blocks: Option<usize>,
    /// Shape of an input row.
    pub input: Option<RowShape>,
    /// Number of classes.
    pub classes: Option<usize>,
}

/// Most bytes of a config: far more than anyone writes, and little enough to be read at once.
const LARGEST_CONFIG: u64 = 16 << 20;

/// Which weights a run ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Those of the last epoch.
    #[default]
    Last,
    /// Those of the epoch with the best validation accuracy.
    Best,
}

/// How long and in what portions a run trains.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `epochs` | required | >= 1 | passes over the training set; per block under a greedy schedule |
/// | `batch-size` | 128 | >= 1 | samples per step |
/// | `last-batch` | keep | keep, drop | what becomes of the samples at the end of an epoch that do not fill a batch |
/// | `eval-batch-size` | 500 | >= 1 | samples per evaluation step |
/// | `workers` | 1 | 0 to 64 | threads that assemble batches |
/// | `keep` | last | last, best | the weights the run, or each block under a greedy schedule, ends with; best needs a validation set |
/// | `patience` | none | >= 1 | stop after so many epochs without a better validation accuracy |
/// | `label-smoothing` | 0 | [0, 1) | probability that a target spreads over all classes alike; for rules with classifiers |
/// | `gradient-checkpointing` | false | | recompute cheap activations in the backward pass (Burn's) |
///
/// With `"last-batch": "keep"` every sample is learned from in every epoch, and the step of a small last batch weighs as
/// much as that of a full one: its gradient is as noisy as the batch is small, and a rule that sets a sample against others
/// of its batch has few to set it against. A tail of one sample can undo much of an epoch. `"drop"` leaves the tail out,
/// other samples in every epoch. Batch normalisation has no variance of one value per channel: a run that would form such
/// a batch is refused before it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainingConfig {
    /// Passes over the training set.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub epochs: usize,
    /// Samples per step.
    #[serde(default = "batch_size")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub batch_size: usize,
    /// What becomes of the samples at the end of an epoch that do not fill a batch.
    #[serde(default)]
    pub last_batch: LastBatch,
    /// Samples per evaluation step.
    #[serde(default = "eval_batch_size")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub eval_batch_size: usize,
    /// Threads that assemble batches.
    #[serde(default = "workers")]
    #[schemars(range(min = 0, max = 64))]
    pub workers: usize,
    /// The weights the run ends with.
    #[serde(default)]
    pub keep: Keep,
    /// Stop after so many epochs without a better validation accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub patience: Option<usize>,
    /// Probability that a target spreads over all classes alike.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub label_smoothing: f64,
    /// Recompute cheap activations in the backward pass.
    #[serde(default)]
    pub gradient_checkpointing: bool,
}

impl TrainingConfig {
    /// How the samples of an epoch are cut into batches.
    pub fn batching(&self) -> Batching {
        Batching { size: self.batch_size, last: self.last_batch }
    }
}

fn batch_size() -> usize {
    128
}

fn eval_batch_size() -> usize {
    500
}

fn workers() -> usize {
    1
}

/// The parts of a config with a fixed type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Fixed {
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
        let text = crate::input::read_text(path, LARGEST_CONFIG, "a config")?;
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
        let schema = registry.schema();
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

/// Name of the definition of all rules in the schema of a config.
pub(crate) const RULE_DEFINITION: &str = "Rule";

impl Registry {
    /// Checks that every rule, every network and every data set has a name of its own: a config says no more than that.
    ///
    /// # Errors
    /// [`Error::Argument`] with the first name that stands for two.
    pub fn check(&self) -> Result<()> {
        let kinds: [(&str, Vec<&str>); 3] = [
            ("rules", self.rules.iter().map(|row| row.name).collect()),
            ("networks", self.networks.iter().map(|row| row.name).collect()),
            ("data sets", self.data.iter().map(|row| row.name).collect()),
        ];
        for (kind, names) in kinds {
            for name in &names {
                let count = names.iter().filter(|other| *other == name).count();
                if count > 1 {
                    let what = format!("number of {kind} called \"{name}\"");
                    return Err(Error::argument("Registry", what, count, "1: a row is found by its name"));
                }
            }
        }
        Ok(())
    }

    /// The JSON Schema of a config: the fixed parts, and one branch per row of the registry.
    pub fn schema(&self) -> Value {
        let mut root = schemars::schema_for!(Fixed).to_value();
        let mut definitions = root.get("$defs").and_then(|d| d.as_object()).cloned().unwrap_or_default();
        let partition = schemars::schema_for!(Partition).to_value();
        let partition = lift(partition, &mut definitions);
        let networks = self
            .networks
            .iter()
            .map(|row| tagged(row.name, row.about, (row.schema)(), Some(&partition), &mut definitions))
            .collect();
        let data =
            self.data.iter().map(|row| tagged(row.name, row.about, (row.schema)(), None, &mut definitions)).collect();
        let rules =
            self.rules.iter().map(|row| tagged(row.name, row.about, (row.schema)(), None, &mut definitions)).collect();
        if let Some(root) = root.as_object_mut() {
            root.insert("title".into(), json!("burn-forward config"));
            if let Some(p) = root.get_mut("properties").and_then(|p| p.as_object_mut()) {
                p.insert("data".into(), one_of("The data set and what is done to it.", data));
                p.insert("network".into(), one_of("The architecture and its partition into blocks.", networks));
                p.insert("rule".into(), json!({"$ref": format!("#/$defs/{RULE_DEFINITION}")}));
                definitions.insert(RULE_DEFINITION.into(), one_of("The learning rule.", rules));
            }
            if let Some(required) = root.get_mut("required").and_then(|r| r.as_array_mut()) {
                required.push(json!("data"));
                required.push(json!("network"));
                required.push(json!("rule"));
            }
            root.insert("$defs".into(), Value::Object(definitions));
        }
        root
    }
}

fn one_of(description: &str, branches: Vec<Value>) -> Value {
    json!({"description": description, "oneOf": branches})
}

/// Moves a schema's own definitions to the root's and returns the rest.
fn lift(mut schema: Value, definitions: &mut Map<String, Value>) -> Value {
    if let Some(o) = schema.as_object_mut() {
        o.shift_remove("$schema");
        o.shift_remove("title");
        if let Some(Value::Object(own)) = o.shift_remove("$defs") {
            definitions.extend(own);
        }
    }
    schema
}

/// A branch of a union tagged by `name`.
fn tagged(
    name: &str,
    about: &str,
    schema: Value,
    partition: Option<&Value>,
    definitions: &mut Map<String, Value>,
) -> Value {
    let mut schema = lift(schema, definitions);
    if let Some(o) = schema.as_object_mut() {
        o.insert("description".into(), json!(about));
        let properties = o.entry("properties").or_insert_with(|| json!({}));
        if let Some(p) = properties.as_object_mut() {
            p.insert("name".into(), json!({"const": name, "type": "string"}));
            if let Some(partition) = partition {
                let mut partition = partition.clone();
                if let Some(o) = partition.as_object_mut() {
                    o.insert("description".into(), json!("Which consecutive layers form a block; default \"layer\"."));
                }
                p.insert("partition".into(), partition);
            }
        }
        let required = o.entry("required").or_insert_with(|| json!([]));
        if let Some(r) = required.as_array_mut()
            && !r.contains(&json!("name"))
        {
            r.push(json!("name"));
        }
        o.insert("additionalProperties".into(), json!(false));
    }
    schema
}
