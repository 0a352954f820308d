//! One step on a batch as a whole; or, for a local rule, block by block with the inputs of every block recorded.

use burn::train::TrainOutput;
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::block::{Block, Trace};
use burn_forward::data::Batch;
use burn_forward::model::{LocalModel, StepOutput};
use burn_forward::rules::{Pass, Signal};
use burn_forward::tape::Tape;

use crate::values::{Values, features, gradients, numbers};
use crate::verdict::Violation;

/// A step, recorded block by block.
#[derive(Debug, Clone)]
pub struct StepTrace {
    /// All inputs of block `k`: activations and teaching signal.
    pub entering: Vec<Vec<f32>>,
    /// What block `k` alone put on a tape. The last entry is what [`begin`](burn_forward::rules::Rule::begin) and
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

/// The step on a batch; the first step if the rule takes several.
pub fn first_step(model: &LocalModel, batch: &Batch) -> TrainOutput<StepOutput> {
    model.learn_round(&mut model.begin(batch))
}

/// A copy of the pass, for block `index` of `model` to learn from again. If an earlier pass left a graph in the block, it is
/// rebuilt, since Burn can run a graph backwards only once; graphs in other blocks are left out. Values are kept.
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

/// Everything in a pass that block `index` has access to.
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

/// Runs one step in which every block has its own tape.
///
/// # Errors
/// If a gradient is not finite, or belongs to no parameter of the model.
pub fn trace_step(model: &LocalModel, batch: &Batch) -> Result<StepTrace, Violation> {
    trace_step_with(model, batch, |_, _, _| Ok(()))
}

/// Like [`trace_step`], with a call of `visit` on the model and the pass before each block learns.
///
/// # Errors
/// The errors of [`trace_step`], and any error that `visit` returns.
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

/// The inputs of every block in all rounds of a batch, one round after another, with unchanged weights.
pub fn entering_in_all_rounds(model: &LocalModel, batch: &Batch) -> Vec<Vec<f32>> {
    let mut tape = Tape::new(());
    let mut pass = model.rule.begin(&model.network, batch, model.context(batch), &mut tape);
    let blocks = model.network.len();
    let mut entering = vec![Vec::new(); blocks];
    let rounds = model.rule.rounds();
    if rounds == 1 {
        // A signal may travel down from block to block.
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
