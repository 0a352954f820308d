//! Blocks that a greedy schedule has finished training.

use burn::module::Module;

use burn_forward::activation::Activation;
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::network::Chain;
use burn_forward::rules::{AnyRule, Pass};
use burn_forward::tape::Tape;

/// The blocks below the one that learns.
///
/// They run in inference mode: dropout is off, batch normalisation uses its running statistics without updating them,
/// and nothing is stored for a backward pass.
#[derive(Debug)]
pub struct FinishedBlocks {
    rule: AnyRule,
    blocks: Vec<Chain>,
}

impl FinishedBlocks {
    /// The first `blocks` blocks of `model` in their current state.
    pub fn below(model: &LocalModel, blocks: usize) -> Self {
        let blocks = &model.network.blocks()[..blocks.min(model.network.len())];
        Self { rule: model.rule.valid(), blocks: blocks.iter().map(Module::valid).collect() }
    }

    /// The input to the next block, for a batch on the training device that `model` is about to learn from.
    pub fn forward(&self, model: &LocalModel, batch: &Batch) -> Pass {
        let context = model.context(batch);
        let batch_in = model.forward_frozen_batch(batch);
        let mut pass = model.rule.begin(&model.network, &batch_in, context, &mut Tape::new(()));
        pass.key = context.key;
        if self.blocks.is_empty() {
            return pass;
        }
        let mut pass = pass.without_autodiff();
        for (index, block) in self.blocks.iter().enumerate() {
            self.rule.advance(index, block, &mut pass);
        }
        pass.with_autodiff(&batch.inputs.device())
    }
}
