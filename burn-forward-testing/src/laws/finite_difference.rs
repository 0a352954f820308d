//! The gradients on the tape are those of the loss on the tape, checked with central differences.
//!
//! A rule may compute its gradients by hand, or detach what it treats as constant. These laws check that it minimises what it
//! claims to.

use burn_forward::model::LocalModel;
use burn_forward::rules::Pass;
use burn_forward::tape::{BlockRecord, Tape};

use crate::step_trace::{copy, first_step, trace_step_with};
use crate::values::{Values, edit, gradients, of_block, parameters};
use crate::verdict::{Verdict, Violation, concerns, nothing};
use crate::{Case, seed};

const TOLERANCE: f64 = 2e-2;

fn total(records: &[BlockRecord]) -> f64 {
    records.iter().map(|r| r.score.loss.clone().into_scalar::<f64>()).sum()
}

/// Whether a step changes something that has no gradient but affects a loss. The running statistics of batch normalisation do
/// not count, since only inference uses them.
fn has_running_state(case: &Case) -> Result<bool, Violation> {
    let model = case.model(seed())?;
    let read = |model: &LocalModel| -> Result<Values, Violation> {
        Ok(parameters(model)?.into_iter().filter(|(path, _)| !path.contains(".running_")).collect())
    };
    let before = read(&model)?;
    first_step(&model, &case.batch(0));
    Ok(before != read(&model)?)
}

/// Compares the two largest entries of every gradient with the slope of `loss`, and returns the mismatches. On a network with
/// kinks, an entry whose left and right slopes differ is skipped in favour of the next.
pub fn wrong_slopes(
    case: &Case,
    model: &LocalModel,
    gradients: &Values,
    loss: impl Fn(&LocalModel) -> f64,
) -> Vec<String> {
    let (step, smooth) = (case.difference(), case.network().is_smooth());
    let mut wrong = Vec::new();
    for (path, gradient) in gradients {
        let mut entries: Vec<usize> = (0..gradient.len()).collect();
        entries.sort_by(|a, b| gradient[*b].abs().total_cmp(&gradient[*a].abs()));
        let mut compared = 0;
        for entry in entries.into_iter().take(if smooth { 2 } else { 5 }) {
            let at = |step: f32| {
                loss(&edit(model.clone(), |p, values| {
                    if p == path {
                        values[entry] += step;
                    }
                }))
            };
            let (below, above) = (at(-step), at(step));
            let slope = (above - below) / (2.0 * step as f64);
            if !smooth {
                let here = at(0.0);
                let bend = ((here - below) - (above - here)) / step as f64;
                if bend.abs() > TOLERANCE * slope.abs().max(5e-3) {
                    continue;
                }
            }
            let got = gradient[entry] as f64;
            // Not "further away": NaN is neither near nor far.
            let near = (got - slope).abs() <= TOLERANCE * slope.abs().max(5e-3);
            if !near {
                wrong.push(format!("{path}[{entry}] is {got}, slope {slope}"));
            }
            compared += 1;
            if compared == 2 {
                break;
            }
        }
    }
    wrong
}

/// The gradient that a block of a local rule puts on the tape is the slope of its own loss, with everything that enters the
/// block, including the teaching signal, held constant. The law does not concern rules with a state that a loss uses (a
/// running mean).
pub fn a_local_gradient_is_the_slope_of_the_blocks_own_loss(case: &Case) -> Verdict {
    concerns!(case.is_local()? && !has_running_state(case)?);
    let mut wrong = Vec::new();
    trace_step_with(&case.model(seed())?, &case.batch(0), |model, index, pass| {
        let learn = |model: &LocalModel| {
            let (block, mut pass) = (&model.network.blocks()[index], copy(pass, model, index));
            let mut tape = Tape::new(());
            model.rule.learn_block(index, block, &mut pass, &mut tape);
            tape
        };
        let gradients = of_block(&gradients(model, learn(model).gradients())?, index);
        wrong.extend(wrong_slopes(case, model, &gradients, |model| total(learn(model).records())));
        Ok(())
    })?;
    nothing(wrong)
}

/// The gradient that a rule that is not local puts on the tape is the slope of the sum of its losses.
pub fn a_gradient_of_a_rule_that_is_not_local_is_the_slope_of_the_sum_of_losses(case: &Case) -> Verdict {
    concerns!(!case.is_local()?);
    let (batch, model) = (case.batch(0), case.model(seed())?);
    let learn = |model: &LocalModel| {
        let mut tape = Tape::new(());
        let _: Pass = model.rule.step(&model.network, &batch, model.context(&batch), &mut tape);
        tape
    };
    let gradients = gradients(&model, learn(&model).gradients())?;
    nothing(wrong_slopes(case, &model, &gradients, |model| total(learn(model).records())))
}
