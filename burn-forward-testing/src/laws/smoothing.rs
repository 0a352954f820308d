//! Label smoothing: every block's loss is its expected value when the label is replaced, with the given probability, by one
//! drawn uniformly from all classes.

use burn::tensor::{Int, Tensor};
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::tape::Tape;

use crate::values::{numbers, with_perturbed_rule};
use crate::verdict::{Outcome, Verdict, Violation, nothing};
use crate::{Case, seed};

/// The amount of smoothing that is tested.
pub const SMOOTHING: f64 = 0.3;

/// A model with label smoothing and perturbed heads; `None` if the rule does not support smoothing.
///
/// # Errors
/// If the rule cannot train the network.
pub fn smoothed(case: &Case, smoothing: f64) -> Result<Option<LocalModel>, Violation> {
    let mut model = with_perturbed_rule(case.model(seed())?);
    Ok(model.rule.set_label_smoothing(smoothing).then_some(model))
}

/// Loss and class scores of every block in a step.
pub fn losses_and_scores(model: &LocalModel, batch: &Batch) -> Vec<(f64, Vec<f32>)> {
    let mut tape = Tape::new(());
    model.rule.step(&model.network, batch, model.context(batch), &mut tape);
    let scores = |logits: Option<Tensor<2>>| logits.map(numbers).unwrap_or_default();
    tape.records().iter().map(|r| (r.score.loss.clone().into_scalar::<f64>(), scores(r.score.logits.clone()))).collect()
}

fn labelled(batch: &Batch, class: usize) -> Batch {
    let device = batch.targets.device();
    Batch { targets: Tensor::<1, Int>::full([batch.targets.dims()[0]], class as i32, &device), ..batch.clone() }
}

/// The mismatch of a block's smoothed loss `got`, which must equal `expected` and differ from the loss `without` smoothing.
pub fn wrong_loss(block: usize, got: f64, expected: f64, without: f64) -> Option<String> {
    let near = (got - expected).abs() < 2e-6 * expected.abs().max(1.0);
    let wrong = !near || (got - without).abs() < 1e-5;
    wrong.then(|| format!("block {block}: {got}, not {expected}; without smoothing {without}"))
}

/// Under a rule with label smoothing, every block with a head minimises the expected loss, which averages its losses over
/// every class as the label.
pub fn every_head_that_takes_smoothing_minimises_the_expected_loss(case: &Case) -> Verdict {
    let Some(smooth) = smoothed(case, SMOOTHING)? else { return Ok(Outcome::NotConcerned) };
    let batch = case.batch(0);
    let sharp = |batch: &Batch| -> Result<_, Violation> {
        Ok(smoothed(case, 0.0)?.map(|model| losses_and_scores(&model, batch)).unwrap_or_default())
    };
    let (got, own) = (losses_and_scores(&smooth, &batch), sharp(&batch)?);
    let classes = case.classes();
    let of_class = (0..classes).map(|class| sharp(&labelled(&batch, class))).collect::<Result<Vec<_>, _>>()?;
    let of_block = got.iter().zip(&own).enumerate().filter_map(|(block, ((got, _), (own, _)))| {
        let all: f64 = of_class.iter().map(|blocks| blocks[block].0).sum();
        wrong_loss(block, *got, (1.0 - SMOOTHING) * own + SMOOTHING / classes as f64 * all, *own)
    });
    nothing(of_block.collect())
}
