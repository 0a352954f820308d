//! The simultaneous schedule on burn-train: every batch teaches every block, in as many optimiser steps as the rule takes.
//!
//! It is Burn's own loop on one device, with one difference: Burn takes one optimiser step on a batch, and this one as many as the
//! [rule](burn_forward::rules::Rule::rounds) asks for. The learning-rate schedule goes on once a batch.

use burn::data::dataloader::Progress;
use burn::module::Module;
use burn::tensor::Device;
use burn::train::{
    EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingError, TrainingItem, ValidLoader,
};
use burn_forward::data::Batch;
use burn_forward::model::{LocalModel, StepOutput};

/// Trains all blocks on every batch.
pub struct SimultaneousStrategy {
    /// The device, with autodiff.
    pub device: Device,
}

/// The parts of burn-train that an epoch needs.
struct Stage {
    events: SupervisedTrainingEventProcessor<LocalModel>,
    interrupter: Interrupter,
    train: TrainLoader<LocalModel>,
    valid: ValidLoader<LocalModel>,
}

impl Stage {
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

    /// The model is tested on the validation set.
    fn validate(&mut self, model: &LocalModel, epoch: usize) -> Result<(), TrainingError> {
        let total_items = self.valid.num_items();
        self.events.process_valid(LearnerEvent::StartSplit { epoch_number: epoch, total_items })?;
        let model = model.valid();
        let valid = self.valid.clone();
        let mut batches = valid.iter();
        let mut iteration = 0;
        while let Some(batch) = batches.next() {
            iteration += 1;
            let progress = batches.progress();
            let item = TrainingItem::new(InferenceStep::step(&model, batch?), progress, Some(iteration), None);
            self.events.process_valid(LearnerEvent::ProcessedItem(item))?;
            if self.interrupter.should_stop() {
                break;
            }
        }
        Ok(self.events.process_valid(LearnerEvent::EndSplit(epoch))?)
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
        let mut stage = Stage {
            events: event_processor,
            interrupter: interrupter.clone(),
            train: train.to_device(&self.device),
            valid: valid.to_device(&self.device.clone().inner()),
        };
        let mut epoch = |learner: &mut Learner<LocalModel>, epoch: usize| -> Result<(), TrainingError> {
            stage.train(learner, epoch)?;
            if stage.interrupter.should_stop() {
                return Ok(());
            }
            stage.validate(&learner.model(), epoch)?;
            stage.events.process_train(LearnerEvent::EndEpoch(epoch))?;
            Ok(stage.events.flush()?)
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
        (learner.model(), stage.events)
    }
}
