//! Training on toy data works, with the optimiser that a config would build.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::train::ItemLazy;
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::pieces::pair_loss::cross_entropy;
use burn_forward::tape::Tape;

use super::state::reloaded;
use crate::step_trace::first_step;
use crate::values::edit;
use crate::verdict::{Outcome, Verdict, Violation, ensure};
use crate::{Case, seed};

/// The batch's mean block loss. If blocks have neither a readout nor a goodness, their loss is an inner product without
/// meaning of its own; then it is the cross-entropy of the output, which has to fall instead.
fn loss(case: &Case, model: &LocalModel, batch: &Batch) -> Result<f64, Violation> {
    // Copy the model through its record: a clone would share running statistics.
    let model = reloaded(case.model(seed())?, model)?;
    let mut tape = Tape::new(());
    model.rule.step(&model.network, batch, model.context(batch), &mut tape);
    let records = tape.records();
    if records.iter().all(|r| r.score.logits.is_none() && r.score.goodness_positive.is_none()) {
        let scores = model.scores(batch.inputs.clone());
        return Ok(cross_entropy(scores.primary(), batch.targets.clone()).into_scalar::<f64>());
    }
    Ok(records.iter().map(|r| r.score.loss.clone().into_scalar::<f64>()).sum::<f64>() / records.len() as f64)
}

fn accuracy(scores: Tensor<2>, batch: &Batch) -> f64 {
    let [rows, _] = scores.dims();
    scores.argmax(1).reshape([rows]).equal(batch.targets.clone()).float().mean().into_scalar::<f64>()
}

/// After a few dozen steps of Adam, the loss on held-out samples is at least a tenth lower, and at least 6 in 10 samples are
/// classified correctly.
pub fn the_loss_falls_and_the_accuracy_rises(case: &Case) -> Verdict {
    let (steps, rows) = case.learning_steps();
    let unseen = case.data().unseen(200, case.device());
    let model = case.model(seed())?;
    let before = loss(case, &model, &unseen)?;
    let model = case.train(model, (0..steps as u64).map(|step| case.batch_of(rows, step)), |_| Ok(()))?;
    let after = loss(case, &model, &unseen)?;
    let inputs: AnyActivation = unseen.inputs.clone().without_autodiff();
    let plain = Batch { targets: unseen.targets.clone().without_autodiff(), ..unseen };
    let accuracy = accuracy(model.valid().scores(inputs).primary(), &plain);
    // Not "too high": a NaN loss is neither too high nor low enough.
    let learned = after <= 0.9 * before && accuracy >= 0.6;
    ensure!(learned, "loss {before:.3} before, {after:.3} after {steps} steps, accuracy {accuracy:.3}");
    Ok(Outcome::Tried)
}

/// Weights that are not finite make a loss that is not finite, and nothing fails before that, so a run can detect divergence.
pub fn what_is_no_number_shows_in_a_loss_and_stops_nothing_before(case: &Case) -> Verdict {
    for broken in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let model = edit(case.model(seed())?, |path, values| {
            if path.starts_with("network.blocks.0.") {
                values.fill(broken);
            }
        });
        let output = first_step(&model, &case.batch_of(16, 0));
        let item = output.item.sync().map_err(|e| Violation(format!("with weights of {broken}: {e:?}")))?;
        let losses: Vec<f64> = item.metrics().blocks.iter().filter_map(|(_, numbers)| numbers.loss).collect();
        // With infinite weights, tanh correctly gives finite activities.
        let shows = losses.iter().any(|loss| !loss.is_finite());
        ensure!(shows || broken.is_infinite(), "with weights of {broken}: losses {losses:?}");
    }
    Ok(Outcome::Tried)
}
