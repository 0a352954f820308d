//! Burn-train metrics per block: loss, accuracy of the block's own readout, and mean goodness.

use std::sync::{Arc, Mutex};

use burn::tensor::TensorReadError;
use burn::train::Interrupter;
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry, SerializedEntry,
};

use burn_forward::model::{BlockMetrics, StepMetrics};

/// What a [`BlockMetric`] measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Mean loss.
    Loss,
    /// Accuracy, a fraction.
    Accuracy,
    /// Mean goodness of positive samples.
    Positive,
    /// Mean goodness of negative samples.
    Negative,
}

impl Quantity {
    /// All quantities.
    pub const ALL: [Self; 4] = [Self::Loss, Self::Accuracy, Self::Positive, Self::Negative];

    /// Key in `metrics.jsonl`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::Positive => "goodness_positive",
            Self::Negative => "goodness_negative",
        }
    }

    /// Sum of the quantity over the rows of a step.
    fn sum(self, numbers: &BlockMetrics, rows: usize) -> Option<f64> {
        let times_rows = |mean: Option<f64>| mean.map(|mean| mean * rows as f64);
        match self {
            Self::Loss => times_rows(numbers.loss),
            Self::Accuracy => numbers.correct.map(|count| count as f64),
            Self::Positive => times_rows(numbers.positive),
            Self::Negative => times_rows(numbers.negative),
        }
    }
}

/// A sum over rows and the number of rows. The quotient is exact where the sum is a count, so equal accuracies are
/// equal numbers, however the rows were distributed over batches.
#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    rows: usize,
}

impl Mean {
    fn value(self) -> f64 {
        self.sum / self.rows as f64
    }

    fn entry(self) -> NumericEntry {
        NumericEntry::Aggregated { aggregated_value: self.value(), count: self.rows }
    }
}

/// One quantity of one block (or of the whole network), averaged over an epoch.
#[derive(Clone)]
pub struct BlockMetric {
    block: Option<usize>,
    quantity: Quantity,
    name: MetricName,
    step: Mean,
    epoch: Mean,
    guard: Option<NonFiniteGuard>,
    log: Option<StepLog>,
}

/// Where a loss stopped being finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NonFinite {
    /// Index of the block, from 0.
    pub block: usize,
    /// The value: NaN or an infinity.
    pub value: f64,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step within the epoch, from 1.
    pub step: usize,
}

/// Stops a run once a training or validation loss is not finite. The update after the last training loss may be the one
/// that spoiled the weights, so they must not overwrite good ones.
#[derive(Clone)]
pub struct NonFiniteGuard {
    interrupter: Interrupter,
    state: Arc<Mutex<GuardState>>,
}

#[derive(Default)]
struct GuardState {
    found: Option<NonFinite>,
    /// Epoch and step of the last training step seen.
    last: (usize, usize),
}

impl NonFiniteGuard {
    /// A guard that stops the run through `interrupter`.
    pub fn new(interrupter: Interrupter) -> Self {
        Self { interrupter, state: Arc::default() }
    }

    /// The first loss that was not finite.
    pub fn found(&self) -> Option<NonFinite> {
        self.state.lock().ok().and_then(|state| state.found)
    }

    fn see(&self, block: Option<usize>, value: f64, epoch: usize, step: usize) {
        let Ok(mut state) = self.state.lock() else { return };
        // Validation batches carry no epoch; the preceding training step is the one to report.
        if epoch > 0 {
            state.last = (epoch, step);
        }
        if !value.is_finite() {
            let (epoch, step) = state.last;
            state.found.get_or_insert(NonFinite { block: block.unwrap_or(0), value, epoch, step });
            self.interrupter.stop(Some("the loss is no longer a finite number"));
        }
    }
}

/// Measurements of the training steps of the current epoch, in order. Clones share the log, because the events of a
/// step are processed on another thread.
#[derive(Debug, Clone, Default)]
pub struct StepLog(Arc<Mutex<Vec<StepMetrics>>>);

impl StepLog {
    /// Adds a step.
    fn push(&self, step: &StepMetrics) {
        if let Ok(mut steps) = self.0.lock() {
            steps.push(step.clone());
        }
    }

    pub(crate) fn clear(&self) {
        if let Ok(mut steps) = self.0.lock() {
            steps.clear();
        }
    }

    pub(crate) fn get(&self) -> Vec<StepMetrics> {
        self.0.lock().map(|steps| steps.clone()).unwrap_or_default()
    }
}

impl BlockMetric {
    /// The metric of one `block`, or of the whole network for `None`.
    pub fn new(block: Option<usize>, quantity: Quantity) -> Self {
        let name = Arc::new(metric_name(block, quantity));
        Self { block, quantity, name, step: Mean::default(), epoch: Mean::default(), guard: None, log: None }
    }

