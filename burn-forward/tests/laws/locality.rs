//! Locality: what a block learns is a function of the block, its own loss, and what enters it.

use burn::tensor::{Int, Tensor};
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::model::LocalModel;
use burn_forward::rules::Pass;
use burn_forward::tape::Tape;

use super::toy::{CLASSES, Case, batch, cases, seed};
use super::values::{assert_same, block_of, features, gradients, of_block, parameters, perturb, same_bits};
use super::walk::{copy, walk, walk_with};

fn local_cases() -> impl Iterator<Item = Case> {
    cases().into_iter().filter(|case| case.spec().is_local())
}

fn blocks(case: &Case) -> usize {
    case.model(seed()).network.len()
}

/// Whether a path is of a block's own loss: its head, its feedback matrix.
fn is_loss_of(path: &str, block: usize) -> bool {
    path.starts_with("rule.") && block_of(path) == Some(block)
}

#[test]
fn a_step_of_a_local_rule_is_its_blocks_one_after_the_other() {
    for case in local_cases() {
        let batch = batch(24, 0, &case.device);
        let model = case.model(seed());
        let whole = gradients(&model, &model.learn(&batch).grads);
        assert_same(&whole, &walk(&case.model(seed()), &batch).gradients(), &case.to_string());
    }
}

#[test]
fn a_block_puts_gradients_of_itself_and_its_head_on_the_tape_and_no_others() {
    for case in local_cases() {
        let walk = walk(&case.model(seed()), &batch(24, 0, &case.device));
        let last = walk.entering.len() - 1;
        for (index, taped) in walk.taped.iter().enumerate() {
            for path in taped.keys() {
                let allowed = match block_of(path) {
                    Some(block) => block == index,
                    // An output layer learns with the last block, or where the rule runs the whole network.
                    None => index >= last,
                };
                assert!(allowed, "{case}: pass of block {index} left a gradient of {path}");
            }
            assert!(
                index > last || taped.keys().any(|p| p.starts_with("network.")),
                "{case}: block {index} has no gradient"
            );
        }
    }
}

#[test]
fn another_head_of_one_block_changes_no_other_blocks_gradients() {
    for case in local_cases() {
        let batch = batch(24, 0, &case.device);
        let base = walk(&case.model(seed()), &batch);
        for k in 0..base.entering.len() {
            let moved = walk(&perturb(case.model(seed()), |path| is_loss_of(path, k)), &batch);
            for j in (0..base.entering.len()).filter(|j| *j != k) {
                // A head may take part in the forward pass (a label added to a pre-activation): then later blocks are
                // given something else, and so are all where the prediction makes the teaching signal.
                let same_input = same_bits(&base.entering[j], &moved.entering[j]);
                assert!(same_input || j > k || base.reads_network, "{case}: head {k} reaches down to block {j}");
                if same_input {
                    let what = format!("{case}: head {k} changed, block {j}");
                    assert_same(&of_block(&base.taped[j], j), &of_block(&moved.taped[j], j), &what);
                }
            }
        }
    }
}

#[test]
fn another_teaching_signal_to_one_block_changes_no_other_blocks_gradients() {
    for case in local_cases() {
        let batch = batch(24, 0, &case.device);
        let base = walk(&case.model(seed()), &batch);
        for k in 0..base.entering.len() {
            let model = case.model(seed());
            let mut tape = Tape::new(());
            let mut pass = model.rule.begin(&model.network, &batch, model.context(&batch), &mut tape);
            for (index, block) in model.network.blocks().iter().enumerate() {
                if index == k {
                    // The block learns from a false signal, and what it made of its true input goes on.
                    model.rule.learn_block(index, block, &mut falsified(copy(&pass, &model, index)), &mut tape);
                    model.rule.advance(index, block, &mut pass);
                } else {
                    model.rule.learn_block(index, block, &mut pass, &mut tape);
                }
            }
            let moved = gradients(&model, tape.gradients());
            for (j, taped) in base.taped.iter().enumerate().take(base.entering.len()) {
                let (a, b) = (of_block(taped, j), of_block(&moved, j));
                if j == k {
                    assert!(a != b, "{case}: block {k} does not care about its teaching signal");
                } else {
                    assert_same(&a, &b, &format!("{case}: signal of block {k} changed, block {j}"));
                }
            }
        }
    }
}

