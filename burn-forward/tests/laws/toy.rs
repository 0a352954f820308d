//! What the laws are tried on: every rule with every setting that has a name, a small network, and toy data.

use std::fmt;

use burn::tensor::{Device, Tensor, TensorData};
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::data::{Batch, BatchKey};
use burn_forward::device;
use burn_forward::model::LocalModel;
use burn_forward::network::{MlpConfig, Network, NetworkSpec, Partition};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::random::Seed;
use burn_forward::rules::Context;
use burn_forward::rules::{RuleSpec, rule_entries, rule_entry};
use rand::RngExt;
use serde_json::{Map, Value, json};

pub(crate) const CLASSES: usize = 4;
/// Step of finite differences: large enough for losses in single precision.
pub(crate) const STEP: f32 = 5e-3;
pub(crate) const INPUT: RowShape = RowShape::Maps { channels: 1, height: 4, width: 4 };

/// Root of all streams here.
pub(crate) fn seed() -> Seed {
    Seed::new(7)
}

/// The CPU devices of this build, with autodiff.
pub(crate) fn devices() -> Vec<(&'static str, Device)> {
    let here = device::names().into_iter().filter(|n| ["flex", "ndarray"].contains(n));
    here.map(|name| (name, device::parse(name).unwrap().autodiff())).collect()
}

/// Tanh behind rms: the one kind of layer that no rule refuses.
pub(crate) fn mlp(widths: &[usize]) -> MlpConfig {
    MlpConfig {
        widths: widths.to_vec(),
        activation: ActivationFn::Tanh,
        dropout: 0.0,
        normalisation: Normalisation::Rms,
        init: Default::default(),
    }
}

/// A rule with settings, on a device.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) rule: String,
    pub(crate) settings: Value,
    pub(crate) device: Device,
    on: &'static str,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.rule, self.settings, self.on)
    }
}

impl Case {
    pub(crate) fn spec(&self) -> Box<dyn RuleSpec> {
        self.try_spec().unwrap_or_else(|e| panic!("{self}: {e}"))
    }

    pub(crate) fn try_spec(&self) -> burn_forward::Result<Box<dyn RuleSpec>> {
        let row = rule_entry(&self.rule).unwrap();
        Ok((row.parse)(&self.settings, &rule_entries())?.0)
    }

    /// A fresh model of three blocks (one, where the rule insists): never a clone, since clones share running states.
    pub(crate) fn model(&self, seed: Seed) -> LocalModel {
        self.model_with(Partition::LAYER, seed)
    }

    /// A model with other borders between the same layers.
    pub(crate) fn model_with(&self, partition: Partition, seed: Seed) -> LocalModel {
        self.model_of(&mlp(&[10, 9, 8]), partition, seed)
    }

    pub(crate) fn model_of(&self, mlp: &MlpConfig, partition: Partition, seed: Seed) -> LocalModel {
        self.model_for(CLASSES, mlp, partition, seed).unwrap_or_else(|e| panic!("{self}: {e}"))
    }

    pub(crate) fn try_model(&self, classes: usize) -> burn_forward::Result<LocalModel> {
        self.model_for(classes, &mlp(&[10, 9, 8]), Partition::LAYER, seed())
    }

    fn model_for(
        &self,
        classes: usize,
        mlp: &MlpConfig,
        partition: Partition,
        seed: Seed,
    ) -> burn_forward::Result<LocalModel> {
        let spec = self.spec();
        let layers = mlp.layers_for(INPUT, spec.layer_request(classes), seed, &self.device)?;
        let network = Network::new(layers, spec.partition().unwrap_or(partition))?;
        let rule = spec.build(&network, classes, seed)?;
        Ok(LocalModel::new(network, rule, seed))
    }

    /// Whether the rule with these settings has no objection to a network.
    pub(crate) fn accepts(&self, mlp: &MlpConfig) -> bool {
        let blocks = Some(mlp.widths.len());
        let context = Context { network_name: "mlp", network: mlp, blocks, input: Some(INPUT), classes: Some(CLASSES) };
        self.spec().check(&context).is_empty()
    }
}

/// `rule` with `settings` on every device.
pub(crate) fn on_all_devices(rule: &str, settings: &Value) -> Vec<Case> {
    let case = |(on, device)| Case { rule: rule.into(), settings: settings.clone(), device, on };
    devices().into_iter().map(case).collect()
}

/// Every row with its defaults, and with every preset it has.
pub(crate) fn recipes() -> Vec<Case> {
    all_settings(&["preset"])
}

