//! When a run is saved, and which checkpoints it keeps.

use std::time::{Duration, Instant};

use burn::train::checkpoint::CheckpointerError;
use burn::train::metric::store::{Aggregate, Direction, EventStoreClient, Split};
use burn::train::{EarlyStoppingStrategy, EventProcessorTraining, TrainingError};

use super::epoch_loop::EpochLoop;
use super::history::{SharedHistory, best_of_block};
use super::learner::BlockLearner;
use crate::metric_files::MetricFiles;
use crate::metrics::{NonFiniteGuard, Quantity, StepLog, metric_name};
use crate::run_folder::{CheckpointWriter, Position, RunFolder};

/// How and when a run is saved.
#[derive(Clone)]
pub struct Saving {
    /// The run folder.
    pub folder: RunFolder,
    /// Which epochs to keep in addition to the last two.
    pub best: Best,
    /// How often to save within an epoch.
    pub every: SaveEvery,
    /// Measurements of the steps of the current epoch.
    pub steps: StepLog,
    /// Metric files for other tools.
    pub metric_files: MetricFiles,
    /// Detects losses that are not finite. Weights that follow one are not saved.
    pub guard: NonFiniteGuard,
}

/// How often a run is saved within an epoch; with both settings, whichever comes first triggers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SaveEvery {
    /// Number of steps since the run was last saved.
    pub steps: Option<usize>,
    /// Time since the run was last saved.
    pub time: Option<Duration>,
}

/// Saves a run after every epoch, and within an epoch if it is long or interrupted. Which checkpoints are kept follows
/// from the disk and the metrics, so a resumed run decides like an uninterrupted one.
pub(super) struct Checkpoints {
    saving: Saving,
    writer: CheckpointWriter,
    /// Epochs whose checkpoints are on disk.
    kept: Vec<usize>,
    /// The checkpoint within the current epoch.
    within: Option<Position>,
    last: (Instant, usize),
}

type Outcome<T> = Result<T, TrainingError>;

fn failed(error: crate::Error) -> TrainingError {
    TrainingError::Checkpoint(CheckpointerError::Unknown(error.to_string()))
}

impl Checkpoints {
    /// Checkpoints of a run that continues at `position`.
    pub(super) fn new(saving: Saving, position: Position) -> Outcome<Self> {
        let writer = CheckpointWriter::new(saving.folder.clone()).map_err(failed)?;
        let kept = saving.folder.checkpointed_epochs();
        let within = position.is_within_epoch().then_some(position);
        Ok(Self { saving, writer, kept, within, last: (Instant::now(), position.steps) })
    }

    /// Called after step number `steps` of `epoch`. Saves the run if it is due or about to stop, and returns whether it
    /// is about to stop.
    pub(super) fn step_taken(
        &mut self,
        learner: &BlockLearner,
        epochs: &mut EpochLoop,
        epoch: usize,
        steps: usize,
    ) -> Outcome<bool> {
        let SaveEvery { steps: every, time } = self.saving.every;
        let stops = epochs.interrupter.should_stop();
        let is_due = every.is_some_and(|every| steps >= self.last.1 + every)
            || time.is_some_and(|time| self.last.0.elapsed() >= time);
        if is_due || stops {
            self.save_within(learner, epochs, Position { epochs: epoch - 1, steps })?;
        }
        Ok(stops)
    }

    /// Saves a run that stops after the last training step of `epoch`, before validation.
    pub(super) fn stopped_after_training(
        &mut self,
        learner: &BlockLearner,
        epochs: &mut EpochLoop,
        epoch: usize,
    ) -> Outcome<()> {
        epochs.events.flush()?;
        let steps = self.saving.steps.get().len();
        self.save_within(learner, epochs, Position { epochs: epoch - 1, steps })
    }

    fn save_within(&mut self, learner: &BlockLearner, epochs: &mut EpochLoop, at: Position) -> Outcome<()> {
        if learner.model().rule.carries_state() || self.within == Some(at) {
            return Ok(());
        }
        // Measurements are made on another thread.
        epochs.events.flush()?;
        if self.saving.guard.found().is_some() {
            return Ok(());
        }
        let (model, state) = learner.state(self.saving.steps.get(), epochs.seconds());
        if state.steps.len() != at.steps {
            tracing::warn!(measured = state.steps.len(), steps = at.steps, "not saved: some steps were not measured");
            return Ok(());
        }
        self.writer.save(at, model, state).map_err(failed)?;
        if let Some(before) = self.within.replace(at).filter(|before| *before != at) {
            self.writer.delete(before).map_err(failed)?;
        }
        self.last = (Instant::now(), at.steps);
        Ok(())
    }

    /// Called after training and validation of `epoch`. Saves the run, and deletes the checkpoints that are no longer
    /// kept.
    pub(super) fn epoch_ended(
        &mut self,
        learner: &BlockLearner,
        epoch: usize,
        store: &EventStoreClient,
    ) -> Outcome<()> {
        // Once this query returns, all rows of the epoch are written. If they cannot be read, saving reports it.
        let best = self.saving.best.epochs(epoch, store);
        let _ = store.find_metric(&metric_name(None, Quantity::Loss), epoch, Aggregate::Mean, &Split::Train);
        self.writer.add_rows().map_err(failed)?;
        let (model, state) = learner.state(Vec::new(), 0.0);
        self.writer.save(Position::after_epoch(epoch), model, state).map_err(failed)?;
        self.saving.metric_files.write().map_err(failed)?;
        self.saving.steps.clear();
        self.last = (Instant::now(), 0);
        self.kept.push(epoch);
        let (keep, delete) = self.kept.iter().partition(|&&kept| kept + 1 >= epoch || best.contains(&kept));
        self.kept = keep;
        let delete: Vec<usize> = delete;
        let delete = delete.into_iter().map(Position::after_epoch).chain(self.within.take());
        for position in delete {
            self.writer.delete(position).map_err(failed)?;
        }
        Ok(())
    }
}

/// Which epochs have the best weights so far.
#[derive(Debug, Clone)]
pub enum Best {
    /// No epoch; the best weights are not used.
    None,
    /// The epoch with the best validation accuracy of the network.
    OfNetwork,
    /// The best epoch of every block, under a greedy schedule.
    OfBlocks(SharedHistory),
}

impl Best {
    /// The epochs that a run at `epoch` may still return to.
    fn epochs(&self, epoch: usize, store: &EventStoreClient) -> Vec<usize> {
        match self {
            Self::None => Vec::new(),
            Self::OfNetwork => best_epoch(store).into_iter().collect(),
            Self::OfBlocks(history) => {
                let history = history.get();
                // The previous checkpoint may belong to the previous block.
                let blocks = history.iter().take(epoch).rev().take(2).map(|(block, _)| *block);
                blocks.filter_map(|block| best_of_block(&history, block)).collect()
            }
        }
    }
}

/// Epoch with the best validation accuracy so far; the first one in case of a tie.
pub(crate) fn best_epoch(store: &EventStoreClient) -> Option<usize> {
    store.find_epoch(&metric_name(None, Quantity::Accuracy), Aggregate::Mean, Direction::Highest, &Split::Valid)
}

/// Stops after `patience` epochs without a better validation accuracy. Burn's own strategy keeps its best value in
/// memory and loses it when a run is resumed; this one reads it from the metrics.
#[derive(Clone)]
pub struct Patience {
    /// Number of epochs to wait.
    pub patience: usize,
}

impl EarlyStoppingStrategy for Patience {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        best_epoch(store).is_some_and(|best| epoch >= best + self.patience)
    }
}
