//! Zeroth-order learning compared with back-propagation, what it leaves unchanged, and which weights it keeps.

use burn_forward::activation::AnyActivation;
use burn_forward::data::{Batch, BatchKey};
use burn_forward::model::LocalModel;
use burn_forward::network::{MlpConfig, Network, Partition};
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward::pieces::pair_loss::cross_entropy;
use burn_forward::rules::{DirectionEntries, RuleSpec, ZerothOrderConfig};
use burn_forward::tape::Tape;
use burn_forward_testing::step_trace::first_step;
use burn_forward_testing::values::{Values, assert_same, edit, gradients, parameters};
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

/// The gradient of back-propagation.
fn gradient(model: &LocalModel, rows: &Batch) -> Vec<f64> {
    let mut tape = Tape::new(());
    let scores = model.scores(rows.inputs.clone()).primary();
    tape.backward(&cross_entropy(scores, rows.targets.clone()), model);
    flat(&gradients(model, tape.gradients()).unwrap())
}

fn at(rows: &Batch, index: u64, steps: usize) -> Batch {
    Batch { key: BatchKey::new(1, index, steps), ..rows.clone() }
}

/// The mean of `N` estimates has noise of `d / N` relative to the square of the gradient; here the cosine is about 0.995.
#[test]
fn the_mean_of_many_estimates_is_the_gradient() {
    let device = burn_forward::device::parse("flex").unwrap().autodiff();
    for directions in [DirectionEntries::Rademacher, DirectionEntries::Gaussian] {
        let (steps, queries) = (50, 200);
        let model = model(&ZerothOrderConfig { directions, queries, ..Default::default() }, &device);
        let rows = batch(8, 0, &device);
        let gradient = gradient(&model, &rows);
        assert_eq!(gradient.len(), 109);

        let mut mean = vec![0.0; gradient.len()];
        for index in 0..steps {
            let rows = at(&rows, index, steps as usize);
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

/// With one direction with entries 1 and -1, the estimate is the slope `s` times the direction, so its product with the
/// gradient is `s` times the true slope. This is in single precision, for a loss of 1.4 and a gradient of similar length.
#[test]
fn a_slope_in_single_precision_is_that_of_the_gradient() {
    let device = burn_forward::device::parse("flex").unwrap().autodiff();
    let error = |epsilon: f64| {
        let model = model(&ZerothOrderConfig { epsilon, ..Default::default() }, &device);
        let rows = batch(128, 0, &device);
        let gradient = gradient(&model, &rows);
        let length = dot(&gradient, &gradient).sqrt();
        let errors = (0..50).map(|index| {
            let estimate = flat(&gradients(&model, &model.learn(&at(&rows, index, 50)).grads).unwrap());
            let slope = (dot(&estimate, &estimate) / estimate.len() as f64).sqrt();
            (slope - dot(&estimate, &gradient) / slope).abs() / length
        });
        errors.fold(0.0, f64::max)
    };
    let default = ZerothOrderConfig::default().epsilon;
    let errors = [1e-1, 1e-2, default, 1e-4, 1e-5, 1e-6].map(error);
    println!("largest errors of slopes: {errors:?}");
    assert!(errors[2] < 1e-3, "{errors:?}");
    // A much larger step is dominated by curvature, a much smaller one by rounding.
    assert!(errors[2] < errors[0] && errors[2] < errors[5], "{errors:?}");
}

/// With every setting, and with dropout in the network: not one bit of a weight changes.
#[test]
fn a_step_leaves_every_weight_as_it_was() {
    let cases = laws().rules(&["zeroth-order"]).noisy_cases().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let model = case.model(seed()).unwrap();
        let before = parameters(&model).unwrap();
        first_step(&model, &case.batch(0));
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

/// The mean of the scores of the moved networks equals the scores of the network.
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

fn mean_loss(model: &LocalModel, rows: &Batch) -> f32 {
    let scores = model.scores(rows.inputs.clone()).primary();
    cross_entropy(scores, rows.targets.clone()).into_data().iter().next().unwrap()
}

/// With steps so large that many of them increase the loss: the final weights are the best of the three, which this test
/// computes from the estimate without `conserve`.
#[test]
fn conserve_keeps_the_best_of_the_weights_a_step_forth_and_a_step_back() {
    let device = burn_forward::device::parse("flex").unwrap().autodiff();
    for sign in [false, true] {
        let rate = if sign { 0.3 } else { 1.0 };
        let settings = ZerothOrderConfig { sign, ..Default::default() };
        let mut rule = model(&settings, &device);
        let mut conserving = model(&ZerothOrderConfig { conserve: true, ..settings }, &device);
        let sgd = OptimizerConfig { momentum: Some(0.0), ..OptimizerConfig::new(OptimizerName::Sgd, rate) };
        assert!(sgd.is_plain_sgd());
        let mut optimizer = sgd.optimizer(&[]).unwrap();
        let mut rates = sgd.scheduler(&[], 1).unwrap();
        let mut chosen = [0; 3];
        for index in 0..40 {
            let rows = at(&batch(24, index, &device), index, 40);
            let before = parameters(&conserving).unwrap();
            let loss_before = mean_loss(&conserving, &rows);
            rule = edit(rule, |path, values| values.clone_from(&before[path]));
            let estimate = gradients(&rule, &rule.learn(&rows).grads).unwrap();
            let rate_now = rates.step();
            let (after, _) =
                conserving.learn_with(&rows, |model, grads| optimizer.step(rate_now.clone(), model, grads));
            conserving = after;
            let (got, loss) = (parameters(&conserving).unwrap(), mean_loss(&conserving, &rows));
            assert!(loss <= loss_before + 1e-6, "{index}: from {loss_before} to {loss}");
            let places = [0.0, -rate as f32, rate as f32].map(|by| {
                let mut place = before.clone();
                for (path, values) in &mut place {
                    values.iter_mut().zip(&estimate[path]).for_each(|(w, g)| *w += by * g);
                }
                place
            });
            let distance =
                |place: &Values| flat(place).iter().zip(flat(&got)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let nearest = (0..3).min_by(|a, b| distance(&places[*a]).total_cmp(&distance(&places[*b]))).unwrap();
            chosen[nearest] += 1;
            assert!(distance(&places[nearest]) < 1e-5, "{index}: {}", distance(&places[nearest]));
            let losses = places.map(|place| {
                let moved = edit(model(&settings, &device), |path, values| values.clone_from(&place[path]));
                mean_loss(&moved, &rows)
            });
            let best = losses.iter().copied().fold(f32::INFINITY, f32::min);
            assert!(losses[nearest] <= best + 1e-6, "{index}: {nearest} of {losses:?}");
        }
        assert!(chosen.iter().all(|n| *n > 0), "sign {sign}: {chosen:?}");
    }
}
