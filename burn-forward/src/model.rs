//! The model that burn-train trains: a network and a rule.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, Transaction};
use burn::train::metric::{AccuracyInput, Adaptor, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use burn_std::ExecutionError;

use crate::activation::{Activation, AnyActivation};
use crate::block::Block;
use crate::data::ModelSignature;
use crate::data::{Batch, BatchKey};
use crate::network::{AnyLayer, Chain, Network};
use crate::pieces::dropout;
use crate::pieces::pair_loss::cross_entropy;
use crate::random::Seed;
use crate::rules::{AnyRule, Pass, Scores, StepContext};
use crate::tape::{BlockRecord, Score, ScoreSummary, Tape, correct};
use crate::{Error, require};

/// A network with the rule that teaches it.
#[derive(Module, Debug)]
pub struct LocalModel {
    /// Layers in front of the network that do not learn: they run as in inference and have no heads.
    pub frozen: Option<Chain>,
    /// What stays after training.
    pub network: Network,
    /// What teaches it: heads, feedback matrices, label embeddings.
    pub rule: AnyRule,
    #[module(skip)]
    seed: Seed,
    /// Steps on batches of unknown address, counted over all copies of the model.
    #[module(skip)]
    unaddressed: Arc<AtomicU64>,
    #[module(skip)]
    signature: Option<ModelSignature>,
}

impl LocalModel {
    /// Pairs a network with a rule built for it.
    pub fn new(network: Network, rule: AnyRule, seed: Seed) -> Self {
        Self { frozen: None, network, rule, seed, unaddressed: Arc::default(), signature: None }
    }

    /// The model with what it takes and gives said.
    pub fn with_signature(self, signature: ModelSignature) -> Self {
        Self { signature: Some(signature), ..self }
    }

    /// What the model takes and gives, where that is known.
    pub fn signature(&self) -> Option<&ModelSignature> {
        self.signature.as_ref()
    }

    /// The model with frozen layers before its network.
    pub fn with_frozen(self, layers: Vec<AnyLayer>) -> Self {
        Self { frozen: (!layers.is_empty()).then(|| Chain::new(layers)), ..self }
    }

    /// All layers in order, those that do not learn first.
    pub fn layers(&self) -> impl Iterator<Item = &AnyLayer> {
        let frozen = self.frozen.iter().flat_map(|chain| chain.layers());
        frozen.chain(self.network.blocks().iter().flat_map(|block| block.layers()))
    }

    /// Values per channel that one row gives to a batch normalisation in training, of the one with the fewest; `None` if
    /// nothing that learns has one.
    pub fn normalised_values_per_row(&self) -> Option<usize> {
        let blocks = self.network.blocks().iter().filter_map(|block| block.normalised_values_per_row());
        blocks.chain(self.rule.normalised_values_per_row()).min()
    }

    /// The input of the network: `inputs` after the frozen layers. Batch normalisation uses its running
    /// statistics there and nothing is kept for a backward pass, whatever device the inputs are on.
    pub fn forward_frozen(&self, inputs: AnyActivation) -> AnyActivation {
        let Some(frozen) = &self.frozen else { return inputs };
        let device = inputs.device();
        if !device.is_autodiff() {
            return frozen.forward(inputs);
        }
        frozen.valid().forward(inputs.without_autodiff()).with_autodiff(&device)
    }

    /// The batch with the inputs after the frozen layers.
    pub fn forward_frozen_batch(&self, batch: &Batch) -> Batch {
        Batch { inputs: self.forward_frozen(batch.inputs.clone()), ..batch.clone() }
    }

    /// Where a batch is in the run. Also seeds the device for the step, so that what layers draw on the device (dropout)
    /// depends on the step alone and a resumed run draws the same. Every call for a batch of [unknown](BatchKey::UNKNOWN)
    /// address is a new step.
    pub fn context(&self, batch: &Batch) -> StepContext {
        let key = match batch.key {
            BatchKey::UNKNOWN => {
                let step = self.unaddressed.fetch_add(1, Ordering::Relaxed);
                BatchKey { epoch: 0, index: step, step }
            }
            known => known,
        };
        self.seed_step(&batch.targets.device(), key);
        StepContext { seed: self.seed, key }
    }

    /// Seeds the device for the step at `key`.
    pub fn seed_step(&self, device: &Device, key: BatchKey) {
        device.seed(self.seed.number("device", &[key.epoch, key.index]));
        dropout::begin(self.seed, key);
    }

    /// One pass of the whole network in which every block learns.
    ///
    /// # Panics
    /// Under a rule that takes [several optimiser steps](crate::rules::Rule::rounds) on a pass: [`learn_with`](Self::learn_with)
    /// takes them.
    pub fn learn(&self, batch: &Batch) -> TrainOutput<StepOutput> {
        let rounds = self.rule.rounds();
        require(rounds == 1, || {
            let needed = "1 where a batch is learned in one call; LocalModel::learn_with takes more";
            Error::argument("LocalModel", "number of optimiser steps of the rule on a batch", rounds, needed)
        });
        self.learn_round(&mut self.begin(batch))
    }

    /// What a batch is learned from: the rule has begun, and no block has learned yet.
    pub fn begin(&self, batch: &Batch) -> Begun {
        let context = self.context(batch);
        let mut tape = Tape::new(()).with_summaries(&batch.targets);
        let pass = self.rule.begin(&self.network, &self.forward_frozen_batch(batch), context, &mut tape);
        Begun { tape: Some(tape), pass, context }
    }

    /// Every block learns from what was [begun](Self::begin): the gradients of one optimiser step. A rule of several steps on a
    /// pass is called so many times, each time with the model that the step before left.
    pub fn learn_round(&self, begun: &mut Begun) -> TrainOutput<StepOutput> {
        let Begun { tape, pass, context } = begun;
        let mut tape = tape.take().unwrap_or_else(|| Tape::new(()).with_summaries(&pass.labels));
        self.rule.learn(&self.network, pass, *context, &mut tape);
        let (logits, labels) = (pass.logits.clone(), pass.labels.clone());
        self.output(tape, logits, labels, context.key)
    }

    /// Learns a batch in as many optimiser steps as the rule takes; `step` applies gradients to the model. Returns what the last
    /// step says, for any loop that has an optimiser.
    pub fn learn_with(self, batch: &Batch, mut step: impl FnMut(Self, GradientsParams) -> Self) -> (Self, StepOutput) {
        let rounds = self.rule.rounds().max(1);
        let mut begun = self.begin(batch);
        let mut model = self;
        for _ in 1..rounds {
            let output = model.learn_round(&mut begun);
            model = step(model, output.grads);
        }
        let output = model.learn_round(&mut begun);
        // Nobody asks for the pass any more, and the optimiser needs memory of its own.
        drop(begun);
        (step(model, output.grads), output.item)
    }

    /// One pass in which block `index` alone learns, from what blocks below it made of a batch.
    pub fn learn_block(&self, index: usize, mut pass: Pass, key: BatchKey) -> TrainOutput<StepOutput> {
        let mut tape = Tape::new(()).with_summaries(&pass.labels);
        self.rule.learn_block(index, &self.network.blocks()[index], &mut pass, &mut tape);
        self.output(tape, pass.logits, pass.labels, key)
    }

    fn output(
        &self,
        tape: Tape,
        logits: Option<Tensor<2>>,
        labels: Tensor<1, Int>,
        key: BatchKey,
    ) -> TrainOutput<StepOutput> {
        let (grads, blocks): (GradientsParams, _) = tape.into_parts();
        TrainOutput { grads, item: StepOutput::new(blocks, logits, labels, key) }
    }

    /// Class scores of a batch of inputs, without autodiff.
    pub fn scores(&self, inputs: AnyActivation) -> Scores {
        self.rule.scores(&self.network, self.forward_frozen(inputs))
    }

    /// The model with its first `blocks` blocks.
    pub fn prefix(&self, blocks: usize) -> Self {
        Self { network: self.network.prefix(blocks), ..self.clone() }
    }

    /// The model without the blocks above those that its readout uses.
    pub fn with_readout_blocks_only(&self) -> Self {
        self.prefix(self.rule.readout_blocks().map_or(self.network.len(), |blocks| blocks.last + 1))
    }
}

/// A batch that a rule has begun with.
#[derive(Debug)]
pub struct Begun {
    /// What the beginning left, for the first round.
    tape: Option<Tape>,
    pass: Pass,
    context: StepContext,
}

impl TrainStep for LocalModel {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        self.learn(&batch)
    }
}

impl InferenceStep for LocalModel {
    type Input = Batch;
    type Output = EvalOutput;

    fn step(&self, batch: Batch) -> EvalOutput {
        EvalOutput::new(self.scores(batch.inputs), batch.targets)
    }
}

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
    fn new(mut blocks: Vec<BlockRecord>, logits: Option<Tensor<2>>, targets: Tensor<1, Int>, key: BatchKey) -> Self {
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
