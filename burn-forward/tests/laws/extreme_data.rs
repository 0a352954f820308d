//! Data at the edge of what classification is: one class, two, a class without samples, one sample, images that are all the
//! same. Every rule trains with finite numbers, or says before training why it cannot.

use burn::module::Module;
use burn::tensor::Tensor;
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::data::Batch;
use burn_forward::optim::{OptimizerConfig, OptimizerName};

use super::toy::{CLASSES, Case, batch, recipes};
use super::values::{gradients, numbers, parameters};

/// Rules that have to have a wrong class, and say so.
const NEED_A_WRONG_CLASS: [&str; 2] = ["forward-forward", "trifecta"];

/// A batch with labels that are taken modulo `modulus`, of `classes` classes.
fn labelled(case: &Case, index: u64, modulus: i64, classes: usize) -> Batch {
    let batch = batch(16, index, &case.device);
    Batch { targets: batch.targets.clone() % modulus, classes, ..batch }
}

/// A batch whose pixels are all `value`.
fn constant(case: &Case, index: u64, value: f64) -> Batch {
    let batch = batch(16, index, &case.device);
    let inputs = batch.inputs.with_features(Tensor::full(batch.features().dims(), value, &case.device));
    Batch { inputs, ..batch }
}

type Extreme = (&'static str, usize, fn(&Case, u64) -> Batch);

fn extremes() -> Vec<Extreme> {
    vec![
        ("one class", 1, |case, i| labelled(case, i, 1, 1)),
        ("two classes", 2, |case, i| labelled(case, i, 2, 2)),
        ("a class without samples", CLASSES, |case, i| labelled(case, i, CLASSES as i64 - 1, CLASSES)),
        ("one sample", CLASSES, |case, i| batch(1, i, &case.device)),
        ("grey images", CLASSES, |case, i| constant(case, i, 0.5)),
        ("black images", CLASSES, |case, i| constant(case, i, 0.0)),
    ]
}

/// What is wrong after some steps.
fn after_training(case: &Case, classes: usize, make: fn(&Case, u64) -> Batch) -> Result<(), String> {
    let groups = case.spec().parameter_groups();
    let mut optimizer = OptimizerConfig::new(OptimizerName::Adam, 1e-2).optimizer(&groups).unwrap();
    let mut model = case.try_model(classes).map_err(|e| e.to_string())?;
    for step in 0..3 {
        let batch = make(case, step);
        let output = model.learn(&batch);
        // Both panic at numbers that are not finite.
        gradients(&model, &output.grads);
        model = optimizer.step(1e-2, model, output.grads);
        parameters(&model);
    }
    let unseen = make(case, 99);
    let inputs: AnyActivation = unseen.inputs.clone().without_autodiff();
    let scores = numbers(model.valid().scores(inputs).primary());
    assert_eq!(scores.len(), unseen.inputs.rows() * classes, "{case}");
    assert!(scores.iter().all(|s| s.is_finite()), "{case}: {scores:?}");
    Ok(())
}

#[test]
fn every_rule_trains_on_extreme_data_or_refuses_it() {
    let mut failures = Vec::new();
    for case in recipes() {
        for (name, classes, make) in extremes() {
            let what = format!("{case} with {name}");
            let answer =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| after_training(&case, classes, make)));
            let refused = NEED_A_WRONG_CLASS.contains(&case.rule.as_str()) && classes == 1;
            match answer {
                Err(_) => failures.push(format!("{what}: a panic")),
                Ok(Ok(())) if refused => failures.push(format!("{what}: accepted, but no class is wrong")),
                Ok(Err(message)) if !refused => failures.push(format!("{what}: {message}")),
                Ok(Err(message)) if !message.contains(">= 2") => failures.push(format!("{what}: {message}")),
                Ok(_) => {}
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
