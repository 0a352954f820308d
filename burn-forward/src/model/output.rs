//! What a step of a model says: metrics by block, read from the device once a step.

use burn::tensor::{Device, Int, Tensor, Transaction};
use burn::train::ItemLazy;
use burn::train::metric::{AccuracyInput, Adaptor, LossInput};
use burn_std::ExecutionError;

use crate::data::BatchKey;
use crate::pieces::pair_loss::cross_entropy;
use crate::rules::Scores;
use crate::tape::{BlockRecord, Score, ScoreSummary, correct};
use crate::{Error, require};

/// Metrics of one block, or of the whole network, in one step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BlockMetrics {
    /// Mean loss over the rows: a block's own in training; cross-entropy of the scores for the whole network and in
    /// evaluation.
    pub loss: Option<f64>,
    /// Number of rows whose class has the highest score.
    pub correct: Option<usize>,
    /// Mean goodness of positive samples; of the true class, for rules with class scores.
    pub positive: Option<f64>,
    /// Mean goodness of negative samples; of the wrong classes on average, for rules with class scores.
    pub negative: Option<f64>,
}

/// Metrics of a step, by block; [`None`] is the whole network.
#[derive(Debug, Clone, Default)]
pub struct StepMetrics {
    /// Rows in the batch.
    pub rows: usize,
    /// Address of the batch.
    pub key: BatchKey,
    /// Block index and numbers.
    pub blocks: Vec<(Option<usize>, BlockMetrics)>,
}

impl StepMetrics {
    /// The metrics of a block; `None`: of the whole network.
    pub fn of(&self, block: Option<usize>) -> Option<&BlockMetrics> {
        self.blocks.iter().find(|(b, _)| *b == block).map(|(_, n)| n)
    }

    /// Mean of the blocks' own losses: what the step minimises.
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
        // They may have learned from the top down.
        blocks.sort_by_key(|record| record.block);
        let losses: Vec<Tensor<1>> = blocks.iter().map(|b| b.score.loss.clone()).collect();
        require(!losses.is_empty(), || {
            let needed = ">= 1: a rule leaves one for every block by learn, learn_from_trace or Tape::record";
            Error::argument("LocalModel", "number of scores after a step", losses.len(), needed)
        });
        let loss = Tensor::cat(losses, 0).mean();
        let logits = logits.map(Tensor::without_autodiff);
        Self { blocks, logits, targets: targets.without_autodiff(), loss, key, metrics: StepMetrics::default() }
    }

    /// Rebuilds the output of an earlier step from its metrics, for a run that is resumed within an epoch.
    pub fn from_metrics(metrics: StepMetrics) -> Self {
        let device = Device::default();
        let loss = Tensor::from_data([metrics.objective().unwrap_or_default()], &device);
        let (key, targets) = (metrics.key, Tensor::zeros([0], &device));
        Self { blocks: Vec::new(), logits: None, targets, loss, key, metrics }
    }

    /// Numbers of the step, once [synced](ItemLazy::sync).
    pub fn metrics(&self) -> &StepMetrics {
        &self.metrics
    }
}

/// Gathers what scores come to, so that a device is read once per step.
#[derive(Default)]
struct PendingNumbers {
    means: Vec<Tensor<1>>,
    counts: Vec<Tensor<1, Int>>,
    slots: Vec<(Option<usize>, Slot)>,
}

/// Places of a block's numbers among what is gathered.
struct Slot {
    /// Of loss and goodness among the means.
    means: [Option<usize>; 3],
    /// Of the correct predictions among the counts.
    correct: Option<usize>,
}

impl PendingNumbers {
    /// Adds the numbers of a block.
    fn add_block(&mut self, block: usize, numbers: ScoreSummary) {
        let ScoreSummary { loss, correct, positive, negative } = numbers;
        self.add(Some(block), [Some(loss), positive, negative], correct);
    }

    /// Adds accuracy and cross-entropy `loss` of the network's prediction `logits`, where there is one.
    fn add_network(&mut self, prediction: Option<(&Tensor<2>, Tensor<1>)>, targets: &Tensor<1, Int>) {
        let (loss, correct) = prediction.map(|(logits, loss)| (loss, correct(logits, targets))).unzip();
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

    /// The numbers by block, in the order in which they were added.
    fn read(self) -> Result<Vec<(Option<usize>, BlockMetrics)>, ExecutionError> {
        let mut transaction = Transaction::default();
        if !self.means.is_empty() {
            transaction = transaction.register(Tensor::cat(self.means, 0));
        }
        if !self.counts.is_empty() {
            transaction = transaction.register(Tensor::cat(self.counts, 0));
        }
        // Every block has a loss, so means are there whenever anything is.
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
        // Every step leaves a score, so this one's numbers are those it was made from.
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
        // Activations are of no more use; only the loss stays for burn-train's own metric.
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
    /// What a network with these `scores` does on samples of the classes `targets` `[B]`.
    pub fn new(scores: Scores, targets: Tensor<1, Int>) -> Self {
        let loss = cross_entropy(scores.primary(), targets.clone());
        Self { loss, scores, targets, metrics: StepMetrics::default() }
    }

    /// Numbers of the step, once [synced](ItemLazy::sync).
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
