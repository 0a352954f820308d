//! Burn-train metrics per block: loss, accuracy of the block's own readout, mean goodness.

use std::sync::{Arc, Mutex};

use burn::tensor::TensorReadError;
use burn::train::Interrupter;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry, SerializedEntry,
};

use super::model::{BlockNumbers, StepNumbers};

/// What a [`BlockMetric`] measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Mean loss.
    Loss,
    /// Accuracy, a fraction.
    Accuracy,
    /// Mean goodness of positives.
    Positive,
    /// Mean goodness of negatives.
    Negative,
}

impl Quantity {
    /// All of them.
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

    fn of(self, numbers: &BlockNumbers) -> Option<f64> {
        match self {
            Self::Loss => numbers.loss,
            Self::Accuracy => numbers.accuracy,
            Self::Positive => numbers.positive,
            Self::Negative => numbers.negative,
        }
    }
}

/// One quantity of one block (or of the whole network), averaged over an epoch.
#[derive(Clone)]
pub struct BlockMetric {
    block: Option<usize>,
    quantity: Quantity,
    name: MetricName,
    state: NumericMetricState,
    seen: bool,
    guard: Option<NonFiniteGuard>,
}

/// Where a loss stopped being a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NonFinite {
    /// Block, from 0.
    pub block: usize,
    /// The value.
    pub value: f64,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step within the epoch, from 1.
    pub step: usize,
}

/// Stops a run whose loss is no longer a number.
#[derive(Clone)]
pub struct NonFiniteGuard {
    /// Stops the run.
    pub interrupter: Interrupter,
    /// The first such loss.
    pub found: Arc<Mutex<Option<NonFinite>>>,
}

impl BlockMetric {
    /// A metric of `block`; `None` is the whole network.
    pub fn new(block: Option<usize>, quantity: Quantity) -> Self {
        let name = Arc::new(metric_name(block, quantity));
        Self { block, quantity, name, state: NumericMetricState::new(), seen: false, guard: None }
    }

    /// Stops the run where this quantity becomes NaN or infinite.
    pub fn guarded(mut self, guard: NonFiniteGuard) -> Self {
        self.guard = Some(guard);
        self
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name.clone()).precision(4)
    }
}

/// Name of a metric: `block 2 loss`, `network accuracy`.
pub fn metric_name(block: Option<usize>, quantity: Quantity) -> String {
    match block {
        Some(block) => format!("block {block} {}", quantity.key()),
        None => format!("network {}", quantity.key()),
    }
}

/// The inverse of [`metric_name`].
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
    type Input = StepNumbers;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: self.quantity != Quantity::Loss }.into()
    }

    fn update(&mut self, item: &StepNumbers, metadata: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        let Some(value) = item.of(self.block).and_then(|n| self.quantity.of(n)) else {
            return Ok(SerializedEntry::not_available(None));
        };
        if !value.is_finite()
            && let Some(guard) = &self.guard
        {
            if let Ok(mut found) = guard.found.lock() {
                let step = metadata.iteration.unwrap_or(0);
                let (block, epoch) = (self.block.unwrap_or(0), item.key.epoch as usize);
                found.get_or_insert(NonFinite { block, value, epoch, step });
            }
            guard.interrupter.stop(Some("the loss is no longer a finite number"));
        }
        self.state.update(value, item.rows);
        self.seen = true;
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(if self.seen { self.state.compute_final(self.format()) } else { SerializedEntry::not_available(None) })
    }

    fn clear(&mut self) {
        self.state.reset();
        self.seen = false;
    }
}

impl Numeric for BlockMetric {
    fn value(&self) -> Option<NumericEntry> {
        self.seen.then(|| self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.seen.then(|| self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
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
}
