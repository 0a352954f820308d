//! The greedy schedule on burn-train: it trains each block to the end before the next, and caches the outputs of
//! finished blocks.

use std::sync::Arc;

use burn::data::dataloader::{DataLoader, Progress};
use burn::data::dataset::DatasetError;
use burn::lr_scheduler::LrSchedulerRecord;
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Device;
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use burn::train::{
    EventProcessorTraining, InferenceStep, Learner, LearnerEvent, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingError, ValidLoader,
};

use super::cache::Cache;
use super::checkpoints::{Checkpoints, Saving};
use super::epoch_loop::EpochLoop;
use super::finished::FinishedBlocks;
use super::finished_outputs::FinishedOutputs;
use super::history::{SharedHistory, best_of_block, next_phase};
use super::learner::{BlockLearner, TrainingState};
use crate::metrics::{Quantity, metric_name};
use crate::run_folder::RunFolder;
use burn_forward::data::{Batch, BatchKey, Batching};
use burn_forward::model::LocalModel;
use burn_forward::random::Seed;
use burn_forward::rules::Pass;

/// Trains one block after another.
pub struct GreedyStrategy {
    /// The device, with autodiff.
    pub device: Device,
    /// Maximum number of epochs per block.
    pub epochs_per_block: usize,
    /// A block is finished after this number of epochs without a better validation accuracy of its own readout.
    pub patience: Option<usize>,
    /// Whether to cache the outputs of finished blocks. This requires that they are the same in every epoch: see
    /// [`RuleSpec::cacheable`](burn_forward::rules::RuleSpec::cacheable) and
    /// [`DataSpec::cacheable`](burn_forward::data::DataSpec::cacheable).
    pub cache: bool,
    /// How the cached samples of an epoch are divided into batches.
    pub batching: Batching,
    /// Seed of the run's random streams.
    pub seed: Seed,
    /// The training set in its original order and without augmentation, to fill the cache from.
    pub ordered: Arc<dyn DataLoader<Batch>>,
    /// State of the learning-rate schedule at the start of a block.
    pub fresh_schedule: LrSchedulerRecord,
    /// Block and validation accuracy of every epoch, including those before a resume.
    pub history: SharedHistory,
    /// The run folder, if each block is to end with the weights of its best epoch, which are in one of the checkpoints,
    /// rather than with its last ones.
    pub best: Option<RunFolder>,
    /// The training state to start from.
    pub start: TrainingState,
    /// How the run is saved.
    pub saving: Saving,
}

/// The error that ends a run.
type Outcome<T> = Result<T, TrainingError>;

/// What all epochs of a block have in common.
struct BlockContext {
    block: usize,
    finished: FinishedBlocks,
    cache: Option<Cache>,
    /// Cached outputs of the finished blocks for validation graphs.
    validation: FinishedOutputs,
}

impl GreedyStrategy {
    /// Restores the best weights of `block`, which has finished learning.
    fn restore_best(&self, learner: &mut BlockLearner, block: usize) -> Outcome<()> {
        let Some(folder) = &self.best else { return Ok(()) };
        let history = self.history.get();
        let Some(epoch) = best_of_block(&history, block).filter(|epoch| *epoch < history.len()) else {
            return Ok(()); // The current weights are the best.
        };
        let path = folder.model_of_epoch(epoch);
        let record = ModuleRecord::load(&path)
            .map_err(|e| DatasetError::new(std::io::Error::other(format!("{}: {e}", path.display()))))?;
        learner.load_model(record);
        Ok(())
    }

    /// Prepares the epochs of `block`.
    fn context(&self, model: &LocalModel, block: usize) -> Outcome<BlockContext> {
        let finished = FinishedBlocks::below(model, block);
        let cache = if self.cache {
            let ordered = self.ordered.to_device(&self.device);
            let passes = ordered.iter().map(|batch| Ok(finished.forward(model, &batch?)));
            Some(Cache::fill(passes, &model.rule, &model.network.blocks()[block])?)
        } else {
            None
        };
        Ok(BlockContext { block, finished, cache, validation: FinishedOutputs::new(block) })
    }

