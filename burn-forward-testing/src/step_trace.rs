//! One step on a batch, and one of a local rule taken block by block, with what enters every block kept.

use burn::train::TrainOutput;
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::block::{Block, Trace};
use burn_forward::data::Batch;
use burn_forward::model::{LocalModel, StepOutput};
use burn_forward::rules::{Pass, Signal};
use burn_forward::tape::Tape;

use crate::values::{Values, features, gradients, numbers};
use crate::verdict::Violation;

/// A step, block by block.
#[derive(Debug, Clone)]
pub struct StepTrace {
    /// All that block `k` is given: activations and teaching signal.
    pub entering: Vec<Vec<f32>>,
    /// What block `k` alone put on a tape; the last entry is what [`begin`](burn_forward::rules::Rule::begin) and
    /// [`end`](burn_forward::rules::Rule::end) put there.
    pub taped: Vec<Values>,
}

impl StepTrace {
    /// The gradients of the whole step.
    pub fn gradients(&self) -> Values {
        self.taped.iter().flatten().map(|(path, value)| (path.clone(), value.clone())).collect()
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.entering.len()
    }
}

/// The step on a batch; of a rule that takes several, the first.
pub fn first_step(model: &LocalModel, batch: &Batch) -> TrainOutput<StepOutput> {
    model.learn_round(&mut model.begin(batch))
}

/// The pass again, for block `index` of `model` to learn from once more. A graph that an earlier pass left in the block is made
/// anew, since Burn runs a graph backwards once; graphs that it left in other blocks are not there. Values that it left stay.
pub fn copy(pass: &Pass, model: &LocalModel, index: usize) -> Pass {
    let anew = |signal: Signal| match signal {
        Signal::Blocks(blocks) => {
            let again = |(i, made): (usize, Option<Trace<AnyActivation>>)| {
                let made = made?;
                if !made.output.features().is_tracked() {
                    return Some(made);
                }
                (i == index).then(|| model.network.blocks()[index].trace(pass.streams[0].clone().detach()))
            };
            Signal::Blocks(blocks.into_iter().enumerate().map(again).collect())
        }
        values => values,
    };
    Pass { signals: pass.signals.clone().map(|_, signal| anew(signal)), ..pass.clone() }
}

/// Everything in a pass that block `index` can see.
fn visible(pass: &Pass, index: usize) -> Vec<f32> {
    let mut seen: Vec<f32> = pass.streams.iter().flat_map(features).collect();
    seen.extend(numbers(pass.labels.clone().float()));
    for (_, signal) in pass.signals.iter() {
        match signal {
            Signal::Classes(classes) => seen.extend(numbers(classes.clone().float())),
            Signal::Rows(rows) => seen.extend(numbers(rows.clone())),
            Signal::Blocks(blocks) => {
                let own = blocks.get(index).and_then(Option::as_ref);
                seen.extend(own.iter().flat_map(|trace| features(&trace.output)));
            }
        }
    }
    seen
}

/// Runs one step in which every block has a tape of its own.
///
/// # Errors
/// If a gradient is not finite, or belongs to no parameter of the model.
pub fn trace_step(model: &LocalModel, batch: &Batch) -> Result<StepTrace, Violation> {
    trace_step_with(model, batch, |_, _, _| Ok(()))
}

/// As [`trace_step`], where `visit` may look at the model and the pass before a block learns.
///
/// # Errors
/// As [`trace_step`], and what `visit` finds.
pub fn trace_step_with(
    model: &LocalModel,
    batch: &Batch,
    mut visit: impl FnMut(&LocalModel, usize, &Pass) -> Result<(), Violation>,
) -> Result<StepTrace, Violation> {
    let mut beginning = Tape::new(());
    let mut pass = model.rule.begin(&model.network, batch, model.context(batch), &mut beginning);
    let blocks = model.network.len();
    let mut trace = StepTrace { entering: vec![Vec::new(); blocks], taped: vec![Values::default(); blocks] };
    for index in model.rule.order(blocks) {
        visit(model, index, &pass)?;
        trace.entering[index] = visible(&pass, index);
        let mut tape = Tape::new(());
        model.rule.learn_block(index, &model.network.blocks()[index], &mut pass, &mut tape);
        trace.taped[index] = gradients(model, tape.gradients())?;
    }
    model.rule.end(&model.network, &mut pass, &mut beginning);
    trace.taped.push(gradients(model, beginning.gradients())?);
    Ok(trace)
}

/// All that every block is given in all the rounds of a batch, one round after the other, with the weights left as they are.
pub fn entering_in_all_rounds(model: &LocalModel, batch: &Batch) -> Vec<Vec<f32>> {
    let mut tape = Tape::new(());
    let mut pass = model.rule.begin(&model.network, batch, model.context(batch), &mut tape);
    let blocks = model.network.len();
    let mut entering = vec![Vec::new(); blocks];
    let rounds = model.rule.rounds();
    if rounds == 1 {
        // A signal may come down from block to block.
        for index in model.rule.order(blocks) {
            entering[index] = visible(&pass, index);
            model.rule.learn_block(index, &model.network.blocks()[index], &mut pass, &mut tape);
        }
        return entering;
    }
    let context = model.context(batch);
    for _ in 0..rounds {
        entering.iter_mut().enumerate().for_each(|(index, seen)| seen.extend(visible(&pass, index)));
        model.rule.learn(&model.network, &mut pass, context, &mut tape);
    }
    entering
}
