//! Locality: what a block learns depends on nothing but the block, its own loss, and its input.
//!
//! This is the promise of a local rule. It is also the reason for the rule's low memory: if nothing above a block depends on
//! its graph, the graph can be dropped as soon as the block has learned.

use burn::tensor::{Int, Tensor};
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::block::Trace;
use burn_forward::model::LocalModel;
use burn_forward::rules::{Pass, Reach, Signal};
use burn_forward::tape::Tape;

use crate::step_trace::{copy, entering_in_all_rounds, first_step, trace_step, trace_step_with};
use crate::values::{Values, block_of, features, gradients, of_block, parameters, perturb, same, same_bits};
use crate::verdict::{Outcome, Verdict, Violation, concerns, ensure};
use crate::{Case, seed};

/// Whether a parameter belongs to a block's own loss: its head, or its feedback matrix.
fn is_loss_of(path: &str, block: usize) -> bool {
    path.starts_with("rule.") && block_of(path) == Some(block)
}

/// The gradients of a step.
fn step(model: &LocalModel, case: &Case) -> Result<Values, Violation> {
    gradients(model, &first_step(model, &case.batch(0)).grads)
}

/// A step of a local rule consists of its blocks learning one after another; nothing else adds to a gradient.
pub fn a_step_of_a_local_rule_is_its_blocks_one_after_the_other(case: &Case) -> Verdict {
    concerns!(case.is_local()?);
    let whole = step(&case.model(seed())?, case)?;
    same(&whole, &trace_step(&case.model(seed())?, &case.batch(0))?.gradients())?;
    Ok(Outcome::Tried)
}

/// The step that burn-train takes has the gradients that the rule put on its tape. A rule that takes several steps per batch
/// cannot be used in burn-train's own loop.
pub fn burn_train_sees_the_step_that_the_tape_recorded(case: &Case) -> Verdict {
    let (batch, model) = (case.batch(0), case.model(seed())?);
    concerns!(model.rule.rounds() == 1);
    let trained = gradients(&model, &burn::train::TrainStep::step(&model, batch.clone()).grads)?;
    let model = case.model(seed())?;
    let mut tape = Tape::new(());
    model.rule.step(&model.network, &batch, model.context(&batch), &mut tape);
    same(&trained, &gradients(&model, tape.gradients())?)?;
    Ok(Outcome::Tried)
}

/// While a block learns, only the block and the rule's parameters for that block get gradients. Parameters of the rule as a
/// whole (an output layer) learn with the last block, or when the rule runs the whole network.
pub fn a_block_puts_gradients_of_itself_and_its_head_on_the_tape_and_no_others(case: &Case) -> Verdict {
    concerns!(case.is_local()?);
    let trace = trace_step(&case.model(seed())?, &case.batch(0))?;
    let last = trace.blocks() - 1;
    for (index, taped) in trace.taped.iter().enumerate() {
        for path in taped.keys() {
            let allowed = match block_of(path) {
                Some(block) => block == index,
                None => index >= last,
            };
            ensure!(allowed, "the pass of block {index} left a gradient for {path}");
        }
        let learns = taped.keys().any(|path| path.starts_with("network."));
        ensure!(index > last || learns, "block {index} has no gradient");
    }
    Ok(Outcome::Tried)
}

/// Changing the head of one block does not change what any other block learns. A head may take part in the forward pass (a
/// label added to a pre-activation). Then the inputs of the blocks above change, and so do those of all blocks if the
/// teaching signal depends on the prediction.
pub fn another_head_of_one_block_changes_no_other_blocks_gradients(case: &Case) -> Verdict {
    concerns!(case.is_local()?);
    let batch = case.batch(0);
    let base = trace_step(&case.model(seed())?, &batch)?;
    for k in 0..base.blocks() {
        let moved = trace_step(&perturb(case.model(seed())?, |path| is_loss_of(path, k)), &batch)?;
        for j in (0..base.blocks()).filter(|j| *j != k) {
            let same_input = same_bits(&base.entering[j], &moved.entering[j]);
            ensure!(same_input || j > k || case.reach()?.reads_above(), "head {k} affects block {j} below it");
            if same_input {
                same(&of_block(&base.taped[j], j), &of_block(&moved.taped[j], j))
                    .map_err(|e| e.at(format!("head {k} changed, block {j}")))?;
            }
        }
    }
    Ok(Outcome::Tried)
}