fn next_class(classes: Tensor<1, Int>) -> Tensor<1, Int> {
    (classes + 1).remainder_scalar(CLASSES as i32)
}

/// The pass with everything that teaches turned round.
fn falsified(mut pass: Pass) -> Pass {
    pass.labels = next_class(pass.labels);
    pass.negatives = pass.negatives.map(next_class);
    pass.error = pass.error.map(|e| e.neg());
    // Streams of one shape are samples of two kinds; others are not each other's counterpart.
    let shape = |stream: &AnyActivation| match stream {
        AnyActivation::Maps(maps) => maps.dims()[1..].to_vec(),
        other => other.features().dims()[1..].to_vec(),
    };
    if pass.streams.windows(2).all(|pair| shape(&pair[0]) == shape(&pair[1])) {
        pass.streams.reverse();
    }
    pass
}

#[test]
fn blocks_above_have_no_say() {
    for case in local_cases() {
        let batch = batch(24, 0, &case.device);
        let base = walk(&case.model(seed()), &batch);
        for k in 0..base.entering.len() {
            let above = |path: &str| path.starts_with("network.") && block_of(path).is_some_and(|j| j > k);
            let moved = walk(&perturb(case.model(seed()), above), &batch);
            for j in 0..=k {
                let same_input = same_bits(&base.entering[j], &moved.entering[j]);
                assert!(same_input || base.reads_network, "{case}: blocks above {k} reach down to block {j}");
                if same_input {
                    let what = format!("{case}: blocks above {k} changed, block {j}");
                    assert_same(&of_block(&base.taped[j], j), &of_block(&moved.taped[j], j), &what);
                }
            }
        }
    }
}

#[test]
fn learning_moves_a_pass_on_as_advancing_does() {
    for case in local_cases() {
        let batch = batch(24, 0, &case.device);
        let model = case.model(seed());
        let mut expected: Option<Vec<f32>> = None;
        walk_with(&model, &batch, |model: &LocalModel, index, pass: &Pass| {
            let streams: Vec<f32> = pass.streams.iter().flat_map(features).collect();
            if let Some(expected) = &expected {
                assert!(same_bits(expected, &streams), "{case}: block {}", index - 1);
            }
            let mut pass = copy(pass, model, index);
            model.rule.advance(index, &model.network.blocks()[index], &mut pass);
            expected = Some(pass.streams.iter().flat_map(features).collect());
        });
    }
}

#[test]
fn a_rule_that_says_it_is_not_local_is_not() {
    for case in cases().into_iter().filter(|case| !case.spec().is_local()) {
        let batch = batch(24, 0, &case.device);
        let step = |model: LocalModel| gradients(&model, &model.learn(&batch).grads);
        let base = step(case.model(seed()));
        let of_loss = |k: usize| parameters(&case.model(seed())).keys().any(|path| is_loss_of(path, k));
        for k in (1..blocks(&case)).filter(|k| of_loss(*k)) {
            let moved = step(perturb(case.model(seed()), |path| is_loss_of(path, k)));
            for j in 0..k {
                assert!(of_block(&base, j) != of_block(&moved, j), "{case}: head {k} does not reach block {j}");
            }
        }
    }
}

#[test]
fn greedy_and_simultaneous_learning_start_alike() {
    for case in local_cases().filter(|case| case.spec().greedy().is_ok()) {
        let batch = batch(24, 0, &case.device);
        let model = case.model(seed());
        let all = gradients(&model, &model.learn(&batch).grads);
        // What a greedy schedule does first: a network of one block, its prefix.
        let model = case.model(seed()).prefix(1);
        let pass = model.rule.begin(&model.network, &batch, model.context(&batch), &mut Tape::new(()));
        let first = gradients(&model, &model.learn_block(0, pass, batch.key).grads);
        assert_same(&of_block(&all, 0), &of_block(&first, 0), &case.to_string());
    }
}
