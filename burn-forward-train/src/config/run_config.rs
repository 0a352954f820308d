//! The config of a run: typed, checked and resolved.

use std::path::{Path, PathBuf};

use burn_forward::activation::RowShape;
use burn_forward::data::{DataFolders, DataSpec};
use burn_forward::network::{NetworkSpec, Partition};
use burn_forward::optim::OptimizerConfig;
use burn_forward::registry::Registry;
use burn_forward::rules::{Context, RuleSpec};
use burn_forward::{ConfigError, ConfigErrors, Error, Result};
use serde_json::{Value, json};

use super::contradictions::need_validation;
use super::parts::Parts;
use super::registry_schema::schema_of;
use super::{TrainingConfig, document, overrides, schema};
use crate::schedule::ScheduleConfig;
use crate::weights::WeightsConfig;

/// Maximum size of a config in bytes: far more than anyone writes, and small enough to read at once.
const LARGEST_CONFIG: u64 = 16 << 20;

/// A checked config.
#[derive(Debug)]
pub struct RunConfig {
    /// Name of the run.
    pub name: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// Name of the data set.
    pub data_name: String,
    /// Settings of the data set.
    pub data: Box<dyn DataSpec>,
    /// Name of the architecture.
    pub network_name: String,
    /// Settings of the architecture.
    pub network: Box<dyn NetworkSpec>,
    /// Block borders in force; a rule may override the stated ones.
    pub partition: Partition,
    /// Block borders that the config states, or the default ones. Another rule on the same network starts from these.
    pub stated_partition: Partition,
    /// Name of the rule.
    pub rule_name: String,
    /// Settings of the rule.
    pub rule: Box<dyn RuleSpec>,
    /// Weights to start from.
    pub weights: Option<WeightsConfig>,
    /// The order in which blocks learn.
    pub schedule: ScheduleConfig,
    /// How long the run trains, and in batches of what size.
    pub training: TrainingConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// The file or other source, for messages.
    origin: String,
    resolved: Value,
}

/// A file with the same name in a subfolder of the folder in which `path` was expected; the shipped configs are in one
/// folder per family.
fn in_a_folder_beside(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut folders: Vec<_> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders.into_iter().map(|folder| folder.join(path.file_name().unwrap_or_default())).find(|file| file.is_file())
}