/// A block with a false teaching signal learns something else, and no other block does.
pub fn another_teaching_signal_to_one_block_changes_no_other_blocks_gradients(case: &Case) -> Verdict {
    concerns!(case.is_local()?);
    let batch = case.batch(0);
    let base = trace_step(&case.model(seed())?, &batch)?;
    for k in 0..base.blocks() {
        let model = case.model(seed())?;
        let mut tape = Tape::new(());
        let mut pass = model.rule.begin(&model.network, &batch, model.context(&batch), &mut tape);
        for index in model.rule.order(model.network.len()) {
            let block = &model.network.blocks()[index];
            if index == k {
                // The block learns from a false signal, and its output for the true input is passed on.
                let mut false_pass = falsified(copy(&pass, &model, index), case.classes());
                model.rule.learn_block(index, block, &mut false_pass, &mut tape);
                model.rule.advance(index, block, &mut pass);
            } else {
                model.rule.learn_block(index, block, &mut pass, &mut tape);
            }
        }
        let moved = gradients(&model, tape.gradients())?;
        for (j, taped) in base.taped.iter().enumerate().take(base.blocks()) {
            let (a, b) = (of_block(taped, j), of_block(&moved, j));
            if j == k {
                ensure!(a != b, "block {k} does not depend on its teaching signal");
            } else {
                same(&a, &b).map_err(|e| e.at(format!("with another signal for block {k}, in block {j}")))?;
            }
        }
    }
    Ok(Outcome::Tried)
}

fn next_class(labels: Tensor<1, Int>, classes: usize) -> Tensor<1, Int> {
    (labels + 1).remainder_scalar(classes as i32)
}

/// Replaces the values in a trace; the graph of a block is kept, since the block itself made it.
fn falsified_values(made: Trace<AnyActivation>) -> Trace<AnyActivation> {
    let values = made.output.features();
    if values.is_tracked() { made } else { made.output.with_features(values * 0.5 + 0.1).into() }
}

/// The pass with every teaching signal altered.
fn falsified(mut pass: Pass, classes: usize) -> Pass {
    pass.labels = next_class(pass.labels, classes);
    pass.signals = pass.signals.map(|_, signal| match signal {
        Signal::Classes(labels) => Signal::Classes(next_class(labels, classes)),
        Signal::Rows(rows) => Signal::Rows(rows.neg()),
        Signal::Blocks(blocks) => Signal::Blocks(blocks.into_iter().map(|made| made.map(falsified_values)).collect()),
    });
    // Two streams of the same shape are two kinds of samples; other streams do not correspond to each other.
    let shape = |stream: &AnyActivation| match stream {
        AnyActivation::Maps(maps) => maps.dims()[1..].to_vec(),
        other => other.features().dims()[1..].to_vec(),
    };
    if pass.streams.windows(2).all(|pair| shape(&pair[0]) == shape(&pair[1])) {
        pass.streams.reverse();
    }
    pass
}

/// What a block learns does not depend on the blocks above it.
pub fn blocks_above_have_no_say(case: &Case) -> Verdict {
    concerns!(case.is_local()?);
    let batch = case.batch(0);
    let base = trace_step(&case.model(seed())?, &batch)?;
    for k in 0..base.blocks() {
        let above = |path: &str| path.starts_with("network.") && block_of(path).is_some_and(|j| j > k);
        let moved = trace_step(&perturb(case.model(seed())?, above), &batch)?;
        for j in 0..=k {
            let same_input = same_bits(&base.entering[j], &moved.entering[j]);
            ensure!(same_input || case.reach()?.reads_above(), "blocks above {k} affect block {j}");
            if same_input {
                same(&of_block(&base.taped[j], j), &of_block(&moved.taped[j], j))
                    .map_err(|e| e.at(format!("with other blocks above {k}, in block {j}")))?;
            }
        }
    }
    Ok(Outcome::Tried)
}

