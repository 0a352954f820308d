//! Blocks that a greedy schedule is done with run as at inference.

use burn::module::Module;
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::tape::Tape;
use burn_forward_train::schedule::Finished;

use super::toy::noisy;
use super::values::{assert_close, assert_same, features, parameters};

/// What the first `blocks` blocks make of a batch at inference.
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

/// With dropout and, where there is any, batch normalisation in every block.
#[test]
fn a_block_is_given_what_the_blocks_below_it_make_at_inference() {
    for (name, model, batch) in noisy() {
        let before = parameters(&model.valid());
        for block in 1..model.network.len() {
            let entering = Finished::below(&model, block).entering(&model, &batch).streams;
            let expected = at_inference(&model, &batch, block);
            assert_eq!(entering.len(), expected.len(), "{name}");
            for (entering, expected) in entering.iter().zip(&expected) {
                assert!(entering.device().is_autodiff(), "{name}: block {block} could not learn from this");
                assert_close(&features(entering), &features(expected), 1e-6, &format!("{name}: block {block}"));
            }
        }
        assert_same(&before, &parameters(&model.valid()), &format!("{name}: a finished block moved"));
    }
}
