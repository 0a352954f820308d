//! Zeroth-order learning against back-propagation, and what it leaves as it was.

use burn_forward::activation::AnyActivation;
use burn_forward::data::{Batch, BatchKey};
use burn_forward::model::LocalModel;
use burn_forward::network::{MlpConfig, Network, Partition};
use burn_forward::pieces::pair_loss::cross_entropy;
use burn_forward::rules::{DirectionEntries, RuleSpec, ZerothOrderConfig};
use burn_forward::tape::Tape;
use burn_forward_testing::values::{Values, assert_same, gradients, parameters};
use serde_json::json;

use super::toy::{Case, INPUT, batch, laws, mlp, on_all_devices, seed};

const CLASSES: usize = 4;

/// The rule on a network of 16 inputs, 5 hidden units and 4 classes: 109 weights.
fn model(settings: &ZerothOrderConfig, device: &burn::tensor::Device) -> LocalModel {
    let config: MlpConfig = mlp(&[5]);
    let network = Network::new(config.layers(INPUT, seed(), device).unwrap(), Partition::LAYER).unwrap();
    let rule = settings.build(&network, CLASSES, seed()).unwrap();
    LocalModel::new(network, rule, seed())
}

fn flat(values: &Values) -> Vec<f64> {
    values.values().flatten().map(|v| *v as f64).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Of `N` estimates the mean has noise of `d / N` of the gradient's square: the cosine is about 0.995 here.
#[test]
fn the_mean_of_many_estimates_is_the_gradient() {
    let device = burn_forward::device::parse("flex").unwrap().autodiff();
    for directions in [DirectionEntries::Rademacher, DirectionEntries::Gaussian] {
        let (steps, queries) = (50, 200);
        let model = model(&ZerothOrderConfig { directions, queries, ..Default::default() }, &device);
        let rows = batch(8, 0, &device);
        let mut tape = Tape::new(());
        let scores = model.scores(rows.inputs.clone()).primary();
        tape.backward(&cross_entropy(scores, rows.targets.clone()), &model);
        let gradient = flat(&gradients(&model, tape.gradients()).unwrap());
        assert_eq!(gradient.len(), 109);

        let mut mean = vec![0.0; gradient.len()];
        for index in 0..steps {
            let rows = Batch { key: BatchKey::new(1, index, steps as usize), ..rows.clone() };
            let estimate = flat(&gradients(&model, &model.learn(&rows).grads).unwrap());
            mean.iter_mut().zip(estimate).for_each(|(mean, estimate)| *mean += estimate / steps as f64);
        }
        let (length, true_length) = (dot(&mean, &mean).sqrt(), dot(&gradient, &gradient).sqrt());
        let cosine = dot(&mean, &gradient) / (length * true_length);
        assert!(cosine > 0.99, "{directions:?}: cosine {cosine}");
        let along = dot(&mean, &gradient) / dot(&gradient, &gradient);
        assert!((along - 1.0).abs() < 0.05, "{directions:?}: {along} of the gradient");
    }
}

/// Every setting, with dropout in the network: not one bit of a weight moves.
#[test]
fn a_step_leaves_every_weight_as_it_was() {
    let cases = laws().rules(&["zeroth-order"]).noisy_cases().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let model = case.model(seed()).unwrap();
        let before = parameters(&model).unwrap();
        model.learn(&case.batch(0));
        assert_same(&before, &parameters(&model).unwrap(), &case.to_string());
    }
}

#[test]
fn the_same_address_gives_the_same_estimate_and_another_address_another_one() {
    for case in on_all_devices("zeroth-order", &json!({"queries": 2})) {
        let of = |case: &Case, key| {
            let model = case.model(seed()).unwrap();
            gradients(&model, &model.learn(&Batch { key, ..case.batch(0) }).grads).unwrap()
        };
        let first = of(&case, BatchKey::new(1, 0, 10));
        assert_same(&first, &of(&case, BatchKey::new(1, 0, 10)), &case.to_string());
        for other in [BatchKey::new(1, 1, 10), BatchKey::new(2, 0, 10)] {
            for (path, values) in of(&case, other) {
                assert_ne!(values, first[&path], "{case}: {path}");
            }
        }
    }
}

/// The mean of what the moved networks say is what the network says.
#[test]
fn the_prediction_in_training_is_the_networks() {
    for case in on_all_devices("zeroth-order", &json!({})) {
        let (model, batch) = (case.model(seed()).unwrap(), case.batch(0));
        let pass = model.rule.begin(&model.network, &batch, model.context(&batch), &mut Tape::new(()));
        let inputs: AnyActivation = batch.inputs.clone();
        let expected: Vec<f32> = model.scores(inputs).primary().into_data().iter().collect();
        let got: Vec<f32> = pass.logits.unwrap().into_data().iter().collect();
        burn_forward_testing::values::assert_close(&got, &expected, 1e-4, &case.to_string());
    }
}
