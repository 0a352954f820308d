//! The cost of a training step in time and memory. Memory is the resident memory above that before the first step. The
//! part that belongs to parameters (gradients, optimiser state), which no learning rule saves, is reported separately.

use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::store::burn_pack;
use burn::tensor::Tensor;
use burn::train::ItemLazy;
use serde::{Deserialize, Serialize};

use super::memory::{
    file_memory_bytes, peak_memory_bytes, release_freed_memory, reset_peak_memory, resident_memory_bytes,
};
use super::run::Run;
use burn_forward::optim::BlockwiseOptimizer;
use burn_forward::{Error, Result};

/// Cost of a step, measured in this process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepCost {
    /// Number of steps taken.
    pub steps: usize,
    /// Median seconds of a step, without the first if there are several. It includes forward, backward, update, and
    /// reading the loss.
    pub seconds_per_step: f64,
    /// Seconds of the fastest step.
    pub fastest_step: f64,
    /// Resident memory before the first step, including data and model.
    pub base_bytes: Option<u64>,
    /// Peak resident memory during the steps, above the base: activations, gradients, optimiser state, workspaces.
    pub peak_above_base_bytes: Option<u64>,
    /// Bytes of the parameters themselves, including heads and running statistics; they are part of the base.
    pub weight_bytes: usize,
    /// Bytes of the gradients that a step hands to the optimiser.
    pub gradient_bytes: usize,
    /// Bytes that the optimiser keeps between steps.
    pub optimizer_bytes: usize,
    /// Mean loss of the blocks in the last step, to check that two compared runs did similar work.
    pub last_loss: Option<f64>,
}

impl StepCost {
    /// The peak without gradients and optimiser state: activations and workspaces.
    pub fn activation_bytes(&self) -> Option<u64> {
        let of_parameters = (self.gradient_bytes + self.optimizer_bytes) as u64;
        self.peak_above_base_bytes.map(|peak| peak.saturating_sub(of_parameters))
    }
}

/// Takes `steps` training steps of a run from its initial weights. Nothing is saved.
///
/// # Errors
/// Any error from the model, the data or the optimiser, and [`Error::Argument`] for 0 steps.
pub fn step_cost(run: &Run, steps: usize) -> Result<StepCost> {
    let place = "step_cost";
    if steps == 0 {
        return Err(Error::argument(place, "number of steps", 0, ">= 1"));
    }
    run.check_batches()?;
    let mut model = run.start_model()?;
    let mut optimizer = BlockwiseOptimizer::new(&run.config.optimizer, &run.config.rule.parameter_groups())?;
    let training = &run.config.training;
    let loader = run.data.train_loader(training.batching(), 1, 0, &run.training_device())?;
    let batches = (0..).flat_map(|_| loader.iter()).take(steps);

    release_freed_memory();
    let base_bytes = resident_memory_bytes();
    let base_of_files = file_memory_bytes().unwrap_or_default();
    let reset = reset_peak_memory();
    let mut seconds = Vec::with_capacity(steps);
    let mut last_loss = None;
    let mut parameters = (0, 0);
    for batch in batches {
        let batch = batch.map_err(|e| Error::burn(place, e))?;
        let begun = Instant::now();
        let (learned, said) = model.learn_with(&batch, |model, gradients| {
            // Only in the first step, whose time does not count.
            if parameters == (0, 0) {
                model.visit(&mut ParameterBytes { gradients: &gradients, sum: &mut parameters });
            }
            optimizer.step(run.config.optimizer.lr, model, gradients)
        });
        model = learned;
        let item = said.sync().map_err(|e| Error::burn(place, format!("{e:?}")))?;
        last_loss = item.metrics().objective();
        seconds.push(begun.elapsed().as_secs_f64());
    }
    let peak = if reset { peak_memory_bytes() } else { None };
    // Program pages that the first steps load stay resident, but are not memory of training.
    let of_files = file_memory_bytes().unwrap_or_default().saturating_sub(base_of_files);
    let peak_above_base_bytes = peak.zip(base_bytes).map(|(peak, base)| peak.saturating_sub(base + of_files));
    let (weight_bytes, gradient_bytes) = parameters;
    let optimizer_bytes = state_bytes(&optimizer).map_err(|e| Error::burn(place, e))?;
    let mut timed = if seconds.len() > 1 { seconds.split_off(1) } else { seconds };
    timed.sort_by(f64::total_cmp);
    Ok(StepCost {
        steps,
        seconds_per_step: timed[timed.len() / 2],
        fastest_step: timed[0],
        base_bytes,
        peak_above_base_bytes,
        weight_bytes,
        gradient_bytes,
        optimizer_bytes,
        last_loss,
    })
}

/// Counts the bytes of a module's parameters and of their gradients.
struct ParameterBytes<'a> {
    gradients: &'a GradientsParams,
    /// Sums for parameters and for gradients.
    sum: &'a mut (usize, usize),
}

impl ModuleVisitor for ParameterBytes<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let bytes = |t: Tensor<D>| t.shape().num_elements() * t.dtype().size();
        self.sum.0 += bytes(param.val());
        self.sum.1 += self.gradients.get::<D>(param.id).map_or(0, bytes);
    }
}

/// Bytes of the optimiser's tensors, counted in its record, since nothing else exposes them.
fn state_bytes(optimizer: &BlockwiseOptimizer) -> Result<usize, Box<dyn std::error::Error>> {
    let record = optimizer.to_record();
    if record.is_empty() {
        return Ok(0);
    }
    let tensors = burn_pack::Reader::from_bytes(record.into_bytes()?)?.into_tensors()?;
    Ok(tensors.iter().map(burn_pack::Tensor::byte_len).sum())
}
