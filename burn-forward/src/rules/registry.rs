//! The registry: one row per rule.

use std::fmt::Debug;

use burn::module::Module;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    AnyRule, BackpropConfig, DeepSupervisionConfig, DfaConfig, DrtpConfig, ForwardForwardConfig, LocalClassifiers,
    MonoForwardConfig,
};
use crate::activation::RowShape;
use crate::network::{LayerRequest, Network, Partition};
use crate::optim::ParameterGroup;
use crate::random::Seed;
use crate::rules::Context;
use crate::{ConfigError, ConfigErrors, Error, Result};

/// A rule's settings: what the config says, before there is a network.
pub trait RuleSpec: Debug + Send + Sync {
    /// The settings with every default filled in; `Null` where they already are.
    fn resolved(&self) -> Value {
        Value::Null
    }

    /// Contradictions with the rest of the config.
    fn check(&self, _context: &Context) -> Vec<ConfigError> {
        Vec::new()
    }

    /// What the user should know and nothing forbids: combinations that are known to fail.
    fn warnings(&self, _context: &Context) -> Vec<ConfigError> {
        Vec::new()
    }

    /// The partition this rule insists on.
    fn partition(&self) -> Option<Partition> {
        None
    }

    /// Whether no gradient crosses a block border under this rule.
    fn is_local(&self) -> bool {
        true
    }

    /// Whether blocks can be trained one after the other; the error says why not.
    ///
    /// # Errors
    /// The reason, for the user.
    fn greedy(&self) -> Result<(), String> {
        Ok(())
    }

    /// Whether finished blocks make the same of a training sample in every epoch, so that it can be kept; the error says why
    /// not.
    ///
    /// # Errors
    /// The reason, for the user.
    fn cacheable(&self) -> Result<(), String> {
        Ok(())
    }

    /// Shape of what enters the network, for a rule that adds channels of its own to the images.
    fn input(&self, images: RowShape) -> RowShape {
        images
    }

    /// What the rule wants of the network's layers beside what the config says, for data of `classes` classes.
    fn layer_request(&self, classes: usize) -> LayerRequest {
        LayerRequest::plain(classes)
    }

    /// These settings as those of [local classifiers](LocalClassifiers), for a rule that is nothing else.
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        None
    }

    /// Parameters with an optimiser of their own.
    fn parameter_groups(&self) -> Vec<ParameterGroup> {
        Vec::new()
    }

    /// The rule for a network, on the network's device, with weights from streams of `seed`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if the rule cannot train this network.
    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule>;
}

/// Settings of a rule that has a classifier on every block and learns by nothing else, so that other rules can use its
/// heads.
pub trait ClassifierSpec {
    /// The heads for a network, as [`RuleSpec::build`] makes them.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if the rule cannot train this network.
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers>;
}

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
    T: RuleSpec + DeserializeOwned + Serialize + JsonSchema + 'static,
{
    RuleEntry {
        name,
        about,
        paper,
        schema: || schemars::schema_for!(T).to_value(),
        parse: |value, _| {
            let spec: T = settings_of(value)?;
            let resolved = match spec.resolved() {
                Value::Null => serde_json::to_value(&spec).map_err(|e| Error::burn("rule settings", e))?,
                resolved => resolved,
            };
            Ok((Box::new(spec), resolved))
        },
    }
}

/// Typed settings from their JSON.
pub(super) fn settings_of<T: DeserializeOwned>(value: &Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = format!("$.rule.{}", e.path());
        let errors = vec![ConfigError::new(path, e.inner().to_string())];
        Error::Config(ConfigErrors { origin: "rule".into(), errors })
    })
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
            schema: || schemars::schema_for!(DeepSupervisionConfig).to_value(),
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

/// The device a network was built on, autodiff included.
pub fn device_of(network: &Network) -> Device {
    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::Tensor;
    struct First(Option<Device>);
    impl ModuleVisitor for First {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.get_or_insert_with(|| param.val().device());
        }
    }
    let mut first = First(None);
    network.visit(&mut first);
    first.0.or_else(|| network.device().cloned()).unwrap_or_default()
}