/// Every row with its defaults, and with every value of every setting whose values have names.
pub(crate) fn cases() -> Vec<Case> {
    all_settings(&[])
}

/// Every rule that can be trained greedily, on a network with dropout, with a batch to learn from.
pub(crate) fn noisy() -> Vec<(String, LocalModel, Batch)> {
    let greedy = cases().into_iter().filter(|case| case.spec().greedy().is_ok());
    let mlp = MlpConfig { dropout: 0.5, ..mlp(&[10, 9, 8]) };
    greedy
        .map(|case| (case.to_string(), case.model_of(&mlp, Partition::LAYER, seed()), batch(24, 0, &case.device)))
        .collect()
}

fn all_settings(only: &[&str]) -> Vec<Case> {
    let mut cases = Vec::new();
    for row in rule_entries() {
        let mut settings = vec![json!({})];
        let schema = (row.schema)();
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            if only.is_empty() || only.contains(&key.as_str()) {
                settings.extend(named_values(property, &schema).into_iter().map(|v| json!({ key: v })));
            }
        }
        for s in settings {
            let alone = on_all_devices(row.name, &s);
            if alone.iter().all(|case| case.accepts(&mlp(&[10, 9, 8]))) {
                cases.extend(alone);
            } else if s.get("softmax-head").is_some() {
                // Hard negatives, the default, are sampled from the head that this switches off.
                cases.extend(on_all_devices(row.name, &json!({"softmax-head": false, "negatives": "wrong"})));
            } else {
                panic!("{} {s} contradicts the defaults: give it a companion here", row.name);
            }
        }
    }
    cases
}

/// The values of a schema that can be listed: booleans, enumerations, and tagged objects with defaults for the rest.
fn named_values(schema: &Value, root: &Value) -> Vec<Value> {
    if let Some(name) = schema["$ref"].as_str() {
        return named_values(&root["$defs"][name.trim_start_matches("#/$defs/")], root);
    }
    if let Some(value) = schema.get("const") {
        return vec![value.clone()];
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.clone();
    }
    if let Some(branches) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return branches.iter().flat_map(|b| named_values(b, root)).collect();
    }
    let is = |kind: &str| schema["type"] == kind || schema["type"].as_array().is_some_and(|t| t.contains(&json!(kind)));
    if is("boolean") {
        return vec![json!(false), json!(true)];
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let tag: Map<String, Value> = required
        .iter()
        .filter_map(|key| Some((key.as_str()?.to_string(), schema["properties"][key.as_str()?].get("const")?.clone())))
        .collect();
    if is("object") && !required.is_empty() && tag.len() == required.len() {
        vec![Value::Object(tag)]
    } else {
        Vec::new()
    }
}

#[test]
fn settings_are_found_in_the_schemas() {
    let found: Vec<String> = cases().iter().map(ToString::to_string).collect();
    for expected in [
        r#"backprop {} on flex"#,
        r#"dfa {"sign":true} on flex"#,
        r#"forward-forward {"preset":"ff-plus"} on flex"#,
        r#"forward-forward {"goodness":"top-k"} on flex"#,
        r#"forward-forward {"label":{"name":"per-layer"}} on flex"#,
        r#"forward-forward {"loss":{"name":"symba"}} on flex"#,
        r#"forward-forward {"negatives":"wrong"} on flex"#,
        r#"mono-forward {"readout":"sum"} on flex"#,
    ] {
        assert!(found.iter().any(|f| f == expected), "no {expected} among {found:#?}");
    }
}

/// Batch `index` of images around one prototype per class, values about `[0, 1]`.
pub(crate) fn batch(rows: usize, index: u64, device: &Device) -> Batch {
    let width = INPUT.len();
    let mut rng = seed().stream("prototypes", &[]);
    let prototypes: Vec<f32> = (0..CLASSES * width).map(|_| rng.random_range(0..2) as f32).collect();
    let mut rng = seed().stream("batch", &[index]);
    let targets: Vec<i32> = (0..rows).map(|_| rng.random_range(0..CLASSES as i32)).collect();
    let pixels: Vec<f32> = targets
        .iter()
        .flat_map(|y| prototypes[*y as usize * width..][..width].to_vec())
        .map(|p| 0.2 + 0.6 * p + rng.random_range(-0.2..0.2))
        .collect();
    Batch {
        inputs: AnyActivation::Maps(Tensor::from_data(TensorData::new(pixels, [rows, 1, 4, 4]), device)),
        targets: Tensor::from_data(TensorData::new(targets, [rows]), device),
        classes: CLASSES,
        key: BatchKey { epoch: 1, index, step: index },
        samples: (0..rows as u32).collect(),
    }
}
