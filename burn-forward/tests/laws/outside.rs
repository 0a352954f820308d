//! What other crates bring: their own batches, networks and registry rows.

use burn::module::Module;
use burn::tensor::Device;
use burn_forward::activation::RowShape;
use burn_forward::data::{Batch, BatchKey};
use burn_forward::model::LocalModel;
use burn_forward::network::{AnyLayer, LayerOutline, MlpConfig, NetworkSpec, Partition, network_entry};
use burn_forward::random::Seed;
use burn_forward::registry::Registry;
use burn_forward::rules::Context;
use burn_forward::rules::{BackpropConfig, rule_entries, rule_entry, rule_entry_of};
use burn_forward::{ConfigError, Result};
use burn_forward_train::config::RunConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::toy::{CLASSES, Case, INPUT, batch, mlp, model_of, on_all_devices, seed};
use burn_forward_testing::values::{Values, gradients};

/// Gradients of two steps on the same batch with an unknown key.
fn twice(case: &Case, net: &MlpConfig) -> [Values; 2] {
    let model = model_of(case, net, Partition::LAYER, seed());
    let batch = Batch { key: BatchKey::default(), ..batch(24, 0, case.device()) };
    [(); 2].map(|()| gradients(&model, &model.learn(&batch).grads).unwrap())
}

#[test]
fn steps_on_batches_of_unknown_address_do_not_share_their_negatives() {
    for case in on_all_devices("forward-forward", &json!({"preset": "pezeshki"})) {
        let [a, b] = twice(&case, &mlp(&[30, 30]));
        assert_ne!(a, b, "{case}: two steps with the same negatives");
    }
}

#[test]
fn steps_on_batches_of_unknown_address_are_numbered() {
    let case = &on_all_devices("backprop", &json!({}))[0];
    let keys = |model: LocalModel, key: BatchKey| {
        let batch = Batch { key, ..batch(2, 0, case.device()) };
        // Copies of a model continue its count.
        let copies = [model.clone(), model.valid(), model];
        copies.map(|model| model.context(&batch).key)
    };
    // A new model starts again, so that a program with one seed gives one result.
    for _ in 0..2 {
        let numbered = [0, 1, 2].map(|index| BatchKey { epoch: 0, index, step: index });
        assert_eq!(keys(case.model(seed()).unwrap(), BatchKey::default()), numbered);
    }
    let known = BatchKey { epoch: 3, index: 5, step: 5 };
    assert_eq!(keys(case.model(seed()).unwrap(), known), [known; 3]);
}

/// An architecture that has none of the MLP's settings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Foreign {
    units: usize,
}

impl NetworkSpec for Foreign {
    fn outline(&self) -> Vec<LayerOutline> {
        vec![LayerOutline { affine: true, ..LayerOutline::default() }; 2]
    }

    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        mlp(&[self.units, self.units]).layers(input, seed, device)
    }
}

fn refusals(rule: &str, network_name: &str, network: &dyn NetworkSpec) -> Vec<ConfigError> {
    let spec = (rule_entry(rule).unwrap().parse)(&json!({}), &rule_entries()).unwrap().0;
    spec.check(&Context {
        network_name,
        network,
        blocks: Some(2),
        input: Some(INPUT),
        classes: Some(CLASSES),
        optimizer: None,
    })
}

#[test]
fn rules_ask_what_a_network_is_and_not_how_its_settings_are_called() {
    for row in burn_forward_train::registry().rules {
        let errors = refusals(row.name, "foreign", &Foreign { units: 10 });
        assert!(errors.is_empty(), "{}: {errors:?}", row.name);
    }
    let refused = |rule: &str, net: MlpConfig| refusals(rule, "mlp", &net).first().map(|e| e.path.clone());
    let plain = MlpConfig { normalisation: Default::default(), ..mlp(&[10, 10]) };
    assert_eq!(refused("forward-forward", plain).as_deref(), Some("$.network.normalisation"));
    let rectified = MlpConfig { activation: Default::default(), ..mlp(&[10, 10]) };
    assert_eq!(refused("drtp", rectified).as_deref(), Some("$.network"));
    assert_eq!(refused("drtp", mlp(&[10, 10])), None);
}

fn config(rule: &str, network: Value) -> Value {
    json!({
        "data": {"name": "digits"},
        "network": network,
        "rule": {"name": rule},
        "training": {"epochs": 1},
        "optimizer": {"name": "adam", "lr": 0.001},
    })
}

#[test]
fn a_name_stands_for_one_row() {
    let load = |registry: &Registry| {
        let value = config("backprop", json!({"name": "foreign", "units": 10}));
        RunConfig::from_value("test", value, &[], registry).map_err(|e| e.to_string())
    };
    let mut registry = burn_forward_train::registry();
    registry.networks.push(network_entry::<Foreign>("foreign", "from another crate"));
    load(&registry).unwrap();

    let mut twice = registry.clone();
    twice.rules.push(rule_entry_of::<BackpropConfig>("backprop", "mine", "nobody"));
    let message = load(&twice).unwrap_err();
    assert!(message.contains("rules called \"backprop\" is 2"), "{message}");
    let mut twice = registry.clone();
    twice.networks.push(network_entry::<Foreign>("mlp", "mine"));
    let message = load(&twice).unwrap_err();
    assert!(message.contains("networks called \"mlp\" is 2"), "{message}");
    registry.data.extend(burn_forward_train::registry().data.into_iter().take(1));
    let message = load(&registry).unwrap_err();
    assert!(message.contains("data sets called"), "{message}");
}

#[test]
fn an_overlay_leaves_something_of_the_input() {
    let spec = (rule_entry("forward-forward").unwrap().parse)(&json!({}), &rule_entries()).unwrap().0;
    let net = mlp(&[10, 10]);
    let errors = |features: usize, classes: usize| {
        let input = Some(RowShape::Features(features));
        spec.check(&Context {
            network_name: "mlp",
            network: &net,
            blocks: Some(2),
            input,
            classes: Some(classes),
            optimizer: None,
        })
    };
    assert!(errors(3, 2).is_empty());
    for (features, classes) in [(2, 2), (2, 10)] {
        let errors = errors(features, classes);
        assert_eq!(
            errors.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(),
            ["$.rule.label-injection"],
            "{features}"
        );
    }
}
