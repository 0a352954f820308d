//! Deep supervision: the losses of local heads without detaching.
//!
//! Lee, Xie, Gallagher, Zhang and Tu 2015, arXiv 1409.5185. It has the same auxiliary classifiers as a local rule, but
//! back-propagates the sum of their losses through the whole network. It is the fair upper baseline of local learning: it has
//! everything that a local rule has, plus the gradients across block borders.
//!
//! `heads` names the rule to compare with, whose heads, operations between blocks and readout are then used. Without it, the
//! heads are the projections of [Mono-Forward](super::MonoForwardConfig).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{AnyRule, ClassifierSpec, Context, HeadReadout, MonoForwardConfig, ParsedRule, Reach, RuleEntry, RuleSpec};
use crate::activation::RowShape;
use crate::network::{LayerRequest, Network, Partition};
use crate::optim::ParameterGroup;
use crate::pieces::projection::HeadPool;
use crate::random::Seed;
use crate::settings::{RULE_DEFINITION, parsed};
use crate::{ConfigError, ConfigErrors, Error, Result};

/// Settings of `deep-supervision`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `heads` | | a rule with local classifiers | the rule whose heads, operations between blocks and readout are used |
/// | `readout` | last | last, sum, mean, weighted, sip | without `heads`: the blocks whose scores make the prediction, see [`HeadReadout`] |
/// | `bias` | false | | without `heads`: whether the heads have a bias, as for `mono-forward` |
/// | `pool` | 4 | full, 1 to 64 | without `heads`: side of the grid over which maps are averaged before a head, as for `mono-forward` |
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeepSupervisionConfig {
    /// A rule with local classifiers, given by its name and settings, whose heads, operations between blocks and readout are
    /// used. Without it, the heads are those of mono-forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(schema_with = "rule_reference"))]
    pub heads: Option<Value>,
    /// Without "heads": the blocks whose scores make the prediction.
    #[serde(default)]
    pub readout: HeadReadout,
    /// Without "heads": whether the heads have a bias.
    #[serde(default)]
    pub bias: bool,
    /// Without "heads": side of the grid over which maps are averaged before a head.
    #[serde(default)]
    pub pool: HeadPool,
}

/// A rule given by its name and settings, as the schema of a whole config defines it.
fn rule_reference(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "$ref": format!("#/$defs/{RULE_DEFINITION}")})
}

/// Deep supervision with the heads of another rule.
#[derive(Debug)]
struct DeepSupervision {
    /// The rule that the heads come from.
    local: Box<dyn RuleSpec>,
}

impl DeepSupervisionConfig {
    /// Parses the settings; `rules` are the rules that `heads` may name.
    pub(super) fn parse(value: &Value, rules: &[RuleEntry]) -> Result<ParsedRule> {
        let (settings, _) = parsed::<Self>("rule", value)?;
        let own = MonoForwardConfig { readout: settings.readout, bias: settings.bias, pool: settings.pool };
        let Some(heads) = &settings.heads else {
            let resolved = serde_json::to_value(&own).map_err(|e| Error::burn("rule settings", e))?;
            return Ok((Box::new(DeepSupervision { local: Box::new(own) }), resolved));
        };
        if own != MonoForwardConfig::default() {
            return Err(refused("$.rule.heads", "has its own settings; needed: no other setting beside it".into()));
        }
        let mut inner = heads.as_object().cloned().unwrap_or_else(Map::new);
        let name = inner.shift_remove("name");
        let named = |rule: &&RuleEntry| name.as_ref().and_then(Value::as_str) == Some(rule.name);
        let headed = |rule: &RuleEntry, settings: Value| {
            let (spec, resolved) = (rule.parse)(&settings, rules)?;
            Ok::<_, Error>(spec.classifiers().is_some().then_some((spec, resolved)))
        };
        let parsed = match rules.iter().find(named) {
            Some(rule) => headed(rule, Value::Object(inner)).map_err(|e| below_heads(e, "$.rule"))?,
            None => None,
        };
        let Some((local, resolved)) = parsed else {
            let valid = rules.iter().filter(|rule| matches!(headed(rule, json!({})), Ok(Some(_))));
            let valid: Vec<String> = valid.map(|rule| format!("{:?}", rule.name)).collect();
            let given = name.map_or_else(|| "missing".to_string(), |name| format!("{name} has no local classifiers"));
            return Err(refused("$.rule.heads.name", format!("{given}; needed: one of {}", valid.join(", "))));
        };
        let mut named = Map::from_iter(name.map(|name| ("name".to_string(), name)));
        named.extend(resolved.as_object().cloned().unwrap_or_default());
        Ok((Box::new(DeepSupervision { local }), json!({"heads": named})))
    }
}

fn refused(path: &str, message: String) -> Error {
    Error::Config(ConfigErrors { origin: "rule".into(), errors: vec![ConfigError::new(path, message)] })
}

/// The same mistakes, with the paths of settings under `heads` instead of `root`.
fn below_heads(error: Error, root: &str) -> Error {
    match error {
        Error::Config(ConfigErrors { origin, errors }) => {
            Error::Config(ConfigErrors { origin, errors: errors.into_iter().map(|e| moved(e, root)).collect() })
        }
        other => other,
    }
}

fn moved(mut error: ConfigError, root: &str) -> ConfigError {
    if let Some(rest) = error.path.strip_prefix(root) {
        error.path = format!("$.rule.heads{rest}");
    }
    error
}

impl RuleSpec for DeepSupervision {
    fn check(&self, context: &Context) -> Vec<ConfigError> {
        self.local.check(context).into_iter().map(|e| moved(e, "$.rule")).collect()
    }

    fn warnings(&self, context: &Context) -> Vec<ConfigError> {
        self.local.warnings(context).into_iter().map(|e| moved(e, "$.rule")).collect()
    }

    fn partition(&self) -> Option<Partition> {
        self.local.partition()
    }

    fn reach(&self) -> Reach {
        Reach::Gradients
    }

    fn greedy(&self) -> Result<(), String> {
        Err("deep supervision sends gradients through all blocks, so they cannot be trained one after the other".into())
    }

    fn input(&self, images: RowShape) -> RowShape {
        self.local.input(images)
    }

    fn layer_request(&self, classes: usize) -> LayerRequest {
        self.local.layer_request(classes)
    }

    fn parameter_groups(&self) -> Vec<ParameterGroup> {
        self.local.parameter_groups()
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        let spec: &dyn ClassifierSpec = self.local.classifiers().ok_or_else(|| {
            Error::argument("deep-supervision", "rule of the heads", "one without local classifiers", "one with them")
        })?;
        Ok(AnyRule::new(spec.build_classifiers(network, classes, seed)?.without_detach()))
    }
}