impl RunConfig {
    /// Reads a config file, applies the overrides `sets`, checks the result and fills in the defaults.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Config`] with all mistakes in the file.
    pub fn load(path: &Path, sets: &[String], registry: &Registry) -> Result<Self> {
        let text = match burn_forward::input::read_text(path, LARGEST_CONFIG, "a config") {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(match in_a_folder_beside(path) {
                    Some(there) => Error::data(path, "no such file", format!("a config, such as {}", there.display())),
                    None => Error::io(path, source),
                });
            }
            text => text?,
        };
        let origin = path.display().to_string();
        let value = document::parse_document(&origin, &text).map_err(Error::Config)?;
        Self::named(&origin, value, sets, registry, path.file_stem().and_then(|s| s.to_str()))
    }

    /// Like [`load`](Self::load), from a parsed document.
    ///
    /// # Errors
    /// [`Error::Config`] with all mistakes, [`Error::Argument`] for a registry with a duplicate name.
    pub fn from_value(origin: &str, value: Value, sets: &[String], registry: &Registry) -> Result<Self> {
        Self::named(origin, value, sets, registry, None)
    }

    /// A config that is called `name` unless it states its own name.
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
        // After the overrides, which may remove the name.
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

    /// The typed config of a document that conforms to the schema.
    fn typed(origin: &str, value: Value, registry: &Registry) -> Result<Self> {
        let mut parts = Parts::read(origin, value, registry)?;
        let partition = parts.rule.settings.partition().unwrap_or(parts.stated_partition);
        let blocks = parts.learning_blocks(origin, partition)?;
        let errors = parts.contradictions(blocks);
        if !errors.is_empty() {
            return Err(Error::Config(ConfigErrors { origin: origin.into(), errors }));
        }
        // Keep the resolved form: settings without effect, such as Nesterov with momentum 0, are not written, so
        // reading the config back would not restore them.
        parts.fixed.optimizer = parts.fixed.optimizer.resolved();
        let resolved = parts.resolved(partition)?;
        let Parts { fixed, data, network, stated_partition, rule } = parts;
        Ok(Self {
            name: fixed.name.unwrap_or_else(|| "run".into()),
            seed: fixed.seed,
            data_name: data.name,
            data: data.settings,
            network_name: network.name,
            network: network.settings,
            partition,
            stated_partition,
            rule_name: rule.name,
            rule: rule.settings,
            weights: fixed.weights,
            schedule: fixed.schedule,
            training: fixed.training,
            optimizer: fixed.optimizer,
            origin: origin.to_owned(),
            resolved,
        })
    }

    /// Number of blocks that learn.
    pub fn blocks(&self) -> usize {
        let mut outline = self.network.outline();
        let freeze = self.weights.as_ref().map_or(0, |w| w.freeze).min(outline.len());
        self.partition.count(&outline.split_off(freeze)).unwrap_or(1)
    }

    /// Mistakes that can only be found once the shape of an input row and the number of classes are known.
    pub fn errors_for_shape(&self, input: RowShape, classes: usize) -> Vec<ConfigError> {
        self.rule.check(&self.context(None, Some((input, classes))))
    }

    /// A config error with the origin of this config.
    pub fn config_error(&self, errors: Vec<ConfigError>) -> Error {
        Error::Config(ConfigErrors { origin: self.origin.clone(), errors })
    }

    /// Rejects the config if there are any mistakes.
    ///
    /// # Errors
    /// [`Error::Config`] with all of them.
    pub fn reject_if_any(&self, errors: Vec<ConfigError>) -> Result<()> {
        if errors.is_empty() { Ok(()) } else { Err(self.config_error(errors)) }
    }

    /// Converts an argument error that stems from the part of the config at `path` into a config error there; returns
    /// any other error unchanged.
    pub fn error_at(&self, path: &str, error: Error) -> Error {
        match error {
            Error::Argument { place, what, given, needed } => {
                self.config_error(vec![ConfigError::new(path, format!("{place}: {what} is {given}; needed: {needed}"))])
            }
            other => other,
        }
    }

    /// The [resolved](Self::resolved) config for a file in `folder`; see
    /// [`paths::relative_to`](super::paths::relative_to).
    pub fn resolved_in(&self, folder: &Path, folders: &DataFolders) -> Value {
        let mut resolved = self.resolved.clone();
        super::paths::relative_to(&mut resolved, folder, folders);
        resolved
    }

    /// An error for every setting that needs validation samples where there are none. `why` says what became of the
    /// samples that the settings called for.
    pub fn without_validation(&self, why: &str) -> Vec<ConfigError> {
        need_validation(&self.training, self.schedule, &self.resolved["rule"], why)
    }

    /// Warnings: permitted settings that the user should know about.
    pub fn warnings(&self) -> Vec<ConfigError> {
        let blocks = self.partition.count(&self.network.outline()).ok();
        self.rule.warnings(&self.context(blocks, None))
    }

    /// The context for a rule's check. `data` is the shape of an input row and the number of classes, if they are known
    /// already.
    pub(crate) fn context(&self, blocks: Option<usize>, data: Option<(RowShape, usize)>) -> Context<'_> {
        let (input, classes) = data.unzip();
        Context {
            network_name: &self.network_name,
            network: self.network.as_ref(),
            blocks,
            input,
            classes,
            optimizer: Some(&self.optimizer),
        }
    }

    /// The config with every default filled in; reading it back gives the same run.
    pub fn resolved(&self) -> &Value {
        &self.resolved
    }
}
