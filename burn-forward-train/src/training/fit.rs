//! Training of a run on burn-train: puts together its loaders, metrics, checkpoints and schedule.

use std::sync::Arc;

use burn::lr_scheduler::LrSchedulerRecord;
use burn::train::metric::LossMetric;
use burn::train::renderer::MetricsRenderer;
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};

use super::logger::{JsonlLogger, SplitClock};
use super::progress::greedy_history;
use super::run::Run;
use super::watch::Watch;
use crate::Result;
use crate::config::FinalWeights;
use crate::metric_files::MetricFiles;
use crate::metrics::{BlockMetric, NonFiniteGuard, Quantity, StepLog};
use crate::run_folder::{MetricRow, Position, RunFolder};
use crate::schedule::{Best, GreedyStrategy, Patience, Saving, SharedHistory, SimultaneousStrategy, TrainingState};
use burn_forward::data::DataSplit;
use burn_forward::model::LocalModel;
use burn_forward::optim::BlockwiseOptimizer;
use burn_forward::random::Seed;

type Training = SupervisedTraining<LocalModel>;

/// Trains a model with burn-train, from the beginning or from the checkpoint at `resumed`.
///
/// # Errors
/// The same as those of [`train`](super::train).
pub(super) fn fit(
    run: &Run,
    folder: &RunFolder,
    model: LocalModel,
    renderer: Box<dyn MetricsRenderer>,
    resumed: Option<Position>,
    (rows, metric_files): (&[MetricRow], MetricFiles),
) -> Result<()> {
    let settings = &run.config.training;
    let blocks = model.network.len();
    let history = run.config.schedule.is_greedy().then(|| SharedHistory::new(greedy_history(rows)));
    let watch = Watch::new(run.interrupter());

    let groups = run.config.rule.parameter_groups();
    let steps = run.data.steps_per_epoch(settings.batching()) * settings.epochs;
    let scheduler = run.config.optimizer.scheduler(&groups, steps)?;
    let optimizer = BlockwiseOptimizer::new(&run.config.optimizer, &groups)?;
    let fresh = TrainingState::new(optimizer, scheduler.clone());
    let start = match resumed {
        Some(position) => fresh.resumed(folder, position)?,
        None => fresh,
    };
    let saving = Saving {
        folder: folder.clone(),
        best: best(settings.final_weights, history.as_ref()),
        every: settings.save_every(),
        steps: StepLog::default(),
        metric_files,
        guard: watch.guard.clone(),
    };

    let epochs_before = resumed.unwrap_or_default().epochs;
    let mut training = with_loaders(run, folder, epochs_before)?;
    training = with_logger(training, folder, &watch, history.is_some(), start.seconds)?.renderer(renderer);
    training = with_metrics(training, blocks, &watch.guard, &saving.steps).checkpoint(epochs_before);
    training = match (history, settings.patience) {
        (Some(history), _) => {
            let strategy = greedy_strategy(run, folder, history, scheduler.to_record(), (start, saving))?;
            training
                .num_epochs(settings.epochs * blocks)
                .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)))
        }
        (None, patience) => {
            let strategy = SimultaneousStrategy { device: run.training_device(), start, saving };
            let training = training
                .num_epochs(settings.epochs)
                .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)));
            match patience {
                Some(patience) => training.early_stopping(Patience { patience }),
                None => training,
            }
        }
    };
    // The strategies have their own optimiser, whose state they save.
    let unused = run.config.optimizer.optimizer(&groups)?;
    let result = training.launch(Learner::new(model, unused, scheduler));
    watch.judge(folder, result.error, result.interrupted)
}

/// Training on the run's data, to be continued after `epochs` epochs.
fn with_loaders(run: &Run, folder: &RunFolder, epochs: usize) -> Result<Training> {
    let settings = &run.config.training;
    let first_epoch = epochs as u64 + 1;
    let train = run.data.train_loader(settings.batching(), first_epoch, settings.workers, &run.training_device())?;
    let valid = run.data.eval_loader(DataSplit::Validation, settings.eval_batch_size, &run.device)?;
    Ok(SupervisedTraining::new(folder.path(), train, valid))
}

/// Adds the logger of `metrics.jsonl`, and what the watch needs to end the run.
fn with_logger(
    training: Training,
    folder: &RunFolder,
    watch: &Watch,
    greedy: bool,
    seconds_before: f64,
) -> Result<Training> {
    let clock = SplitClock::after(seconds_before);
    let (interrupter, problem) = (watch.interrupter.clone(), watch.problem.clone());
    let logger = JsonlLogger::new(folder.clone(), clock.clone(), greedy, interrupter.clone(), problem)?;
    Ok(training
        .with_application_logger(None)
        .with_metric_logger(logger)
        .with_progress_logger(clock)
        .with_interrupter(interrupter))
}

/// Which epochs a run keeps in addition to the newest; `history` is that of a greedy run.
fn best(keep: FinalWeights, history: Option<&SharedHistory>) -> Best {
    match (keep, history) {
        (FinalWeights::Last, _) => Best::None,
        (FinalWeights::Best, None) => Best::OfNetwork,
        (FinalWeights::Best, Some(history)) => Best::OfBlocks(history.clone()),
    }
}

/// Adds the loss of the step, and every quantity of the network and of every block.
fn with_metrics(training: Training, blocks: usize, guard: &NonFiniteGuard, log: &StepLog) -> Training {
    let mut training = training.metric_train_numeric(LossMetric::new()).metric_valid_numeric(LossMetric::new());
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
            let of_training = match (block, quantity) {
                // One metric keeps the log, whether or not the rule has this quantity.
                (None, Quantity::Loss) => metric.clone().logged(log.clone()),
                _ => metric.clone(),
            };
            training = training.metric_train_numeric(of_training).metric_valid_numeric(metric);
        }
    }
    training
}

fn greedy_strategy(
    run: &Run,
    folder: &RunFolder,
    history: SharedHistory,
    fresh_schedule: LrSchedulerRecord,
    (start, saving): (TrainingState, Saving),
) -> Result<GreedyStrategy> {
    let settings = &run.config.training;
    Ok(GreedyStrategy {
        device: run.training_device(),
        epochs_per_block: settings.epochs,
        patience: run.config.schedule.patience(),
        cache: run.config.schedule.caches(),
        batching: settings.batching(),
        seed: Seed::new(run.config.seed),
        ordered: run.data.eval_loader(DataSplit::Train, settings.eval_batch_size, &run.device)?,
        fresh_schedule,
        history,
        best: (settings.final_weights == FinalWeights::Best).then(|| folder.clone()),
        start,
        saving,
    })
}
