//! The output of a model's step: metrics by block, read from the device once per step.

use burn::tensor::{Device, Int, Tensor, Transaction};
use burn::train::ItemLazy;
use burn::train::metric::{AccuracyInput, Adaptor, LossInput};
use burn_std::ExecutionError;

use crate::data::BatchKey;
use crate::pieces::label;
use crate::pieces::pair_loss::cross_entropy;
use crate::rules::Scores;
use crate::tape::{BlockRecord, Score, ScoreSummary};
use crate::{Error, require};

/// Metrics of one block, or of the whole network, in one step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BlockMetrics {
    /// Mean loss over the rows: the block's own loss in training, and the cross-entropy of the scores for the whole network
    /// and in evaluation.
    pub loss: Option<f64>,
    /// Number of rows whose class has the highest score.
    pub correct: Option<usize>,
    /// Mean goodness of positive samples; for rules with class scores, the mean score of the true class.
    pub positive: Option<f64>,
    /// Mean goodness of negative samples; for rules with class scores, the mean score of the wrong classes.
    pub negative: Option<f64>,
}

/// Metrics of a step by block; [`None`] stands for the whole network.
#[derive(Debug, Clone, Default)]
pub struct StepMetrics {
    /// Number of rows in the batch.
    pub rows: usize,
    /// Key of the batch.
    pub key: BatchKey,
    /// Block index and metrics.
    pub blocks: Vec<(Option<usize>, BlockMetrics)>,
}

impl StepMetrics {
    /// The metrics of a block, or of the whole network for `None`.
    pub fn of(&self, block: Option<usize>) -> Option<&BlockMetrics> {
        self.blocks.iter().find(|(b, _)| *b == block).map(|(_, n)| n)
    }

    /// Mean of the blocks' own losses, which the step minimises.
    pub fn objective(&self) -> Option<f64> {
        let losses: Vec<f64> = self.blocks.iter().filter(|(b, _)| b.is_some()).filter_map(|(_, n)| n.loss).collect();
        (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
    }
}

/// Result of a training step.
#[derive(Debug)]
pub struct StepOutput {
    blocks: Vec<BlockRecord>,
    logits: Option<Tensor<2>>,
    targets: Tensor<1, Int>,
    loss: Tensor<1>,
    key: BatchKey,
    metrics: StepMetrics,
}

impl StepOutput {
    pub(super) fn new(
        mut blocks: Vec<BlockRecord>,
        logits: Option<Tensor<2>>,
        targets: Tensor<1, Int>,
        key: BatchKey,
    ) -> Self {
        // The blocks may have learned from the top down.
        blocks.sort_by_key(|record| record.block);
        let losses: Vec<Tensor<1>> = blocks.iter().map(|b| b.score.loss.clone()).collect();
        require(!losses.is_empty(), || {
            let needed = ">= 1: a rule records one for every block with learn, learn_from_trace or Tape::record";
            Error::argument("LocalModel", "number of scores after a step", losses.len(), needed)
        });
        let loss = Tensor::cat(losses, 0).mean();
        let logits = logits.map(Tensor::without_autodiff);
        Self { blocks, logits, targets: targets.without_autodiff(), loss, key, metrics: StepMetrics::default() }
    }

    /// Restores the output of an earlier step from its metrics, for a run that is resumed within an epoch.
    pub fn from_metrics(metrics: StepMetrics) -> Self {
        let device = Device::default();
        let loss = Tensor::from_data([metrics.objective().unwrap_or_default()], &device);
        let (key, targets) = (metrics.key, Tensor::zeros([0], &device));
        Self { blocks: Vec::new(), logits: None, targets, loss, key, metrics }
    }

    /// Metrics of the step, once [synced](ItemLazy::sync).
    pub fn metrics(&self) -> &StepMetrics {
        &self.metrics
    }
}

/// Collects what the scores amount to, so that the device is read once per step.
#[derive(Default)]
struct PendingNumbers {
    means: Vec<Tensor<1>>,
    counts: Vec<Tensor<1, Int>>,
    slots: Vec<(Option<usize>, Slot)>,
}

/// Indices of a block's values in the collected ones.
struct Slot {
    /// Indices of loss and goodness among the means.
    means: [Option<usize>; 3],
    /// Index of the number of correct predictions among the counts.
    correct: Option<usize>,
}

impl PendingNumbers {
    /// Adds the values of a block.
    fn add_block(&mut self, block: usize, numbers: ScoreSummary) {
        let ScoreSummary { loss, correct, positive, negative } = numbers;
        self.add(Some(block), [Some(loss), positive, negative], correct);
    }

    /// Adds accuracy and cross-entropy `loss` of the network's prediction `logits`, if there is one.
    fn add_network(&mut self, prediction: Option<(&Tensor<2>, Tensor<1>)>, targets: &Tensor<1, Int>) {
        let (loss, correct) = prediction.map(|(logits, loss)| (loss, label::correct(logits, targets))).unzip();
        self.add(None, [loss, None, None], correct);
    }

