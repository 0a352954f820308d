//! Laws of feedback matrices: those of `dfa`, `drtp`, `pepita` and `feedback-alignment`, and of any other rule with
//! parameters of that name.

use burn::tensor::Tensor;
use burn_forward::activation::Activation;
use burn_forward::block::Block;
use burn_forward::model::LocalModel;
use burn_forward::tape::Tape;
use serde_json::json;

use super::finite_difference::wrong_slopes;
use crate::step_trace::{copy, first_step, trace_step_with};
use crate::values::{edit, gradients, of_block, parameters};
use crate::verdict::{Outcome, Verdict, Violation, concerns, ensure, nothing};
use crate::{Case, seed};

/// A block of `dfa` learns from `<h, sg(E B)>/B`, where the error `E` and the feedback `B` of the pass are constants.
pub fn the_signal_is_taken_as_given(case: &Case) -> Verdict {
    concerns!(case.rule() == "dfa" && case.settings() == &json!({}));
    let mut wrong = Vec::new();
    trace_step_with(&case.model(seed())?, &case.batch(0), |model, index, pass| {
        let missing = || Violation(format!("block {index} has no feedback, or the pass no error"));
        let feedback = parameters(model)?.remove(&format!("rule.feedback.{index}.feedback")).ok_or_else(missing)?;
        let error = pass.signals.rows("output error").cloned().ok_or_else(missing)?;
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
        let gradients = of_block(&gradients(model, tape.gradients())?, index);
        wrong.extend(wrong_slopes(case, model, &gradients, loss));
        Ok(())
    })?;
    nothing(wrong)
}

/// If all feedback matrices are zero, the hidden blocks learn nothing, while the output layer still learns.
pub fn zero_feedback_teaches_hidden_blocks_nothing(case: &Case) -> Verdict {
    let is_feedback = |path: &str| path.starts_with("rule.") && path.contains("feedback");
    concerns!(parameters(&case.model(seed())?)?.keys().any(|path| is_feedback(path)));
    let model = edit(case.model(seed())?, |path, values| {
        if is_feedback(path) {
            values.fill(0.0);
        }
    });
    let mut still_learns = false;
    for (path, gradient) in gradients(&model, &first_step(&model, &case.batch(0)).grads)? {
        let zero = gradient.iter().all(|g| *g == 0.0);
        ensure!(zero || !path.starts_with("network."), "the gradient of {path} is {gradient:?}");
        still_learns |= !zero;
    }
    ensure!(still_learns, "the output layer learns nothing either");
    Ok(Outcome::Tried)
}
