//! Every rule with its defaults and with every value of every setting that has names, on a small plain stack and on a tiny
//! residual network.

use std::fmt;
use std::sync::OnceLock;

use burn::tensor::{Device, DeviceConfig, FloatDType, Tensor, TensorData};
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::data::{Batch, BatchKey};
use burn_forward::device;
use burn_forward::model::LocalModel;
use burn_forward::network::{Network, NetworkSpec, Partition};
use burn_forward::random::Seed;
use burn_forward::registry::Registry;
use burn_forward::rules::Context;
use burn_forward::rules::{RuleEntry, RuleSpec};
use rand::RngExt;
use serde_json::{Value, json};

pub(crate) const CLASSES: usize = 4;
/// Step of finite differences: losses are in double precision here, and rectifiers of auxiliary networks have kinks.
pub(crate) const STEP: f32 = 2e-5;
const SIDE: usize = 8;
pub(crate) const INPUT: RowShape = RowShape::Maps { channels: 2, height: SIDE, width: SIDE };

/// Root of all streams here.
pub(crate) fn seed() -> Seed {
    Seed::new(7)
}

fn registry() -> Registry {
    let mut registry = burn_forward_train::registry();
    burn_forward_cnn::register(&mut registry);
    registry
}

/// The networks: tanh behind rms, the one kind of layer that no rule refuses, and smooth, as finite differences need it.
pub(crate) fn networks() -> Vec<(&'static str, Value, Partition)> {
    let smooth = |mut settings: Value| {
        settings["activation"] = json!("tanh");
        settings["normalisation"] = json!("rms");
        settings
    };
    let stack = json!({"channels": [4, 6, 5], "pool-kind": "average", "batch-norm": false});
    vec![
        ("conv-stack", smooth(stack), Partition::LAYER),
        ("cifar-resnet", smooth(json!({"depth": 8, "width": 0.25})), Partition::RESIDUAL),
    ]
}

/// A rule with settings, on a network and a device.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) rule: String,
    pub(crate) settings: Value,
    pub(crate) network: (&'static str, Value, Partition),
    pub(crate) device: Device,
    on: &'static str,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {} on {}", self.rule, self.settings, self.network.0, self.on)
    }
}

