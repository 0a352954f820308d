//! The gradients on the tape are those of the loss on the tape, by central differences.

use burn::tensor::Tensor;
use burn_forward::activation::Activation;
use burn_forward::block::Block;
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::rules::Pass;
use burn_forward::tape::{BlockRecord, Tape};
use serde_json::json;

use super::toy::{Case, STEP, batch, cases, on_all_devices, seed};
use super::values::{Values, edit, gradients, of_block, parameters};
use super::walk::{copy, walk_with};

const TOLERANCE: f64 = 2e-2;

fn total(records: &[BlockRecord]) -> f64 {
    records.iter().map(|r| r.score.loss.clone().into_scalar::<f64>()).sum()
}

/// Every row with every setting; the author's recipe once more without the peer term, whose running mean makes a loss
/// that is no function of the parameters alone.
fn all_cases() -> Vec<Case> {
    let mut all = cases();
    for goodness in ["sum-squares", "burst"] {
        all.extend(on_all_devices("forward-forward", &json!({"goodness": goodness, "peer": {"strength": 0.0}})));
    }
    all
}

/// Whether a step changes something that no gradient changes and that a loss reads. The running statistics of batch
/// normalisation are read in inference alone.
fn has_running_state(case: &Case, batch: &Batch) -> bool {
    let model = case.model(seed());
    let read = |model: &LocalModel| {
        let all = parameters(model).into_iter();
        all.filter(|(path, _)| !path.contains(".running_")).collect::<Values>()
    };
    let before = read(&model);
    model.learn(batch);
    before != read(&model)
}

/// The two largest entries of every gradient against the slope of `loss`; what is wrong.
fn check(model: &LocalModel, gradients: &Values, what: &str, loss: impl Fn(&LocalModel) -> f64) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, gradient) in gradients {
        let mut entries: Vec<usize> = (0..gradient.len()).collect();
        entries.sort_by(|a, b| gradient[*b].abs().total_cmp(&gradient[*a].abs()));
        for entry in entries.into_iter().take(2) {
            let at = |step: f32| {
                loss(&edit(model.clone(), |p, values| {
                    if p == path {
                        values[entry] += step;
                    }
                }))
            };
            let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP as f64);
            let got = gradient[entry] as f64;
            // Not "further away": NaN is neither near nor far.
            let near = (got - slope).abs() <= TOLERANCE * slope.abs().max(5e-3);
            if !near {
                wrong.push(format!("{what}: {path}[{entry}] {got}, slope {slope}"));
            }
        }
    }
    wrong
}

#[test]
fn a_local_gradient_is_the_slope_of_the_blocks_own_loss() {
    let mut wrong = Vec::new();
    for case in all_cases().into_iter().filter(|case| case.spec().is_local()) {
        let batch = batch(24, 0, &case.device);
        if has_running_state(&case, &batch) {
            continue;
        }
        walk_with(&case.model(seed()), &batch, |model, index, pass| {
            // What enters the block is fixed, the teaching signal too: only the block and its own head move.
            let learn = |model: &LocalModel| {
                let (block, mut pass) = (&model.network.blocks()[index], copy(pass, model, index));
                let mut tape = Tape::new(());
                model.rule.learn_block(index, block, &mut pass, &mut tape);
                tape
            };
            let tape = learn(model);
            let gradients = of_block(&gradients(model, tape.gradients()), index);
            wrong.extend(check(model, &gradients, &case.to_string(), |model| total(learn(model).records())));
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_gradient_of_a_rule_that_is_not_local_is_the_slope_of_the_sum_of_losses() {
    let mut wrong = Vec::new();
    for case in all_cases().into_iter().filter(|case| !case.spec().is_local()) {
        let batch = batch(24, 0, &case.device);
        let model = case.model(seed());
        let learn = |model: &LocalModel| {
            let mut tape = Tape::new(());
            let _: Pass = model.rule.step(&model.network, &batch, model.context(&batch), &mut tape);
            tape
        };
        let gradients = gradients(&model, learn(&model).gradients());
        wrong.extend(check(&model, &gradients, &case.to_string(), |model| total(learn(model).records())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_signal_of_direct_feedback_is_taken_as_given() {
    let mut wrong = Vec::new();
    for case in on_all_devices("dfa", &json!({})) {
        let batch = batch(24, 0, &case.device);
        walk_with(&case.model(seed()), &batch, |model, index, pass| {
            // <h, sg(E B)>/B with the error E and the feedback B of the pass, written out.
            let feedback = parameters(model)[&format!("rule.feedback.{index}.feedback")].clone();
            let error = pass.error.clone().unwrap();
            let [rows, classes] = error.dims();
            let width = feedback.len() / classes;
            let feedback = Tensor::<1>::from_floats(feedback.as_slice(), &error.device()).reshape([classes, width]);
            let signal = error.matmul(feedback);
            let loss = |model: &LocalModel| {
                let h = model.network.blocks()[index].forward(pass.streams[0].clone()).features().without_autodiff();
                (h * signal.clone()).sum().into_scalar::<f64>() / rows as f64
            };
            let mut tape = Tape::new(());
            model.rule.learn_block(index, &model.network.blocks()[index], &mut copy(pass, model, index), &mut tape);
            let gradients = of_block(&gradients(model, tape.gradients()), index);
            wrong.extend(check(model, &gradients, &case.to_string(), loss));
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
