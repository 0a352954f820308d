//! Exact measurements of the steps of an incomplete epoch. They are needed because the rows of an epoch are means over
//! all of its steps.

use burn_forward::data::BatchKey;
use burn_forward::model::{BlockMetrics, StepMetrics};
use serde::{Deserialize, Serialize};

/// One step. Floats are stored as bits, since not every parser of decimal numbers restores the last one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredStep {
    rows: usize,
    /// Epoch, index and step of the batch.
    key: [u64; 3],
    blocks: Vec<StoredBlock>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredBlock {
    block: Option<usize>,
    correct: Option<usize>,
    /// Loss, and goodness of positive and negative samples.
    means: [Option<u64>; 3],
}

impl From<&StepMetrics> for StoredStep {
    fn from(metrics: &StepMetrics) -> Self {
        let block = |(block, numbers): &(Option<usize>, BlockMetrics)| StoredBlock {
            block: *block,
            correct: numbers.correct,
            means: [numbers.loss, numbers.positive, numbers.negative].map(|mean| mean.map(f64::to_bits)),
        };
        let BatchKey { epoch, index, step } = metrics.key;
        Self { rows: metrics.rows, key: [epoch, index, step], blocks: metrics.blocks.iter().map(block).collect() }
    }
}

impl From<StoredStep> for StepMetrics {
    fn from(stored: StoredStep) -> Self {
        let block = |StoredBlock { block, correct, means }: StoredBlock| {
            let [loss, positive, negative] = means.map(|mean| mean.map(f64::from_bits));
            (block, BlockMetrics { loss, correct, positive, negative })
        };
        let [epoch, index, step] = stored.key;
        Self {
            rows: stored.rows,
            key: BatchKey { epoch, index, step },
            blocks: stored.blocks.into_iter().map(block).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_read_back_to_the_last_bit() {
        let numbers = |loss| BlockMetrics { loss: Some(loss), correct: Some(3), positive: None, negative: Some(-0.0) };
        let metrics = StepMetrics {
            rows: 7,
            key: BatchKey { epoch: 2, index: 5, step: 25 },
            blocks: vec![(None, numbers(0.1 + 0.2)), (Some(1), numbers(f64::MIN_POSITIVE))],
        };
        let text = serde_json::to_string(&StoredStep::from(&metrics)).unwrap();
        let read = StepMetrics::from(serde_json::from_str::<StoredStep>(&text).unwrap());
        assert_eq!((read.rows, read.key, &read.blocks), (7, metrics.key, &metrics.blocks));
        assert!(read.blocks[0].1.negative.is_some_and(|zero| zero.is_sign_negative()));
    }
}
