//! Label smoothing under `predsim`. Similarities between rows do not depend on the label of a single row, and smoothing does
//! not change the similarities of labels, because a centred row keeps its direction. Only the classifier's part of the loss is
//! smoothed.

use burn_forward_testing::laws::smoothing::{SMOOTHING, losses_and_scores, smoothed, wrong_loss};
use burn_forward_testing::values::numbers;
use serde_json::json;

use super::toy::{CLASSES, batch, cases};

/// Softmax cross-entropy against labels of which the share `smoothing` is distributed over all classes, computed directly.
fn cross_entropy(scores: &[f32], labels: &[usize], smoothing: f64) -> f64 {
    let row = |(scores, y): (&[f32], &usize)| {
        let sum = scores.iter().map(|s| f64::from(*s).exp()).sum::<f64>().ln();
        let target = |c: usize| f64::from(u8::from(c == *y)) * (1.0 - smoothing) + smoothing / CLASSES as f64;
        scores.iter().enumerate().map(|(c, s)| target(c) * (sum - f64::from(*s))).sum::<f64>()
    };
    scores.chunks(CLASSES).zip(labels).map(row).sum::<f64>() / labels.len() as f64
}

#[test]
fn the_classifier_of_predsim_minimises_the_expected_loss() {
    let (mut failures, mut tried) = (Vec::new(), 0);
    for case in cases().into_iter().filter(|case| case.rule() == "predsim" && case.settings()["error"] != json!("pred"))
    {
        let batch = batch(24, 0, case.device());
        let labels: Vec<usize> = numbers(batch.targets.clone().float()).iter().map(|y| *y as usize).collect();
        let step = |smoothing| losses_and_scores(&smoothed(&case, smoothing).unwrap().unwrap(), &batch);
        let share = if case.settings()["error"] == json!("sim") { 1.0 } else { 0.01 };
        for (block, ((got, scores), (own, _))) in step(SMOOTHING).iter().zip(&step(0.0)).enumerate() {
            let of = |smoothing| cross_entropy(scores, &labels, smoothing);
            let expected = own + share * (of(SMOOTHING) - of(0.0));
            failures.extend(wrong_loss(block, *got, expected, *own).map(|wrong| format!("{case}: {wrong}")));
            tried += 1;
        }
    }
    assert!(failures.is_empty() && tried > 6, "{tried} tried:\n{}", failures.join("\n"));
}
