//! Evaluation of a trained network on one part of a data set.

use std::cmp::Ordering;

use burn::data::dataloader::DataLoader;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::ranking::{average_precision, roc_auc};
use super::sparsity::hoyer;
use burn_forward::activation::Activation;
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::pieces::pair_loss::cross_entropy;
use burn_forward::rules::{BlockRange, Scores};
use burn_forward::{Error, Result};

/// Results of a network on one part of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// `test` or `validation`.
    pub split: String,
    /// Accuracy of the readout in force, a fraction.
    pub accuracy: f64,
    /// Number of correct predictions.
    pub correct: usize,
    /// Number of samples.
    pub samples: usize,
    /// Mean cross-entropy of the readout in force.
    pub loss: f64,
    /// Area under the ROC curve of the readout in force, for two classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roc_auc: Option<f64>,
    /// Average precision of the readout in force for the second of two classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
    /// Accuracy of every readout, by name.
    pub readouts: Vec<(String, f64)>,
    /// The blocks that the readout in force uses, if they were chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readout_blocks: Option<BlockRange>,
    /// Counts by true class (row) and predicted class (column).
    pub confusion: Vec<Vec<usize>>,
    /// Results of every block.
    pub blocks: Vec<BlockEvaluation>,
    /// The predicted class of every sample, in order; not written to the file.
    #[serde(skip)]
    pub predictions: Vec<usize>,
}

/// Results of a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockEvaluation {
    /// Index of the block, from 0.
    pub index: usize,
    /// Accuracy of the block's own readout.
    pub accuracy: Option<f64>,
    /// Fraction of units that are zero on every sample.
    pub dead_units: f64,
    /// Mean Hoyer sparsity over correctly classified samples.
    pub hoyer: Option<f64>,
    /// Distribution of goodness.
    pub goodness: Option<GoodnessHistogram>,
}

/// Histograms of the goodness (or class score) of correct and wrong labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoodnessHistogram {
    /// Edges of the bins.
    pub edges: Vec<f64>,
    /// Number of samples per bin for the correct label.
    pub positive: Vec<usize>,
    /// Number of samples per bin for the wrong labels, averaged over these labels.
    pub negative: Vec<usize>,
    /// Mean for the correct label.
    pub mean_positive: f64,
    /// Mean for the wrong labels.
    pub mean_negative: f64,
    /// `(mean+ - mean-) / sqrt((var+ + var-)/2)`.
    pub d_prime: f64,
}

/// Number of bins in a histogram.
const BINS: usize = 40;

/// Sums over batches for one block.
#[derive(Default)]
struct BlockSums {
    correct: usize,
    scored: bool,
    /// Largest magnitude of every unit so far, `[d]`.
    largest: Option<Tensor<1>>,
    hoyer: f64,
    hoyer_rows: usize,
    positive: Vec<f64>,
    negative: Vec<f64>,
}

impl BlockSums {
    /// Adds the predictions of the block's own readout, with `scores` `[B, C]`.
    fn add_scores(&mut self, scores: &Tensor<2>, classes: &Classes) {
        self.scored = true;
        self.correct += classes.hits(&predicted(scores));
        let (own, others) = burn_forward::tape::true_and_wrong_scores(scores, &classes.tensor);
        self.positive.extend(host(own));
        self.negative.extend(host(others));
    }

    /// Adds the activities `[B, d]` of samples; `right` are the indices of the rows that the network predicts
    /// correctly, if any.
    fn add_activities(&mut self, h: Tensor<2>, right: Option<&Tensor<1, Int>>) {
        let [_, d] = h.dims();
        let largest = h.clone().abs().max_dim(0).reshape([d]);
        self.largest = Some(match self.largest.take() {
            Some(before) => before.max_pair(largest),
            None => largest,
        });
        if let Some(right) = right
            && d > 1
        {
            for value in host(hoyer(h.select(0, right.clone()))).into_iter().filter(|v| v.is_finite()) {
                self.hoyer += value;
                self.hoyer_rows += 1;
            }
        }
    }

    /// The results of block `index` after `samples` samples.
    fn evaluated(self, index: usize, samples: usize) -> BlockEvaluation {
        BlockEvaluation {
            index,
            accuracy: self.scored.then(|| self.correct as f64 / samples as f64),
            dead_units: self.largest.map_or(0.0, |l| l.equal_elem(0.0).float().mean().into_scalar::<f64>()),
            hoyer: (self.hoyer_rows > 0).then(|| self.hoyer / self.hoyer_rows as f64),
            goodness: self.scored.then(|| histogram(&self.positive, &self.negative)),
        }
    }
}

