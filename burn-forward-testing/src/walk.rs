//! One step of a local rule taken block by block, with what enters every block kept.

use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::block::{Block, Trace};
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::rules::Pass;
use burn_forward::tape::Tape;

use crate::values::{Values, features, gradients, numbers};
use crate::verdict::Broken;

/// A step in slow motion.
#[derive(Debug, Clone)]
pub struct Walk {
    /// All that block `k` is given: activations and teaching signal.
    pub entering: Vec<Vec<f32>>,
    /// What block `k` alone put on a tape; the last entry is what [`begin`](burn_forward::rules::Rule::begin) and
    /// [`end`](burn_forward::rules::Rule::end) put there.
    pub taped: Vec<Values>,
    /// The rule's teaching signal was made by a pass of the whole network: an output error, or negatives sampled from
    /// its prediction. Then every block learns something else when any block changes, and rightly so.
    pub reads_network: bool,
}

impl Walk {
    /// The gradients of the whole step.
    pub fn gradients(&self) -> Values {
        self.taped.iter().flatten().map(|(path, value)| (path.clone(), value.clone())).collect()
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.entering.len()
    }
}

/// The pass again, for block `index` of `model` to learn from once more. A trace made before is made anew: Burn runs a
/// graph backwards once.
pub fn copy(pass: &Pass, model: &LocalModel, index: usize) -> Pass {
    let again = |made: &Option<Trace<AnyActivation>>| {
        made.as_ref().map(|_| model.network.blocks()[index].trace(pass.streams[0].clone().detach()))
    };
    Pass {
        streams: pass.streams.clone(),
        labels: pass.labels.clone(),
        negatives: pass.negatives.clone(),
        error: pass.error.clone(),
        reference: pass.reference.iter().enumerate().map(|(i, t)| if i == index { again(t) } else { None }).collect(),
        logits: pass.logits.clone(),
    }
}

/// Everything in a pass that block `index` can see.
fn visible(pass: &Pass, index: usize) -> Vec<f32> {
    let mut seen: Vec<f32> = pass.streams.iter().flat_map(features).collect();
    seen.extend(numbers(pass.labels.clone().float()));
    seen.extend(pass.negatives.iter().flat_map(|n| numbers(n.clone().float())));
    seen.extend(pass.error.iter().flat_map(|e| numbers(e.clone())));
    let reference = pass.reference.get(index).and_then(Option::as_ref);
    seen.extend(reference.iter().flat_map(|trace| features(&trace.output)));
    seen
}

/// Walks through one step; every block has a tape of its own.
///
/// # Errors
/// If a gradient is not finite, or belongs to no parameter of the model.
pub fn walk(model: &LocalModel, batch: &Batch) -> Result<Walk, Broken> {
    walk_with(model, batch, |_, _, _| Ok(()))
}

/// As [`walk`], where `visit` may look at the model and the pass before a block learns.
///
/// # Errors
/// As [`walk`], and what `visit` finds.
pub fn walk_with(
    model: &LocalModel,
    batch: &Batch,
    mut visit: impl FnMut(&LocalModel, usize, &Pass) -> Result<(), Broken>,
) -> Result<Walk, Broken> {
    let mut beginning = Tape::new(());
    let mut pass = model.rule.begin(&model.network, batch, model.context(batch), &mut beginning);
    let mut walk =
        Walk { entering: Vec::new(), taped: Vec::new(), reads_network: pass.error.is_some() || pass.logits.is_some() };
    for (index, block) in model.network.blocks().iter().enumerate() {
        visit(model, index, &pass)?;
        walk.entering.push(visible(&pass, index));
        let mut tape = Tape::new(());
        model.rule.learn_block(index, block, &mut pass, &mut tape);
        walk.taped.push(gradients(model, tape.gradients())?);
    }
    model.rule.end(&model.network, &mut pass, &mut beginning);
    walk.taped.push(gradients(model, beginning.gradients())?);
    Ok(walk)
}