impl Case {
    /// The same on another network.
    pub(crate) fn on(&self, network: (&'static str, Value, Partition)) -> Self {
        let (rule, settings, device) = (self.rule.clone(), self.settings.clone(), self.device.clone());
        Self { rule, settings, network, device, on: self.on }
    }

    fn row(&self) -> RuleEntry {
        registry().rules.into_iter().find(|row| row.name == self.rule).unwrap()
    }

    pub(crate) fn spec(&self) -> Box<dyn RuleSpec> {
        self.try_spec().unwrap_or_else(|e| panic!("{self}: {e}"))
    }

    pub(crate) fn try_spec(&self) -> burn_forward::Result<Box<dyn RuleSpec>> {
        Ok((self.row().parse)(&self.settings, &registry().rules)?.0)
    }

    fn network_spec(&self) -> Box<dyn NetworkSpec> {
        let row = registry().networks.into_iter().find(|row| row.name == self.network.0).unwrap();
        (row.parse)(&self.network.1).unwrap_or_else(|e| panic!("{self}: {e}")).0
    }

    /// A fresh model: never a clone, since clones share running states.
    pub(crate) fn model(&self, seed: Seed) -> LocalModel {
        self.model_with(self.network.2, seed)
    }

    /// A model with other borders between the same layers.
    pub(crate) fn model_with(&self, partition: Partition, seed: Seed) -> LocalModel {
        self.model_for(CLASSES, partition, seed).unwrap_or_else(|e| panic!("{self}: {e}"))
    }

    pub(crate) fn try_model(&self, classes: usize) -> burn_forward::Result<LocalModel> {
        self.model_for(classes, self.network.2, seed())
    }

    fn model_for(&self, classes: usize, partition: Partition, seed: Seed) -> burn_forward::Result<LocalModel> {
        let spec = self.spec();
        let layers = self.network_spec().layers(spec.input(INPUT), seed, &self.device)?;
        let network = Network::new(layers, spec.partition().unwrap_or(partition))?.with_input(INPUT);
        let rule = spec.build(&network, classes, seed)?;
        Ok(LocalModel::new(network, rule, seed))
    }

    pub(crate) fn accepted(&self) -> bool {
        let network = self.network_spec();
        let (network_name, network) = (self.network.0, network.as_ref());
        let context = Context { network_name, network, blocks: Some(3), input: Some(INPUT), classes: Some(CLASSES) };
        self.spec().check(&context).is_empty()
    }
}

/// Flex, on which every float of this program is of double precision.
pub(crate) fn double_precision() -> Device {
    static CONFIGURED: OnceLock<()> = OnceLock::new();
    CONFIGURED.get_or_init(|| {
        let doubles = DeviceConfig::default().float_dtype(FloatDType::F64);
        device::parse("flex").unwrap().configure(doubles).unwrap();
    });
    device::parse("flex").unwrap().autodiff()
}

/// `rule` with `settings` on every network. The core's own laws try both CPU devices; here it is flex alone.
pub(crate) fn on_all_devices(rule: &str, settings: &Value) -> Vec<Case> {
    let case = |network| Case {
        rule: rule.into(),
        settings: settings.clone(),
        network,
        device: double_precision(),
        on: "flex",
    };
    networks().into_iter().map(case).collect()
}

/// Every row with its defaults.
pub(crate) fn recipes() -> Vec<Case> {
    // Overlapping updates are neither local nor of one sum of losses; they have a law of their own.
    let settings = |name: &str| if name == "trifecta" { json!({"overlap": false}) } else { json!({}) };
    registry().rules.iter().flat_map(|row| on_all_devices(row.name, &settings(row.name))).collect()
}

/// Every row with its defaults, and with every value of every setting whose values have names. Rows of the core crate have
/// their settings tried there.
pub(crate) fn cases() -> Vec<Case> {
    let core: Vec<&str> = burn_forward_train::registry().rules.iter().map(|row| row.name).collect();
    let mut cases = recipes();
    for row in registry().rules.iter().filter(|row| !core.contains(&row.name)) {
        let schema = (row.schema)();
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            for value in named_values(property, &schema).into_iter().filter(|_| row.name != "trifecta") {
                cases.extend(on_all_devices(row.name, &json!({ key: value })));
            }
        }
    }
    for settings in [json!({"pool": 1}), json!({"pool": "full"}), json!({"readout": "weighted"})] {
        cases.extend(on_all_devices("mono-forward", &settings));
    }
    cases.extend(on_all_devices("forward-forward", &json!({"preset": "ff-plus"})));
    cases.extend(on_all_devices("scalable-forward-forward", &json!({"depth": 2})));
    for heads in [
        json!({"name": "scalable-forward-forward", "between": "rms", "loss": "margin"}),
        json!({"name": "channel-wise", "shortcut": true, "between": "group-norm"}),
        json!({"name": "info-pro"}),
    ] {
        cases.extend(on_all_devices("deep-supervision", &json!({"heads": heads})));
    }
    assert!(cases.iter().all(Case::accepted));
    cases
}

/// Every rule that can be trained greedily, on networks with batch normalisation and dropout, with a batch to learn from.
pub(crate) fn noisy() -> Vec<(String, LocalModel, Batch)> {
    let greedy = recipes().into_iter().filter(|case| case.spec().greedy().is_ok());
    let noisy = |mut case: Case| {
        if case.network.0 == "conv-stack" {
            case.network.1["batch-norm"] = json!(true);
            case.network.1["dropout"] = json!(0.5);
        }
        (case.to_string(), case.model(seed()), batch(24, 0, &case.device))
    };
    greedy.map(noisy).collect()
}

/// The values of a schema that can be listed: booleans and enumerations.
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
    if schema["type"] == "boolean" { vec![json!(false), json!(true)] } else { Vec::new() }
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
        inputs: AnyActivation::Maps(Tensor::from_data(TensorData::new(pixels, [rows, 2, SIDE, SIDE]), device)),
        targets: Tensor::from_data(TensorData::new(targets, [rows]), device),
        classes: CLASSES,
        key: BatchKey { epoch: 1, index, step: index },
        samples: (0..rows as u32).collect(),
    }
}