    /// Stops the run if this quantity becomes NaN or infinite.
    pub fn guarded(mut self, guard: NonFiniteGuard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Records the measurements of every step in `log`.
    pub fn logged(mut self, log: StepLog) -> Self {
        self.log = Some(log);
        self
    }

    fn shown(&self, entry: &NumericEntry) -> SerializedEntry {
        let formatted = format!("epoch {:.4} - batch {:.4}", self.epoch.value(), self.step.value());
        SerializedEntry::new(formatted, entry.serialize())
    }
}

/// Name of a metric: `block 2 loss`, `network accuracy`.
pub fn metric_name(block: Option<usize>, quantity: Quantity) -> String {
    match block {
        Some(block) => format!("block {block} {}", quantity.key()),
        None => format!("network {}", quantity.key()),
    }
}

/// Inverse of [`metric_name`].
pub fn parse_metric_name(name: &str) -> Option<(Option<usize>, Quantity)> {
    let (block, key) = match name.strip_prefix("network ") {
        Some(key) => (None, key),
        None => {
            let (index, key) = name.strip_prefix("block ")?.split_once(' ')?;
            (Some(index.parse().ok()?), key)
        }
    };
    Quantity::ALL.into_iter().find(|q| q.key() == key).map(|q| (block, q))
}

impl Metric for BlockMetric {
    type Input = StepMetrics;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: self.quantity != Quantity::Loss }.into()
    }

    fn update(&mut self, item: &StepMetrics, metadata: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        if let Some(log) = &self.log {
            log.push(item);
        }
        let Some(sum) = item.of(self.block).and_then(|n| self.quantity.sum(n, item.rows)) else {
            return Ok(SerializedEntry::not_available(None));
        };
        self.step = Mean { sum, rows: item.rows };
        self.epoch = Mean { sum: self.epoch.sum + sum, rows: self.epoch.rows + item.rows };
        if let Some(guard) = &self.guard {
            guard.see(self.block, self.step.value(), item.key.epoch as usize, metadata.iteration.unwrap_or(0));
        }
        Ok(self.shown(&self.step.entry()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        if self.epoch.rows == 0 {
            return Ok(SerializedEntry::not_available(None));
        }
        Ok(self.shown(&self.final_value()))
    }

    fn clear(&mut self) {
        (self.step, self.epoch) = (Mean::default(), Mean::default());
    }
}

impl Numeric for BlockMetric {
    fn value(&self) -> Option<NumericEntry> {
        (self.epoch.rows > 0).then(|| self.step.entry())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        (self.epoch.rows > 0).then(|| self.epoch.entry())
    }

    fn final_value(&self) -> NumericEntry {
        NumericEntry::Final(self.epoch.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_read_back() {
        for block in [None, Some(0), Some(12)] {
            for q in Quantity::ALL {
                assert_eq!(parse_metric_name(&metric_name(block, q)), Some((block, q)));
            }
        }
        assert_eq!(parse_metric_name("Loss"), None);
    }

    #[test]
    fn an_accuracy_is_the_same_number_however_rows_are_spread_over_batches() {
        let metadata =
            MetricMetadata { progress: burn::data::dataloader::Progress::new(0, 0, None), iteration: None, lr: None };
        let accuracy = |batches: &[(usize, usize)]| {
            let mut metric = BlockMetric::new(None, Quantity::Accuracy);
            for &(correct, rows) in batches {
                let numbers = BlockMetrics { correct: Some(correct), ..BlockMetrics::default() };
                let step = StepMetrics { rows, blocks: vec![(None, numbers)], ..StepMetrics::default() };
                metric.update(&step, &metadata).unwrap();
            }
            assert_eq!(metric.running_value().unwrap().current(), metric.final_value().current());
            metric.final_value().current()
        };
        for batches in
            [&[(143, 145)][..], &[(64, 64), (63, 64), (16, 17)], &[(3, 5), (140, 140)], &[(71, 72), (1, 1), (71, 72)]]
        {
            assert_eq!(accuracy(batches), 143.0 / 145.0, "{batches:?}");
        }
    }

    #[test]
    fn the_guard_names_the_training_step_that_spoilt_the_weights() {
        let guard = NonFiniteGuard::new(Interrupter::new());
        guard.see(Some(0), 1.0, 3, 7);
        assert_eq!(guard.found(), None);
        // Validation, which has no epoch of its own.
        guard.see(Some(1), f64::NAN, 0, 1);
        guard.see(Some(0), f64::INFINITY, 4, 1);
        let found = guard.found().unwrap();
        assert!(found.value.is_nan() && guard.interrupter.should_stop());
        assert_eq!((found.block, found.epoch, found.step), (1, 3, 7));
    }
}
