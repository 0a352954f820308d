//! Learning-rate range test of a run, from its initial weights.

use burn::train::ItemLazy;

use super::run::Run;
use crate::measure::{RateCurve, RateRange};
use burn_forward::optim::{BlockwiseOptimizer, LrSchedule, OptimizerConfig, ParameterGroup};
use burn_forward::parameters::take;
use burn_forward::{Error, Result};

/// Takes one step per batch with learning rates that grow over `range`, starting from the weights the run would start
/// from. Nothing is saved. All blocks learn in every step, whatever the schedule.
///
/// The rate is that of `optimizer.lr`; rates that the config or the rule sets for some parameters keep their ratio to
/// it. The loss is the mean of the blocks' own losses, or the loss of the network if the rule's blocks have none.
///
/// # Errors
/// The errors of [`RateRange::rates`], [`Error::Burn`] if a step has no loss, and any error from the model, the data or
/// the optimiser.
pub fn find_lr(run: &Run, range: RateRange) -> Result<RateCurve> {
    let place = "find_lr";
    range.rates()?;
    run.check_batches()?;
    let config = &run.config.optimizer;
    let groups = run.config.rule.parameter_groups();
    let mut model = run.start_model()?;
    let mut optimizer = BlockwiseOptimizer::new(config, &groups)?;
    let loader = run.data.train_loader(run.config.training.batching(), 1, 0, &run.training_device())?;
    let mut batches = (0..).flat_map(|_| loader.iter());
    range.test(|rate| {
        let batch = batches.next().ok_or_else(|| Error::argument(place, "number of batches", 0, "at least 1"))?;
        let batch = batch.map_err(|e| Error::burn(place, e))?;
        let (config, groups) = at_rate(config, &groups, rate);
        let rates = config.scheduler(&groups, 1)?.step();
        let (learned, said) =
            take(&mut model).learn_with(&batch, |model, gradients| optimizer.step(rates.clone(), model, gradients));
        model = learned;
        let item = said.sync().map_err(|e| Error::burn(place, format!("{e:?}")))?;
        let metrics = item.metrics();
        let of_network = || metrics.of(None).and_then(|network| network.loss);
        metrics.objective().or_else(of_network).ok_or_else(|| Error::burn(place, "the step has no loss"))
    })
}

/// The optimiser and its parameter groups with the constant rate `rate` in place of the config's; the other rates keep
/// their ratio to it.
fn at_rate(config: &OptimizerConfig, groups: &[ParameterGroup], rate: f64) -> (OptimizerConfig, Vec<ParameterGroup>) {
    let factor = rate / config.lr;
    let mut at_rate = OptimizerConfig { lr: rate, lr_schedule: LrSchedule::Constant, ..config.clone() };
    at_rate.block_lr.iter_mut().flatten().for_each(|lr| *lr *= factor);
    let mut groups = groups.to_vec();
    groups.iter_mut().for_each(|group| group.optimizer.lr *= factor);
    (at_rate, groups)
}
