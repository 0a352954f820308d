//! Blocks that a greedy schedule is done with.

use burn::module::Module;

use burn_forward::activation::Activation;
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::network::Chain;
use burn_forward::rules::{AnyRule, Pass};
use burn_forward::tape::Tape;

/// The blocks below the one that learns.
///
/// They run as at inference: dropout drops nothing, batch normalisation uses its running statistics and leaves them as they
/// are, and nothing is kept for a backward pass.
#[derive(Debug)]
pub struct FinishedBlocks {
    rule: AnyRule,
    blocks: Vec<Chain>,
}

impl FinishedBlocks {
    /// The first `blocks` blocks of `model` as they are now.
    pub fn below(model: &LocalModel, blocks: usize) -> Self {
        let blocks = &model.network.blocks()[..blocks.min(model.network.len())];
        Self { rule: model.rule.valid(), blocks: blocks.iter().map(Module::valid).collect() }
    }

    /// What enters the block above them, of a batch on the training device that `model` is about to learn from.
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
