//! The training of a run on burn-train: its loaders, metrics, checkpoints and schedule put together.

use std::sync::Arc;

use burn::train::metric::LossMetric;
use burn::train::renderer::MetricsRenderer;
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};

use super::checkpoint::{AtomicCheckpointer, Best, KeepCheckpoints, Patience};
use super::logger::{JsonlLogger, SplitClock, WriteProblem};
use super::manifest::Manifests;
use super::metrics::{BlockMetric, NonFinite, NonFiniteGuard, Quantity};
use super::run::Run;
use super::run_folder::{MetricRow, RunFolder};
use crate::config::Keep;
use crate::schedule::{GreedyStrategy, SharedHistory};
use burn_forward::data::DataSplit;
use burn_forward::model::LocalModel;
use burn_forward::optim::ParameterGroup;
use burn_forward::random::Seed;
use burn_forward::{Error, Result};

/// Block and its validation accuracy for every epoch of a greedy run.
pub(super) fn greedy_history(rows: &[MetricRow]) -> Vec<(usize, Option<f64>)> {
    let mut phases: Vec<(usize, usize)> =
        rows.iter().filter(|r| r.split == "train").filter_map(|r| Some((r.epoch, r.phase?))).collect();
    phases.sort_unstable();
    phases.dedup();
    phases
        .into_iter()
        .map(|(epoch, block)| {
            let row = rows.iter().find(|r| r.epoch == epoch && r.split == "validation" && r.block == Some(block));
            (block, row.and_then(|r| r.accuracy))
        })
        .collect()
}

/// Whether a resumed run has nothing left to train.
pub(super) fn is_done(run: &Run, rows: &[MetricRow], blocks: usize) -> bool {
    let epochs = run.config.training.epochs;
    if run.config.schedule.is_greedy() {
        let (history, patience) = (greedy_history(rows), run.config.schedule.patience());
        return !history.is_empty() && crate::schedule::next_phase(&history, blocks, epochs, patience).is_none();
    }
    let last = rows.iter().map(|r| r.epoch).max().unwrap_or(0);
    let stopped_early = run
        .config
        .training
        .patience
        .is_some_and(|patience| best_epoch(rows).is_some_and(|(best, _)| last >= best + patience));
    last >= epochs || stopped_early
}

/// Epoch with the best validation accuracy of the network, the first of equals, and that accuracy.
pub(super) fn best_epoch(rows: &[MetricRow]) -> Option<(usize, f64)> {
    rows.iter()
        .filter(|r| r.split == "validation" && r.block.is_none())
        .filter_map(|r| Some((r.epoch, r.accuracy?)))
        .fold(None, |best, (epoch, accuracy)| match best {
            Some((_, highest)) if highest >= accuracy => best,
            _ => Some((epoch, accuracy)),
        })
}