/// If a rule declares that a signal from above reaches its blocks, it names that signal, and there is one: with other blocks
/// above, some block receives something else.
pub fn a_rule_that_reads_what_is_above_says_what_and_does(case: &Case) -> Verdict {
    let reach = case.reach()?;
    concerns!(case.is_local()? && reach.reads_above());
    let (Reach::Above(what) | Reach::Network(what)) = reach else {
        return Err(Violation(format!("{reach:?} is not a signal from above")));
    };
    ensure!(what.trim().len() > 2, "the name of what crosses the border is {what:?}");
    let batch = case.batch(0);
    // In a first round the signal may not have arrived yet.
    let base = entering_in_all_rounds(&case.model(seed())?, &batch);
    let reaches = |k: usize| -> Result<bool, Violation> {
        // Includes the output layer, the only source of a signal for a rule's last block.
        let above = |path: &str| match block_of(path) {
            Some(block) => block > k,
            None => path.starts_with("rule."),
        };
        let moved = entering_in_all_rounds(&perturb(case.model(seed())?, above), &batch);
        Ok((0..=k).any(|j| !same_bits(&base[j], &moved[j])))
    };
    for k in 0..base.len() {
        if reaches(k)? {
            return Ok(Outcome::Tried);
        }
    }
    Err(Violation(format!(
        "no change above a block affects its input, although the rule declares that it depends on {what}"
    )))
}

/// A block that learns passes on the same output as a block that is only run.
pub fn learning_moves_a_pass_on_as_advancing_does(case: &Case) -> Verdict {
    concerns!(case.is_local()?);
    let mut expected: Option<Vec<f32>> = None;
    trace_step_with(&case.model(seed())?, &case.batch(0), |model, index, pass| {
        let streams: Vec<f32> = pass.streams.iter().flat_map(features).collect();
        let as_expected = expected.as_ref().is_none_or(|expected| same_bits(expected, &streams));
        ensure!(as_expected, "block {} passes on another output when it learns", index.saturating_sub(1));
        let mut pass = copy(pass, model, index);
        model.rule.advance(index, &model.network.blocks()[index], &mut pass);
        expected = Some(pass.streams.iter().flat_map(features).collect());
        Ok(())
    })?;
    Ok(Outcome::Tried)
}

/// If a rule declares that it is not local, its losses reach the blocks below.
pub fn a_rule_that_says_it_is_not_local_is_not(case: &Case) -> Verdict {
    concerns!(!case.is_local()?);
    let base = step(&case.model(seed())?, case)?;
    let paths = parameters(&case.model(seed())?)?;
    let of_loss = |k: usize| paths.keys().any(|path| is_loss_of(path, k));
    for k in (1..case.model(seed())?.network.len()).filter(|k| of_loss(*k)) {
        let moved = step(&perturb(case.model(seed())?, |path| is_loss_of(path, k)), case)?;
        for j in 0..k {
            ensure!(of_block(&base, j) != of_block(&moved, j), "head {k} does not reach block {j}");
        }
    }
    Ok(Outcome::Tried)
}

/// The first block of a greedy schedule, which learns alone, starts like the first block when all blocks learn.
pub fn greedy_and_simultaneous_learning_start_alike(case: &Case) -> Verdict {
    let spec = case.spec()?;
    concerns!(spec.reach().is_local() && spec.greedy().is_ok());
    let batch = case.batch(0);
    let all = step(&case.model(seed())?, case)?;
    // A greedy schedule starts with a network of one block, the prefix.
    let model = case.model(seed())?.prefix(1);
    let pass = model.rule.begin(&model.network, &batch, model.context(&batch), &mut Tape::new(()));
    let first = gradients(&model, &model.learn_block(0, pass, batch.key).grads)?;
    same(&of_block(&all, 0), &of_block(&first, 0))?;
    Ok(Outcome::Tried)
}