    /// Trains the block for an epoch, or until the run is interrupted.
    fn train(
        &self,
        learner: &mut BlockLearner,
        context: &BlockContext,
        epochs: &mut EpochLoop,
        checkpoints: &mut Checkpoints,
        epoch: usize,
    ) -> Outcome<()> {
        let taken = epochs.start_training(epoch, learner.lr())?;
        let (items, train) = (epochs.train.num_items(), epochs.train.clone());
        let steps: Box<dyn Iterator<Item = Result<Step, DatasetError>> + '_> = match &context.cache {
            Some(cache) => Box::new(
                cache.batches(items, self.batching, epoch, self.seed).map(|(pass, key)| Ok(Step::Cached(pass, key))),
            ),
            None => Box::new(train.iter().map(|batch| Ok(Step::Loaded(batch?)))),
        };
        for (step, number) in steps.zip(1..) {
            if number <= taken {
                step?;
                if epochs.interrupter.should_stop() {
                    break;
                }
                continue;
            }
            let model = learner.model();
            let (pass, key) = match step? {
                Step::Loaded(batch) => (context.finished.forward(model, &batch), batch.key),
                Step::Cached(pass, key) => {
                    model.seed_step(&self.device, key);
                    (pass, key)
                }
            };
            let output = model.learn_block(context.block, pass, key);
            learner.next_lr();
            learner.step(output.grads);
            let done = (number * self.batching.size).min(items);
            epochs.step_taken(output.item, Progress::new(done, items, Some("items".into())), number, learner.lr())?;
            if checkpoints.step_taken(learner, epochs, epoch, number)? {
                break;
            }
        }
        Ok(epochs.events.process_train(LearnerEvent::EndSplit(epoch))?)
    }

    /// Validates the blocks up to the one that learns.
    fn validate(
        &self,
        model: &LocalModel,
        context: &BlockContext,
        epochs: &mut EpochLoop,
        epoch: usize,
    ) -> Outcome<()> {
        let model = model.prefix(context.block + 1).valid();
        let kept = self.cache.then(|| context.validation.rewound());
        epochs.validate(epoch, |batch| match &kept {
            Some(kept) => kept.validate(&model, batch),
            None => InferenceStep::step(&model, batch),
        })
    }

    /// Trains all blocks, starting where `history` ends. Returns early if the run is interrupted.
    fn blocks(
        &self,
        learner: &mut BlockLearner,
        epochs: &mut EpochLoop,
        store: &EventStoreClient,
        starting_epoch: usize,
    ) -> Outcome<()> {
        let mut checkpoints = Checkpoints::new(self.saving.clone(), self.start.position)?;
        let blocks = learner.model().network.len();
        let mut epoch = starting_epoch;
        let mut context: Option<BlockContext> = None;
        let mut goes_on = self.start.position.is_within_epoch();
        while let Some(phase) = next_phase(&self.history.get(), blocks, self.epochs_per_block, self.patience) {
            // A run that is resumed within an epoch has done this already.
            if phase.epochs == 0 && phase.block > 0 && !goes_on {
                learner.load_scheduler(self.fresh_schedule.clone());
                self.restore_best(learner, phase.block - 1)?;
            }
            goes_on = false;
            let context = match context.take().filter(|context| context.block == phase.block) {
                Some(same) => context.insert(same),
                None => context.insert(self.context(learner.model(), phase.block)?),
            };
            self.train(learner, context, epochs, &mut checkpoints, epoch)?;
            if epochs.interrupter.should_stop() {
                // The interruption may have come after the last step.
                checkpoints.stopped_after_training(learner, epochs, epoch)?;
                break;
            }
            self.validate(learner.model(), context, epochs, epoch)?;
            epochs.events.process_train(LearnerEvent::EndEpoch(epoch))?;
            epochs.events.flush()?;
            if epochs.interrupter.should_stop() {
                checkpoints.stopped_after_training(learner, epochs, epoch)?;
                break;
            }
            let accuracy = metric_name(Some(phase.block), Quantity::Accuracy);
            self.history.push(phase.block, store.find_metric(&accuracy, epoch, Aggregate::Mean, &Split::Valid));
            checkpoints.epoch_ended(learner, epoch, store)?;
            epoch += 1;
        }
        Ok(())
    }
}

/// Input of one step.
#[allow(clippy::large_enum_variant, reason = "there is one of these at a time")]
enum Step {
    /// A batch of the data set, which still has to pass through the finished blocks.
    Loaded(Batch),
    /// A batch from the cache, which enters the learning block directly.
    Cached(Pass, BatchKey),
}

impl SupervisedLearningStrategy<LocalModel> for GreedyStrategy {
    fn fit(
        &self,
        components: TrainingComponents<LocalModel>,
        learner: Learner<LocalModel>,
        train: TrainLoader<LocalModel>,
        valid: ValidLoader<LocalModel>,
        starting_epoch: usize,
    ) -> (LocalModel, SupervisedTrainingEventProcessor<LocalModel>) {
        let TrainingComponents { event_processor, interrupter, event_store, .. } = components;
        let mut learner = BlockLearner::taken_from(learner, &self.device, &self.start);
        let mut epochs =
            EpochLoop::new(event_processor, &interrupter, (&train, &valid), &self.device).after(&self.start);
        interrupter.fail_on_error(self.blocks(&mut learner, &mut epochs, &event_store, starting_epoch));
        (learner.into_model(), epochs.events)
    }
}

#[cfg(test)]
mod tests;
