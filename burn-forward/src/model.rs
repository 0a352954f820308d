//! The model trained by burn-train: a network and a rule.

mod output;

pub use output::{BlockMetrics, EvalOutput, StepMetrics, StepOutput};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use crate::activation::AnyActivation;
use crate::block::Block;
use crate::data::ModelSignature;
use crate::data::{Batch, BatchKey};
use crate::network::{AnyLayer, Chain, Network};
use crate::pieces::dropout;
use crate::random::Seed;
use crate::rules::{AnyRule, Pass, Scores, StepContext};
use crate::tape::Tape;
use crate::{Error, require};

/// A network with the rule that trains it.
#[derive(Module, Debug)]
pub struct LocalModel {
    /// Layers before the network that do not learn: they run in inference mode and have no heads.
    pub frozen: Option<Chain>,
    /// The part that is kept after training.
    pub network: Network,
    /// The rule with its parameters: heads, feedback matrices, label embeddings.
    pub rule: AnyRule,
    #[module(skip)]
    seed: Seed,
    /// Number of steps on batches with an unknown key, counted over all copies of the model.
    #[module(skip)]
    unaddressed: Arc<AtomicU64>,
    #[module(skip)]
    signature: Option<ModelSignature>,
}

impl LocalModel {
    /// Combines a network with a rule built for it.
    pub fn new(network: Network, rule: AnyRule, seed: Seed) -> Self {
        Self { frozen: None, network, rule, seed, unaddressed: Arc::default(), signature: None }
    }

    /// The model with a description of its input and output.
    pub fn with_signature(self, signature: ModelSignature) -> Self {
        Self { signature: Some(signature), ..self }
    }

    /// The description of the model's input and output, if known.
    pub fn signature(&self) -> Option<&ModelSignature> {
        self.signature.as_ref()
    }

    /// The model with frozen layers before its network.
    pub fn with_frozen(self, layers: Vec<AnyLayer>) -> Self {
        Self { frozen: (!layers.is_empty()).then(|| Chain::new(layers)), ..self }
    }

    /// All layers in order, starting with those that do not learn.
    pub fn layers(&self) -> impl Iterator<Item = &AnyLayer> {
        let frozen = self.frozen.iter().flat_map(|chain| chain.layers());
        frozen.chain(self.network.blocks().iter().flat_map(|block| block.layers()))
    }

    /// Number of values per channel that one row provides to a batch normalisation in training: the minimum over all of them.
    /// `None` if nothing that learns has a batch normalisation.
    pub fn normalised_values_per_row(&self) -> Option<usize> {
        let blocks = self.network.blocks().iter().filter_map(|block| block.normalised_values_per_row());
        blocks.chain(self.rule.normalised_values_per_row()).min()
    }

    /// The input of the network: `inputs` after the frozen layers. Batch normalisation in these layers uses its running
    /// statistics, and nothing is kept for a backward pass, whatever device the inputs are on.
    pub fn forward_frozen(&self, inputs: AnyActivation) -> AnyActivation {
        match &self.frozen {
            Some(frozen) => frozen.forward_frozen(inputs),
            None => inputs,
        }
    }

    /// The batch with its inputs passed through the frozen layers.
    pub fn forward_frozen_batch(&self, batch: &Batch) -> Batch {
        Batch { inputs: self.forward_frozen(batch.inputs.clone()), ..batch.clone() }
    }

    /// The position of a batch in the run. It also seeds the device for the step, so that random numbers that layers draw on
    /// the device (dropout) depend on the step alone and a resumed run draws the same ones. Every call for a batch with an
    /// [unknown](BatchKey::UNKNOWN) key is a new step.
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

    /// One pass through the whole network in which every block learns.
    ///
    /// # Panics
    /// If the rule takes [several optimiser steps](crate::rules::Rule::rounds) per batch or
    /// [acts after them](crate::rules::Rule::acts_after_steps): [`learn_with`](Self::learn_with) supports both.
    pub fn learn(&self, batch: &Batch) -> TrainOutput<StepOutput> {
        let rounds = self.rule.rounds();
        require(rounds == 1, || {
            let needed = "1 to learn a batch in one call; LocalModel::learn_with supports more";
            Error::argument("LocalModel", "number of optimiser steps of the rule per batch", rounds, needed)
        });
        require(!self.rule.acts_after_steps(), || {
            let needed = "nothing to learn a batch in one call; LocalModel::learn_with supports it";
            Error::argument("LocalModel", "what the rule does after an optimiser step", "something", needed)
        });
        self.learn_round(&mut self.begin(batch))
    }

    /// Starts a batch with the rule's preparation, before any block learns.
    pub fn begin(&self, batch: &Batch) -> Begun {
        let context = self.context(batch);
        let mut tape = Tape::new(()).with_summaries(&batch.targets);
        let mut pass = self.rule.begin(&self.network, &self.forward_frozen_batch(batch), context, &mut tape);
        // A batch with an unknown key has one now.
        pass.key = context.key;
        Begun { tape: Some(tape), pass, context }
    }

    /// Lets every block learn from a batch that was [begun](Self::begin), and returns the gradients of one optimiser step.
    /// For a rule with several steps per batch this is called once per step, each time on the model that the previous step
    /// has updated.
    pub fn learn_round(&self, begun: &mut Begun) -> TrainOutput<StepOutput> {
        let Begun { tape, pass, context } = begun;
        let mut tape = tape.take().unwrap_or_else(|| Tape::new(()).with_summaries(&pass.labels));
        self.rule.learn(&self.network, pass, *context, &mut tape);
        let (logits, labels) = (pass.logits.clone(), pass.labels.clone());
        self.output(tape, logits, labels, context.key)
    }

    /// Learns a batch in as many optimiser steps as the rule takes. `step` applies gradients to the model, and then the rule
    /// [acts](crate::rules::Rule::after_step). Returns the output of the last step; for any training loop that has an
    /// optimiser.
    pub fn learn_with(self, batch: &Batch, mut step: impl FnMut(Self, GradientsParams) -> Self) -> (Self, StepOutput) {
        let rounds = self.rule.rounds().max(1);
        let mut begun = self.begin(batch);
        let context = begun.context;
        let mut model = self;
        for _ in 1..rounds {
            let output = model.learn_round(&mut begun);
            model = step(model, output.grads).after_step(context);
        }
        let output = model.learn_round(&mut begun);
        // The pass is no longer needed, and the optimiser needs memory.
        drop(begun);
        (step(model, output.grads).after_step(context), output.item)
    }

    /// Lets the rule act after an optimiser step.
    fn after_step(mut self, context: StepContext) -> Self {
        if self.rule.acts_after_steps() {
            self.network = self.rule.after_step(self.network, context);
        }
        self
    }

    /// One pass in which block `index` learns alone, from the outputs of the blocks below it for a batch.
    pub fn learn_block(&self, index: usize, mut pass: Pass, key: BatchKey) -> TrainOutput<StepOutput> {
        pass.key = key;
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

/// A batch that the rule has begun.
#[derive(Debug)]
pub struct Begun {
    /// The tape from the beginning of the batch, for the first round.
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
