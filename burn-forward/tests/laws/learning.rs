//! Training on toy data works under every rule, with the optimiser that a config would build.

use burn::tensor::Tensor;
use burn::train::ItemLazy;
use burn_forward::data::Batch;
use burn_forward::init::InitScheme;
use burn_forward::model::LocalModel;
use burn_forward::network::{MlpConfig, Partition};
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::pieces::pair_loss::cross_entropy;
use burn_forward::rules::Scores;
use burn_forward::tape::Tape;
use serde_json::json;

use super::state::reloaded;
use super::toy::{CLASSES, Case, batch, cases, mlp, on_all_devices, recipes, seed};
use super::values::{edit, parameters};

const STEPS: usize = 60;

/// Rectified units where the rule takes them: a goodness with its threshold at the width is out of tanh's reach.
fn fresh(case: &Case) -> LocalModel {
    let relu = MlpConfig { activation: ActivationFn::Relu, init: InitScheme::UnitNormal, ..mlp(&[32, 32]) };
    let net = if case.accepts(&relu) { relu } else { mlp(&[32, 32]) };
    case.model_of(&net, Partition::LAYER, seed())
}

/// The batch's mean block loss; where blocks have neither a readout nor a goodness, their loss is an inner product that
/// means nothing by itself, and it is the cross-entropy of the output that has to fall.
fn loss(case: &Case, model: &LocalModel, batch: &Batch) -> f64 {
    // A copy by way of the record: a clone would share running states.
    let model = reloaded(fresh(case), model);
    let mut tape = Tape::new(());
    model.rule.step(&model.network, batch, model.context(batch), &mut tape);
    let records = tape.records();
    if records.iter().all(|r| r.score.logits.is_none() && r.score.goodness_positive.is_none()) {
        let scores: Scores = model.scores(batch.inputs.clone());
        return cross_entropy(scores.primary(), batch.targets.clone()).into_scalar::<f64>();
    }
    records.iter().map(|r| r.score.loss.clone().into_scalar::<f64>()).sum::<f64>() / records.len() as f64
}

#[test]
fn every_optimizer_steps_every_parameter() {
    for name in OptimizerName::ALL {
        for case in on_all_devices("mono-forward", &json!({})) {
            let mut optimizer = OptimizerConfig::new(name, 1e-2).optimizer(&case.spec().parameter_groups()).unwrap();
            let mut model = case.model(seed());
            // Checks on the way that every number is finite.
            let before = parameters(&model);
            for step in 0..3 {
                let output = model.learn(&batch(32, step, &case.device));
                model = optimizer.step(1e-2, model, output.grads);
            }
            let still: Vec<String> = parameters(&model)
                .into_iter()
                .filter(|(path, now)| before[path] == *now)
                .map(|(path, _)| path)
                .collect();
            assert!(still.is_empty(), "{case}: {} leaves {still:?} as they were", name.name());
        }
    }
}

#[test]
fn what_is_no_number_shows_in_a_loss_and_stops_nothing_before() {
    for case in cases() {
        for broken in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let model = edit(case.model(seed()), |path, values| {
                if path.starts_with("network.blocks.0.") {
                    values.fill(broken);
                }
            });
            let output = model.learn(&batch(16, 0, &case.device));
            let item = output.item.sync().unwrap();
            let losses: Vec<f64> = item.numbers().blocks.iter().filter_map(|(_, numbers)| numbers.loss).collect();
            // Of infinite weights tanh makes finite activities, and rightly so.
            let shows = losses.iter().any(|loss| !loss.is_finite());
            assert!(shows || broken.is_infinite(), "{case} with weights of {broken}: {losses:?}");
        }
    }
}

fn accuracy(scores: Tensor<2>, batch: &Batch) -> f64 {
    let [rows, _] = scores.dims();
    scores.argmax(1).reshape([rows]).equal(batch.targets.clone()).float().mean().into_scalar::<f64>()
}

#[test]
fn the_loss_falls_and_the_accuracy_rises() {
    let mut failures = Vec::new();
    // A recipe of Forward-Forward with another goodness has a threshold on that one's scale.
    let goodness = ["mean-squares", "negative-sum-squares", "length", "mean", "top-k", "entmax", "burst"];
    let goodness = goodness.into_iter().flat_map(|g| on_all_devices("forward-forward", &json!({"goodness": g})));
    for case in recipes().into_iter().chain(goodness) {
        let groups = case.spec().parameter_groups();
        let config = OptimizerConfig::new(OptimizerName::Adam, 1e-2);
        let mut optimizer = config.optimizer(&groups).unwrap();
        let mut scheduler = config.scheduler(&groups, STEPS).unwrap();
        let unseen = batch(200, 1_000_000, &case.device);

        let mut model = fresh(&case);
        let before = loss(&case, &model, &unseen);
        for step in 0..STEPS {
            let output = model.learn(&batch(64, step as u64, &case.device));
            model = optimizer.step(scheduler.step(), model, output.grads);
        }
        let after = loss(&case, &model, &unseen);
        let accuracy = accuracy(model.scores(unseen.inputs.clone()).primary(), &unseen);
        let line = format!("{case}: loss {before:.3} before, {after:.3} after {STEPS} steps, accuracy {accuracy:.3}");
        println!("{line}");
        // Not "too high": a loss that is no number is neither too high nor low enough.
        let learned = after <= 0.9 * before && accuracy >= 0.6;
        if !learned {
            failures.push(line);
        }
    }
    assert!(failures.is_empty(), "chance is {}:\n{}", 1.0 / CLASSES as f64, failures.join("\n"));
}
