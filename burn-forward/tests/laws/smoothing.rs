//! Label smoothing: under every rule that takes it, every block's loss is the expected one when the label is replaced,
//! with the given probability, by one drawn uniformly from all classes.

use burn::tensor::{Int, Tensor};
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::tape::Tape;
use serde_json::json;

use super::toy::{CLASSES, Case, batch, cases, seed};
use super::values::{edit, numbers};

const SMOOTHING: f64 = 0.3;

/// A model whose heads have opinions, though some start from zeros; `None` where the rule takes no smoothing.
fn model(case: &Case, smoothing: f64) -> Option<LocalModel> {
    let mut model = edit(case.model(seed()), |path, values| {
        if path.starts_with("rule.") && !path.contains(".running_") {
            values.iter_mut().enumerate().for_each(|(i, v)| *v += 0.3 * (1.7 * (i * i) as f32).sin());
        }
    });
    model.rule.set_label_smoothing(smoothing).then_some(model)
}

/// Loss and class scores of every block.
fn step(model: &LocalModel, batch: &Batch) -> Vec<(f64, Vec<f32>)> {
    let mut tape = Tape::new(());
    model.rule.step(&model.network, batch, model.context(batch), &mut tape);
    let scores = |logits: Option<Tensor<2>>| logits.map(numbers).unwrap_or_default();
    tape.records().iter().map(|r| (r.score.loss.clone().into_scalar::<f64>(), scores(r.score.logits.clone()))).collect()
}

fn labelled(batch: &Batch, class: usize) -> Batch {
    let device = batch.targets.device();
    Batch { targets: Tensor::<1, Int>::full([batch.targets.dims()[0]], class as i32, &device), ..batch.clone() }
}

/// Softmax cross-entropy against labels of which `smoothing` is spread over all classes, written out.
fn cross_entropy(scores: &[f32], labels: &[usize], smoothing: f64) -> f64 {
    let row = |(scores, y): (&[f32], &usize)| {
        let sum = scores.iter().map(|s| f64::from(*s).exp()).sum::<f64>().ln();
        let target = |c: usize| f64::from(u8::from(c == *y)) * (1.0 - smoothing) + smoothing / CLASSES as f64;
        scores.iter().enumerate().map(|(c, s)| target(c) * (sum - f64::from(*s))).sum::<f64>()
    };
    scores.chunks(CLASSES).zip(labels).map(row).sum::<f64>() / labels.len() as f64
}

#[test]
fn every_head_that_takes_smoothing_minimises_the_expected_loss() {
    let mut failures = Vec::new();
    let mut tried = std::collections::BTreeSet::new();
    for case in cases() {
        let Some(smooth) = model(&case, SMOOTHING) else { continue };
        tried.insert(case.rule.clone());
        let batch = batch(24, 0, &case.device);
        let labels: Vec<usize> = numbers(batch.targets.clone().float()).iter().map(|y| *y as usize).collect();
        let sharp = |batch: &Batch| step(&model(&case, 0.0).unwrap(), batch);
        let (smoothed, own) = (step(&smooth, &batch), sharp(&batch));
        let of_class: Vec<_> = (0..CLASSES).map(|class| sharp(&labelled(&batch, class))).collect();
        for (block, ((got, scores), (own, _))) in smoothed.iter().zip(&own).enumerate() {
            let expected = if case.rule == "predsim" && case.settings["error"] != json!("pred") {
                // Similarities between rows have no label of one row, and those of smoothed labels are those of labels:
                // a centred row keeps its direction. The classifier's share is smoothed.
                let share = if case.settings["error"] == json!("sim") { 1.0 } else { 0.01 };
                let of = |smoothing| cross_entropy(scores, &labels, smoothing);
                own + share * (of(SMOOTHING) - of(0.0))
            } else {
                let all: f64 = of_class.iter().map(|blocks| blocks[block].0).sum();
                (1.0 - SMOOTHING) * own + SMOOTHING / CLASSES as f64 * all
            };
            let near = (got - expected).abs() < 2e-6 * expected.abs().max(1.0);
            if !near || (got - own).abs() < 1e-5 {
                failures.push(format!("{case}, block {block}: {got}, not {expected}; without smoothing {own}"));
            }
        }
    }
    for rule in ["mono-forward", "deep-supervision", "backprop"] {
        assert!(tried.contains(rule), "{rule} was not tried");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
