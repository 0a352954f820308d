//! The simultaneous schedule on burn-train: every block learns from every batch, with as many optimiser steps as the
//! rule asks for.
//!
//! It is Burn's own loop on one device, with two differences: it takes as many optimiser steps on a batch as the
//! [rule](burn_forward::rules::Rule::rounds) asks for, and the run can be saved within an epoch. The learning-rate
//! schedule advances once per batch.

use burn::module::Module;
use burn::tensor::Device;
use burn::train::{
    EventProcessorTraining, InferenceStep, Learner, LearnerEvent, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingError, ValidLoader,
};
use burn_forward::model::LocalModel;

use super::checkpoints::{Checkpoints, Saving};
use super::epoch_loop::EpochLoop;
use super::learner::{BlockLearner, TrainingState};

/// Trains all blocks on every batch.
pub struct SimultaneousStrategy {
    /// The device, with autodiff.
    pub device: Device,
    /// The training state to start from.
    pub start: TrainingState,
    /// How the run is saved.
    pub saving: Saving,
}

impl EpochLoop {
    /// Trains all blocks for an epoch, or until the run is interrupted.
    fn train(
        &mut self,
        learner: &mut BlockLearner,
        checkpoints: &mut Checkpoints,
        epoch: usize,
    ) -> Result<(), TrainingError> {
        let train = self.train.clone();
        let taken = self.start_training(epoch, learner.lr())?;
        let mut batches = train.iter();
        for batch in batches.by_ref().take(taken) {
            batch?;
            if self.interrupter.should_stop() {
                return Ok(self.events.process_train(LearnerEvent::EndSplit(epoch))?);
            }
        }
        let mut number = taken;
        while let Some(batch) = batches.next() {
            number += 1;
            let progress = batches.progress();
            learner.next_lr();
            let output = learner.learn(&batch?);
            self.step_taken(output, progress, number, learner.lr())?;
            if checkpoints.step_taken(learner, self, epoch, number)? {
                break;
            }
        }
        Ok(self.events.process_train(LearnerEvent::EndSplit(epoch))?)
    }
}

impl SupervisedLearningStrategy<LocalModel> for SimultaneousStrategy {
    fn fit(
        &self,
        components: TrainingComponents<LocalModel>,
        learner: Learner<LocalModel>,
        train: TrainLoader<LocalModel>,
        valid: ValidLoader<LocalModel>,
        starting_epoch: usize,
    ) -> (LocalModel, SupervisedTrainingEventProcessor<LocalModel>) {
        let TrainingComponents { event_processor, interrupter, event_store, mut early_stopping, num_epochs, .. } =
            components;
        let mut learner = BlockLearner::taken_from(learner, &self.device, &self.start);
        let mut epochs =
            EpochLoop::new(event_processor, &interrupter, (&train, &valid), &self.device).after(&self.start);
        let mut all = |learner: &mut BlockLearner, epochs: &mut EpochLoop| -> Result<(), TrainingError> {
            let mut checkpoints = Checkpoints::new(self.saving.clone(), self.start.position)?;
            for number in starting_epoch..=num_epochs {
                epochs.train(learner, &mut checkpoints, number)?;
                if epochs.interrupter.should_stop() {
                    // The interruption may have come after the last step.
                    checkpoints.stopped_after_training(learner, epochs, number)?;
                    break;
                }
                let model = learner.model().valid();
                epochs.validate(number, |batch| InferenceStep::step(&model, batch))?;
                epochs.events.process_train(LearnerEvent::EndEpoch(number))?;
                epochs.events.flush()?;
                if epochs.interrupter.should_stop() {
                    checkpoints.stopped_after_training(learner, epochs, number)?;
                    break;
                }
                checkpoints.epoch_ended(learner, number, &event_store)?;
                if early_stopping.as_mut().is_some_and(|stopping| stopping.should_stop(number, &event_store)) {
                    break;
                }
            }
            Ok(())
        };
        interrupter.fail_on_error(all(&mut learner, &mut epochs));
        (learner.into_model(), epochs.events)
    }
}
