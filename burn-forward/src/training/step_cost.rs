//! What a training step costs: seconds, and resident memory above what is there before the first.

use std::time::Instant;

use burn::train::{ItemLazy, TrainStep};
use serde::{Deserialize, Serialize};

use super::memory::{peak_memory_bytes, reset_peak_memory, resident_memory_bytes};
use super::run::Run;
use crate::{Error, Result};

/// Cost of a step, measured in this process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepCost {
    /// Steps that were run.
    pub steps: usize,
    /// Median seconds of a step, the first left out where there are more: forward, backward, update, and reading the loss.
    pub seconds_per_step: f64,
    /// Seconds of the fastest step.
    pub fastest_step: f64,
    /// Resident memory before the first step, with data and model there.
    pub base_bytes: Option<u64>,
    /// Largest resident memory during the steps, above the base: activations, gradients, optimiser state, workspaces.
    pub peak_above_base_bytes: Option<u64>,
    /// Mean loss over blocks of the last step, which says that two arms did comparable things.
    pub last_loss: Option<f64>,
}

/// Runs `steps` training steps of a run's config from its initial weights, and keeps nothing of them.
///
/// # Errors
/// What the model, the data and the optimiser give, and [`Error::Argument`] for 0 steps.
pub fn step_cost(run: &Run, steps: usize) -> Result<StepCost> {
    let place = "step_cost";
    if steps == 0 {
        return Err(Error::argument(place, "number of steps", 0, ">= 1"));
    }
    let mut model = run.start_model()?;
    let mut optimizer = run.config.optimizer.optimizer(&run.config.rule.parameter_groups())?;
    let training = &run.config.training;
    let loader = run.data.train_loader(training.batch_size, 1, 0, &run.training_device())?;
    let batches = (0..).flat_map(|_| loader.iter()).take(steps);

    let base_bytes = resident_memory_bytes();
    let reset = reset_peak_memory();
    let mut seconds = Vec::with_capacity(steps);
    let mut last_loss = None;
    for batch in batches {
        let batch = batch.map_err(|e| Error::burn(place, e))?;
        let begun = Instant::now();
        let output = TrainStep::step(&model, batch);
        model = optimizer.step(run.config.optimizer.lr, model, output.grads);
        let item = output.item.sync().map_err(|e| Error::burn(place, format!("{e:?}")))?;
        last_loss = item.numbers().of(None).and_then(|n| n.loss);
        seconds.push(begun.elapsed().as_secs_f64());
    }
    let peak = if reset { peak_memory_bytes() } else { None };
    let peak_above_base_bytes = peak.zip(base_bytes).map(|(peak, base)| peak.saturating_sub(base));
    let mut timed = if seconds.len() > 1 { seconds.split_off(1) } else { seconds };
    timed.sort_by(f64::total_cmp);
    Ok(StepCost {
        steps,
        seconds_per_step: timed[timed.len() / 2],
        fastest_step: timed[0],
        base_bytes,
        peak_above_base_bytes,
        last_loss,
    })
}