    fn add(&mut self, block: Option<usize>, means: [Option<Tensor<1>>; 3], correct: Option<Tensor<1, Int>>) {
        let means = means.map(|value| {
            self.means.push(value?);
            Some(self.means.len() - 1)
        });
        let correct = correct.map(|count| {
            self.counts.push(count);
            self.counts.len() - 1
        });
        self.slots.push((block, Slot { means, correct }));
    }

    /// The values by block, in the order in which they were added.
    fn read(self) -> Result<Vec<(Option<usize>, BlockMetrics)>, ExecutionError> {
        let mut transaction = Transaction::default();
        if !self.means.is_empty() {
            transaction = transaction.register(Tensor::cat(self.means, 0));
        }
        if !self.counts.is_empty() {
            transaction = transaction.register(Tensor::cat(self.counts, 0));
        }
        // Every block has a loss, so there are means whenever there is anything.
        let mut read = transaction.try_execute()?.into_iter();
        let means: Vec<f64> = read.next().iter().flat_map(|data| data.iter::<f64>()).collect();
        let counts: Vec<i64> = read.next().iter().flat_map(|data| data.iter::<i64>()).collect();
        let numbers = |slot: Slot| {
            let [loss, positive, negative] = slot.means.map(|place| means.get(place?).copied());
            let correct = slot.correct.and_then(|place| counts.get(place)).map(|count| *count as usize);
            BlockMetrics { loss, correct, positive, negative }
        };
        Ok(self.slots.into_iter().map(|(block, slot)| (block, numbers(slot))).collect())
    }
}

impl ItemLazy for StepOutput {
    fn sync(mut self) -> Result<Self, ExecutionError> {
        // Every step has scores, so if there are none, the metrics came from `from_metrics`.
        if self.blocks.is_empty() {
            return Ok(self);
        }
        let mut pending = PendingNumbers::default();
        for record in &self.blocks {
            pending.add_block(record.block, record.summary(&self.targets));
        }
        let prediction = self.logits.as_ref().map(|l| (l, cross_entropy(l.clone(), self.targets.clone())));
        pending.add_network(prediction, &self.targets);
        self.metrics = StepMetrics { rows: self.targets.dims()[0], key: self.key, blocks: pending.read()? };
        // Activations are no longer needed; only the loss is kept for burn-train's own metric.
        self.blocks.clear();
        Ok(self)
    }
}

impl Adaptor<LossInput> for StepOutput {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.loss.clone())
    }
}

impl Adaptor<StepMetrics> for StepOutput {
    fn adapt(&self) -> StepMetrics {
        self.metrics.clone()
    }
}

/// Result of an evaluation step.
#[derive(Debug)]
pub struct EvalOutput {
    /// Cross-entropy of the readout in force `[1]`.
    pub loss: Tensor<1>,
    /// Scores of all readouts.
    pub scores: Scores,
    /// Class indices `[B]`.
    pub targets: Tensor<1, Int>,
    metrics: StepMetrics,
}

impl EvalOutput {
    /// Evaluates a network with these `scores` on samples with the classes `targets` `[B]`.
    pub fn new(scores: Scores, targets: Tensor<1, Int>) -> Self {
        let loss = cross_entropy(scores.primary(), targets.clone());
        Self { loss, scores, targets, metrics: StepMetrics::default() }
    }

    /// Metrics of the step, once [synced](ItemLazy::sync).
    pub fn metrics(&self) -> &StepMetrics {
        &self.metrics
    }
}

impl ItemLazy for EvalOutput {
    fn sync(mut self) -> Result<Self, ExecutionError> {
        let mut pending = PendingNumbers::default();
        for (i, logits) in self.scores.blocks.iter().enumerate() {
            if let Some(logits) = logits {
                let loss = cross_entropy(logits.clone(), self.targets.clone());
                let score = Score { logits: Some(logits.clone()), ..Score::from(loss) };
                pending.add_block(i, score.summary(&self.targets));
            }
        }
        pending.add_network(Some((&self.scores.primary(), self.loss.clone())), &self.targets);
        let rows = self.targets.dims()[0];
        self.metrics = StepMetrics { rows, key: BatchKey::default(), blocks: pending.read()? };
        Ok(self)
    }
}

impl Adaptor<LossInput> for EvalOutput {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.loss.clone())
    }
}

impl Adaptor<AccuracyInput> for EvalOutput {
    fn adapt(&self) -> AccuracyInput {
        AccuracyInput::new(self.scores.primary(), self.targets.clone())
    }
}

impl Adaptor<StepMetrics> for EvalOutput {
    fn adapt(&self) -> StepMetrics {
        self.metrics.clone()
    }
}