/// Trains a model with burn-train, from its start or from the checkpoint of epoch `resumed`.
///
/// # Errors
/// As [`train`](super::train).
pub(super) fn fit(
    run: &Run,
    folder: &RunFolder,
    model: LocalModel,
    renderer: Box<dyn MetricsRenderer>,
    resumed: Option<usize>,
    rows: &[MetricRow],
) -> Result<()> {
    let training = &run.config.training;
    let device = run.training_device();
    let first_epoch = resumed.unwrap_or(0) as u64 + 1;
    let train = run.data.train_loader(training.batching(), first_epoch, training.workers, &device)?;
    let steps = run.data.steps_per_epoch(training.batching());
    let valid = run.data.eval_loader(DataSplit::Validation, training.eval_batch_size, &run.device)?;
    let blocks = model.network.len();
    let greedy = run.config.schedule.is_greedy();
    let epochs = if greedy { training.epochs * blocks } else { training.epochs };

    let groups: Vec<ParameterGroup> = run.config.rule.parameter_groups();
    let optimizer = run.config.optimizer.optimizer(&groups)?;
    let scheduler = run.config.optimizer.scheduler(&groups, steps * training.epochs)?;
    let fresh_schedule = scheduler.to_record();

    let clock = SplitClock::default();
    let problem = WriteProblem::default();
    let interrupter = run.options.interrupter.0.clone();
    let logger = JsonlLogger::new(folder.clone(), clock.clone(), greedy, interrupter.clone(), problem.clone())?;
    let guard = NonFiniteGuard::new(interrupter.clone());

    let manifests = Manifests::new(folder.clone());
    let history = SharedHistory::new(if greedy { greedy_history(rows) } else { Vec::new() });
    let checkpoints = folder.checkpoints();
    std::fs::create_dir_all(&checkpoints).map_err(|e| Error::write(&checkpoints, e))?;
    let mut builder = SupervisedTraining::new(folder.path(), train, valid)
        .with_application_logger(None)
        .with_metric_logger(logger)
        .with_progress_logger(clock)
        .with_interrupter(interrupter.clone())
        .renderer(renderer)
        .num_epochs(epochs)
        .with_checkpointing_strategy(KeepCheckpoints {
            best: match (training.keep, greedy) {
                (Keep::Last, _) => Best::None,
                (Keep::Best, false) => Best::OfNetwork,
                (Keep::Best, true) => Best::OfBlocks(history.clone()),
            },
            kept: folder.checkpointed_epochs(),
            manifests: manifests.clone(),
        })
        .with_custom_checkpointers(
            AtomicCheckpointer::new(checkpoints.clone(), "model", manifests.clone()),
            AtomicCheckpointer::new(checkpoints.clone(), "optim", manifests.clone()),
            AtomicCheckpointer::new(checkpoints, "scheduler", manifests),
        )
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(LossMetric::new());
    for block in std::iter::once(None).chain((0..blocks).map(Some)) {
        for quantity in Quantity::ALL {
            if block.is_none() && matches!(quantity, Quantity::Positive | Quantity::Negative) {
                continue;
            }
            let metric = BlockMetric::new(block, quantity);
            let metric = match quantity {
                Quantity::Loss if block.is_some() => metric.guarded(guard.clone()),
                _ => metric,
            };
            builder = builder.metric_train_numeric(metric.clone()).metric_valid_numeric(metric);
        }
    }
    if let (Some(patience), false) = (training.patience, greedy) {
        builder = builder.early_stopping(Patience { patience });
    }
    if let Some(epoch) = resumed {
        builder = builder.checkpoint(epoch);
    }
    if greedy {
        builder = builder.with_training_strategy(TrainingStrategy::Custom(Arc::new(GreedyStrategy {
            device,
            epochs_per_block: training.epochs,
            patience: run.config.schedule.patience(),
            cache: run.config.schedule.caches(),
            batching: training.batching(),
            seed: Seed::new(run.config.seed),
            ordered: run.data.eval_loader(DataSplit::Train, training.eval_batch_size, &run.device)?,
            fresh_schedule,
            history,
            best: (training.keep == Keep::Best).then(|| folder.clone()),
        })));
    }
    let result = builder.launch(Learner::new(model, optimizer, scheduler));

    let last = folder.last_checkpoint();
    if let Some(NonFinite { block, value, epoch, step }) = guard.found() {
        // Not "go on": a resumed run would take the same steps to the same end.
        let saved = last.map_or("no epoch was finished, so nothing is saved".into(), |epoch| {
            let file = folder.model_of_epoch(epoch);
            format!("the last good weights are those of epoch {epoch} in {}", file.display())
        });
        let checkpoint = format!("{saved}; a lower optimizer.lr or an optimizer.clip may help");
        return Err(Error::NonFinite { block, value, epoch, step, checkpoint });
    }
    let saved = match last {
        Some(epoch) => format!(
            "epochs up to {epoch} are saved; go on with `burn-forward train --resume {}`",
            folder.path().display()
        ),
        None => "no epoch was finished, so nothing is saved".into(),
    };
    if let Some(error) = result.error {
        return Err(Error::burn("training", error));
    }
    if let Some(problem) = problem.lock().ok().and_then(|mut problem| problem.take()) {
        return Err(Error::write(folder.file("metrics.jsonl"), problem));
    }
    if let Some(interruption) = result.interrupted {
        // The epoch that was cut short has left rows, which would pass for those of a whole one.
        folder.keep_rows(last.unwrap_or(0))?;
        let by = interruption.reason.map_or(String::new(), |reason| format!(" by {reason}"));
        return Err(Error::Interrupted(format!("stopped{by}; {saved}")));
    }
    Ok(())
}