/// Sums over batches for the network's readouts.
#[derive(Default)]
struct NetworkSums {
    samples: usize,
    correct: usize,
    loss: f64,
    readouts: Vec<(String, usize)>,
    confusion: Vec<Vec<usize>>,
    /// For two classes: the margin of the second class's score, and whether it is the true class.
    ranked: Vec<(f64, bool)>,
    predictions: Vec<usize>,
}

impl NetworkSums {
    /// Adds samples with the given `classes`; `logits` `[B, C]` are the scores of the readout in force.
    fn add(&mut self, scores: &Scores, logits: Tensor<2>, prediction: &[usize], classes: &Classes, count: usize) {
        let targets = &classes.indices;
        self.confusion.resize(self.confusion.len().max(count), Vec::new());
        for row in &mut self.confusion {
            row.resize(count, 0);
        }
        for (t, p) in targets.iter().zip(prediction) {
            self.confusion[*t][*p] += 1;
        }
        if count == 2 {
            let values: Vec<f64> = logits.to_data().iter::<f64>().collect();
            self.ranked.extend(values.chunks_exact(2).zip(targets).map(|(v, t)| (v[1] - v[0], *t == 1)));
        }
        self.samples += targets.len();
        self.correct += classes.hits(prediction);
        self.loss += cross_entropy(logits, classes.tensor.clone()).into_scalar::<f64>() * targets.len() as f64;
        for (i, (name, scores)) in scores.readouts.iter().enumerate() {
            if self.readouts.len() <= i {
                self.readouts.push(((*name).to_string(), 0));
            }
            self.readouts[i].1 += classes.hits(&predicted(scores));
        }
        self.predictions.extend(prediction);
    }

    /// # Errors
    /// [`Error::Argument`] if there were no samples, [`Error::Burn`] if the loss is not finite.
    fn check(&self, split: &str) -> Result<()> {
        if self.samples == 0 {
            return Err(Error::argument("evaluate", format!("number of {split} samples"), 0, ">= 1"));
        }
        if !self.loss.is_finite() {
            let loss = self.loss;
            let message = format!("the loss on the {split} samples is {loss}: the network's scores are not finite");
            return Err(Error::burn("evaluation", message));
        }
        Ok(())
    }
}

/// The classes of a batch's samples, on the device and on the host.
struct Classes {
    tensor: Tensor<1, Int>,
    indices: Vec<usize>,
}

impl Classes {
    fn of(batch: &Batch) -> Self {
        let indices = batch.targets.to_data().iter::<i64>().map(|c| c as usize).collect();
        Self { tensor: batch.targets.clone(), indices }
    }

    /// Number of correct predictions.
    fn hits(&self, predicted: &[usize]) -> usize {
        predicted.iter().zip(&self.indices).filter(|(p, t)| p == t).count()
    }

    /// Indices of the samples that are predicted correctly, if any.
    fn right_rows(&self, predicted: &[usize]) -> Option<Tensor<1, Int>> {
        let pairs = predicted.iter().zip(&self.indices).enumerate();
        let rows: Vec<i64> = pairs.filter(|(_, (p, t))| p == t).map(|(i, _)| i as i64).collect();
        (!rows.is_empty()).then(|| Tensor::from_ints(rows.as_slice(), &self.tensor.device()))
    }
}

fn host(t: Tensor<1>) -> Vec<f64> {
    t.into_data().iter::<f64>().collect()
}

fn predicted(logits: &Tensor<2>) -> Vec<usize> {
    let [rows, _] = logits.dims();
    logits.clone().argmax(1).reshape([rows]).into_data().iter::<i64>().map(|c| c as usize).collect()
}

