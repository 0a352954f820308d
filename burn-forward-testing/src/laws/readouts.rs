//! The name of a readout has the same meaning under every rule.

use burn_forward::rules::Scores;

use crate::values::numbers;
use crate::verdict::{Verdict, ensure, nothing};
use crate::{Case, seed};

/// A readout with a known name ("last", "sum", "mean", "mean-probability", "weighted") combines the blocks' scores as its
/// name says. Every readout gives one finite score per row and class.
pub fn readouts_of_one_name_are_made_of_blocks_in_one_way(case: &Case) -> Verdict {
    let batch = case.batch(0);
    let rows = batch.targets.dims()[0];
    let scores = case.model(seed())?.scores(batch.inputs);
    for (name, readout) in &scores.readouts {
        let (shape, needed) = (readout.dims(), [rows, case.classes()]);
        ensure!(shape == needed, "readout \"{name}\" has shape {shape:?}, not {needed:?}");
    }
    nothing(wrong_readouts(&scores))
}

fn softmax(scores: &[f64], classes: usize) -> Vec<f64> {
    let row = |row: &[f64]| {
        let largest = row.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = row.iter().map(|s| (s - largest).exp()).sum();
        row.iter().map(|s| (s - largest).exp() / sum).collect::<Vec<_>>()
    };
    scores.chunks(classes).flat_map(row).collect()
}

fn weighted_sum(all: &[Vec<f64>], weight: impl Fn(usize) -> f64) -> Vec<f64> {
    (0..all[0].len()).map(|i| all.iter().enumerate().map(|(l, b)| weight(l) * b[i]).sum()).collect()
}

/// The mismatches of readouts whose names tell how they combine the blocks' scores.
pub fn wrong_readouts(scores: &Scores) -> Vec<String> {
    let Some(blocks) = scores.blocks.iter().cloned().collect::<Option<Vec<_>>>() else { return Vec::new() };
    let doubles = |tensor| numbers::<2>(tensor).into_iter().map(f64::from).collect::<Vec<_>>();
    let classes = scores.primary().dims()[1];
    let softmax = |scores: &[f64]| softmax(scores, classes);
    let blocks: Vec<Vec<f64>> = blocks.into_iter().map(doubles).collect();
    let probabilities: Vec<Vec<f64>> = blocks.iter().map(|b| softmax(b)).collect();
    let n = blocks.len() as f64;
    let votes = n * (n + 1.0) / 2.0;
    let mut wrong = Vec::new();
    for (name, got) in &scores.readouts {
        let got = doubles(got.clone());
        let (got, expected) = match *name {
            "last" => (got, blocks[blocks.len() - 1].clone()),
            "sum" => (got, weighted_sum(&blocks, |_| 1.0)),
            "mean" => (got, weighted_sum(&blocks, |_| 1.0 / n)),
            "mean-probability" => (softmax(&got), weighted_sum(&probabilities, |_| 1.0 / n)),
            "weighted" => (softmax(&got), weighted_sum(&probabilities, |l| (l + 1) as f64 / votes)),
            _ => continue,
        };
        // Not "far": NaN is neither near nor far.
        let near = |(a, b): &(&f64, &f64)| (*a - *b).abs() <= 1e-4 * b.abs().max(1.0);
        let far = got.iter().zip(&expected).find(|pair| !near(pair));
        wrong.extend(far.map(|(got, expected)| format!("readout \"{name}\" is {got}, not {expected}")));
    }
    wrong
}
