//! The cases of the laws: every rule with every setting that has named values, a small network, and toy data.

use burn::tensor::Device;
use burn_forward::activation::RowShape;
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::network::{MlpConfig, Partition};
use burn_forward::random::Seed;
use burn_forward::registry::Registry;
use burn_forward_testing::{Laws, Prototypes, TestData, TestNetwork};
use serde_json::{Value, json};

pub(crate) use burn_forward_testing::{Case, devices, seed, smooth_mlp as mlp};

pub(crate) const CLASSES: usize = 4;
const SIDE: usize = 4;
pub(crate) const INPUT: RowShape = RowShape::Maps { channels: 1, height: SIDE, width: SIDE };

/// The laws for every row of the registry.
pub(crate) fn laws() -> Laws {
    let mut laws = Laws::of(&Registry::default())
        .data(Prototypes::images(1, SIDE, CLASSES))
        // Hard negatives, the default, are sampled from the head that this setting disables.
        .companion(json!({"softmax-head": false}), json!({"negatives": "wrong"}))
        .except(
            "finite_difference::a_local_gradient_is_the_slope_of_the_blocks_own_loss",
            "an estimate along a random direction is not a slope: laws::zeroth_order compares the mean of many",
            |case| case.rule() == "zeroth-order",
        );
    // Hinton's recipe again without the peer term, whose running mean makes the loss depend on more than the parameters.
    for goodness in ["sum-squares", "burst"] {
        laws = laws.settings("forward-forward", json!({"goodness": goodness, "peer": {"strength": 0.0}}));
    }
    // A Forward-Forward preset with another goodness has a threshold on the scale of that goodness.
    for goodness in ["mean-squares", "negative-sum-squares", "length", "mean", "top-k", "entmax", "burst"] {
        laws = laws.learns("forward-forward", json!({"goodness": goodness}));
    }
    for settings in [json!({"incremental": true}), json!({"prediction": "fixed"})] {
        laws = laws.learns("predictive-coding", settings);
    }
    laws.except(
        "finite_difference::a_local_gradient_is_the_slope_of_the_blocks_own_loss",
        "the activities of the second pass are treated as constant but depend on the weights: closed_form tests the gradient",
        |case| case.rule() == "pepita",
    )
    .except(
        "finite_difference::a_local_gradient_is_the_slope_of_the_blocks_own_loss",
        "feedback weights have the gradients of the weights",
        |case| case.settings() == &json!({"feedback": "kolen-pollack"}),
    )
    .except(
        "locality::a_rule_that_reads_what_is_above_says_what_and_does",
        "a probability is above 0 and below 1, so the sign of an error depends on the target alone",
        |case| case.rule() == "dfa" && case.settings() == &json!({"sign": true}),
    )
}

/// Every row with every setting that has named values, on every device.
pub(crate) fn cases() -> Vec<Case> {
    laws().cases().unwrap()
}

/// `rule` with `settings` on every device.
pub(crate) fn on_all_devices(rule: &str, settings: &Value) -> Vec<Case> {
    laws().on_all_devices(rule, settings)
}

/// A new model with another perceptron.
pub(crate) fn model_of(case: &Case, mlp: &MlpConfig, partition: Partition, seed: Seed) -> LocalModel {
    case.with_network(TestNetwork::new("mlp", mlp.clone(), partition)).model(seed).unwrap()
}

/// Batch `index` of images around one prototype per class, with values roughly in `[0, 1]`.
pub(crate) fn batch(rows: usize, index: u64, device: &Device) -> Batch {
    Prototypes::images(1, SIDE, CLASSES).batch(rows, index, device)
}

#[test]
fn settings_are_found_in_the_schemas() {
    let found: Vec<String> = cases().iter().map(ToString::to_string).collect();
    for expected in [
        r#"backprop {} on mlp on flex"#,
        r#"dfa {"sign":true} on mlp on flex"#,
        r#"forward-forward {"preset":"ff-plus"} on mlp on flex"#,
        r#"forward-forward {"goodness":"top-k"} on mlp on flex"#,
        r#"forward-forward {"label-injection":{"name":"per-layer"}} on mlp on flex"#,
        r#"forward-forward {"loss":{"name":"symba"}} on mlp on flex"#,
        r#"forward-forward {"negatives":"wrong"} on mlp on flex"#,
        r#"mono-forward {"readout":"sum"} on mlp on flex"#,
    ] {
        assert!(found.iter().any(|f| f == expected), "no {expected} among {found:#?}");
    }
}

/// Forward-Forward needs a wrong class and reports that; every other rule trains on data with one class.
#[test]
fn one_class_is_refused_where_a_wrong_one_is_needed() {
    for case in laws().recipes().unwrap() {
        let refused = case.model_for(1, seed()).is_err();
        assert_eq!(refused, case.rule() == "forward-forward", "{case}");
    }
}

/// The law of smoothing applies to every rule with classifiers.
#[test]
fn rules_with_classifiers_take_label_smoothing() {
    for rule in ["mono-forward", "deep-supervision", "backprop"] {
        for case in on_all_devices(rule, &json!({})) {
            assert!(case.model(seed()).unwrap().rule.set_label_smoothing(0.3), "{case}");
        }
    }
}
