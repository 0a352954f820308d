//! Blocks that a greedy schedule has finished run in inference mode and do not change.

use burn::module::Module;
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::tape::Tape;
use burn_forward_train::schedule::FinishedBlocks;

use crate::step_trace::first_step;
use crate::values::{close, features, gradients, parameters, same};
use crate::verdict::{Outcome, Verdict, concerns, ensure};
use crate::{Case, seed};

/// The outputs of the first `blocks` blocks for a batch in inference mode.
fn at_inference(model: &LocalModel, batch: &Batch, blocks: usize) -> Vec<AnyActivation> {
    let model = model.valid();
    let plain = Batch {
        inputs: batch.inputs.clone().without_autodiff(),
        targets: batch.targets.clone().without_autodiff(),
        ..batch.clone()
    };
    let mut pass = model.rule.begin(&model.network, &plain, model.context(&plain), &mut Tape::new(()));
    for (index, block) in model.network.blocks()[..blocks].iter().enumerate() {
        model.rule.advance(index, block, &mut pass);
    }
    pass.streams
}

/// The input of a block that learns alone is the inference output of the finished blocks below it: without dropout, and with
/// the running statistics of batch normalisation, which do not change.
pub fn a_block_is_given_what_the_blocks_below_it_make_at_inference(case: &Case) -> Verdict {
    concerns!(case.spec()?.greedy().is_ok());
    let (model, batch) = (case.model(seed())?, case.batch(0));
    let before = parameters(&model.valid())?;
    for block in 1..model.network.len() {
        let entering = FinishedBlocks::below(&model, block).forward(&model, &batch).streams;
        let expected = at_inference(&model, &batch, block);
        ensure!(entering.len() == expected.len(), "{} streams, not {}", entering.len(), expected.len());
        for (entering, expected) in entering.iter().zip(&expected) {
            ensure!(entering.device().is_autodiff(), "block {block} could not learn from this");
            close(&features(entering), &features(expected), 1e-6).map_err(|e| e.at(format!("block {block}")))?;
        }
    }
    same(&before, &parameters(&model.valid())?).map_err(|e| e.at("a finished block changed"))?;
    Ok(Outcome::Tried)
}

/// Steps on batches with an unknown key do not all draw the same dropout masks. (Two of them may, in a program whose other
/// threads draw from the same device.)
pub fn steps_on_batches_of_unknown_address_do_not_share_their_randomness(case: &Case) -> Verdict {
    let model = case.model(seed())?;
    let batch = Batch { key: Default::default(), ..case.batch(0) };
    let step = || gradients(&model, &first_step(&model, &batch).grads);
    let first = step()?;
    let others = [step()?, step()?, step()?];
    ensure!(others.iter().any(|other| *other != first), "four steps had the same dropout mask");
    Ok(Outcome::Tried)
}
