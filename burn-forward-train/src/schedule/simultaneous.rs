//! The simultaneous schedule on burn-train: every batch teaches every block, in as many optimiser steps as the rule takes.
//!
//! It is Burn's own loop on one device, with one difference: Burn takes one optimiser step on a batch, and this one as many as the
//! [rule](burn_forward::rules::Rule::rounds) asks for. The learning-rate schedule goes on once a batch.

use burn::data::dataloader::Progress;
use burn::module::Module;
use burn::tensor::Device;
use burn::train::{
    EventProcessorTraining, InferenceStep, Learner, LearnerEvent, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingError, TrainingItem, ValidLoader,
};
use burn_forward::data::Batch;
use burn_forward::model::{LocalModel, StepOutput};

use super::epoch_loop::EpochLoop;

/// Trains all blocks on every batch.
pub struct SimultaneousStrategy {
    /// The device, with autodiff.
    pub device: Device,
}

impl EpochLoop {
    /// All blocks learn for an epoch, or until the run is interrupted.
    fn train(&mut self, learner: &mut Learner<LocalModel>, epoch: usize) -> Result<(), TrainingError> {
        let total_items = self.train.num_items();
        self.events.process_train(LearnerEvent::StartSplit { epoch_number: epoch, total_items })?;
        let train = self.train.clone();
        let mut batches = train.iter();
        let mut iteration = 0;
        while let Some(batch) = batches.next() {
            iteration += 1;
            let progress: Progress = batches.progress();
            let output = learn(learner, &batch?);
            let item = TrainingItem::new(output, progress, Some(iteration), Some(learner.lr_current()));
            self.events.process_train(LearnerEvent::ProcessedItem(item))?;
            if self.interrupter.should_stop() {
                break;
            }
        }
        Ok(self.events.process_train(LearnerEvent::EndSplit(epoch))?)
    }
}

/// The optimiser steps of a batch; returns what the last one says.
fn learn(learner: &mut Learner<LocalModel>, batch: &Batch) -> StepOutput {
    learner.lr_step();
    let (_, said) = learner.model().learn_with(batch, |model, gradients| {
        // The learner has the same one, and updates it.
        drop(model);
        learner.optimizer_step(gradients);
        learner.model()
    });
    said
}

impl SupervisedLearningStrategy<LocalModel> for SimultaneousStrategy {
    fn fit(
        &self,
        components: TrainingComponents<LocalModel>,
        mut learner: Learner<LocalModel>,
        train: TrainLoader<LocalModel>,
        valid: ValidLoader<LocalModel>,
        starting_epoch: usize,
    ) -> (LocalModel, SupervisedTrainingEventProcessor<LocalModel>) {
        learner.fork(&self.device);
        let TrainingComponents {
            event_processor,
            mut checkpointer,
            interrupter,
            event_store,
            mut early_stopping,
            num_epochs,
            ..
        } = components;
        let mut epochs = EpochLoop::new(event_processor, &interrupter, (&train, &valid), &self.device);
        let mut epoch = |learner: &mut Learner<LocalModel>, epoch: usize| -> Result<(), TrainingError> {
            epochs.train(learner, epoch)?;
            if epochs.interrupter.should_stop() {
                return Ok(());
            }
            let model = learner.model().valid();
            epochs.validate(epoch, |batch| InferenceStep::step(&model, batch))?;
            epochs.events.process_train(LearnerEvent::EndEpoch(epoch))?;
            Ok(epochs.events.flush()?)
        };
        for number in starting_epoch..=num_epochs {
            interrupter.fail_on_error(epoch(&mut learner, number));
            if interrupter.should_stop() {
                break;
            }
            if let Some(checkpointer) = &mut checkpointer {
                checkpointer.checkpoint(&learner, number, &event_store);
            }
            if early_stopping.as_mut().is_some_and(|stopping| stopping.should_stop(number, &event_store)) {
                break;
            }
        }
        (learner.model(), epochs.events)
    }
}