/// Evaluates `model` (an [inference copy](burn::module::Module::valid)) on all batches of `loader`.
///
/// # Errors
/// [`Error::Burn`] if the loader fails or the loss is not finite, [`Error::Argument`] if the loader is empty.
pub fn evaluate(model: &LocalModel, loader: &dyn DataLoader<Batch>, split: &str) -> Result<Evaluation> {
    let mut blocks: Vec<BlockSums> = (0..model.network.len()).map(|_| BlockSums::default()).collect();
    let mut network = NetworkSums::default();
    for batch in loader.iter() {
        let batch = batch.map_err(|e| Error::burn("loading a batch", e))?;
        let classes = Classes::of(&batch);
        // Run frozen layers once for scores and activities alike, since they may be most of the work.
        let entered = model.forward_frozen_batch(&batch);
        let scores = model.rule.scores(&model.network, entered.inputs.clone());
        let logits = scores.primary();
        let prediction = predicted(&logits);
        network.add(&scores, logits, &prediction, &classes, batch.classes);

        let activities = model.rule.activities(&model.network, &entered);
        let right = classes.right_rows(&prediction);
        for ((sums, scores), h) in blocks.iter_mut().zip(&scores.blocks).zip(activities) {
            if let Some(scores) = scores {
                sums.add_scores(scores, &classes);
            }
            sums.add_activities(h.labelled(), right.as_ref());
        }
    }
    network.check(split)?;
    let NetworkSums { samples, correct, loss, readouts, confusion, ranked, predictions } = network;
    let fraction = |n: usize| n as f64 / samples as f64;
    Ok(Evaluation {
        split: split.into(),
        accuracy: fraction(correct),
        correct,
        samples,
        loss: loss / samples as f64,
        roc_auc: roc_auc(&ranked),
        average_precision: (!ranked.is_empty()).then(|| average_precision(&ranked)).flatten(),
        readouts: readouts.into_iter().map(|(name, n)| (name, fraction(n))).collect(),
        readout_blocks: model.rule.readout_blocks(),
        confusion,
        blocks: blocks.into_iter().enumerate().map(|(index, sums)| sums.evaluated(index, samples)).collect(),
        predictions,
    })
}

fn histogram(positive: &[f64], negative: &[f64]) -> GoodnessHistogram {
    let all = || positive.iter().chain(negative).copied().filter(|v| v.is_finite());
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let (low, high) = match low.partial_cmp(&high) {
        Some(Ordering::Less) => (low, high),
        Some(Ordering::Equal) => (low.min(0.0), low.max(0.0) + 1.0),
        // None of them is finite.
        _ => (0.0, 1.0),
    };
    let count = |values: &[f64]| {
        let mut bins = vec![0; BINS];
        for v in values.iter().filter(|v| v.is_finite()) {
            let bin = ((v - low) / (high - low) * BINS as f64) as usize;
            bins[bin.min(BINS - 1)] += 1;
        }
        bins
    };
    let moments = |values: &[f64]| {
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n)
    };
    let ((mean_positive, var_positive), (mean_negative, var_negative)) = (moments(positive), moments(negative));
    let spread = ((var_positive + var_negative) / 2.0).sqrt();
    GoodnessHistogram {
        edges: (0..=BINS).map(|i| low + (high - low) * i as f64 / BINS as f64).collect(),
        positive: count(positive),
        negative: count(negative),
        mean_positive,
        mean_negative,
        // Not `spread > 0.0`: for values that are not finite the difference must not appear as 0.
        d_prime: if spread == 0.0 { 0.0 } else { (mean_positive - mean_negative) / spread },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_counts_everything_once() {
        let h = histogram(&[0.0, 1.0, 2.0], &[-1.0, 0.5]);
        assert_eq!((h.positive.iter().sum::<usize>(), h.negative.iter().sum::<usize>()), (3, 2));
        assert_eq!((h.edges[0], h.edges[BINS]), (-1.0, 2.0));
        // means 1 and -0.25, variances 2/3 and 9/16
        let expected = 1.25 / ((2.0 / 3.0 + 9.0 / 16.0) / 2.0f64).sqrt();
        assert!((h.d_prime - expected).abs() < 1e-12);
        assert_eq!(histogram(&[1.0], &[1.0]).positive.iter().sum::<usize>(), 1);
    }

    #[test]
    fn numbers_that_are_none_are_in_no_bin_and_hide_no_difference() {
        for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let h = histogram(&[0.0, broken], &[1.0, 3.0]);
            assert_eq!((h.positive.iter().sum::<usize>(), h.negative.iter().sum::<usize>()), (1, 2));
            assert_eq!((h.edges[0], h.edges[BINS]), (0.0, 3.0));
            assert!(!h.mean_positive.is_finite() && h.d_prime.is_nan());
            let h = histogram(&[broken], &[broken]);
            assert_eq!((h.positive.iter().sum::<usize>(), h.edges[0], h.edges[BINS]), (0, 0.0, 1.0));
        }
    }
}
