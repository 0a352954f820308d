//! What the epochs of all schedules have in common.

use std::sync::Arc;
use std::time::Instant;

use burn::data::dataloader::{DataLoader, Progress};
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::tensor::Device;
use burn::train::{
    EventProcessorTraining, Interrupter, LearnerEvent, SupervisedTrainingEventProcessor, TrainLoader, TrainingError,
    TrainingItem, ValidLoader,
};
use burn_forward::data::Batch;
use burn_forward::model::{EvalOutput, LocalModel, StepMetrics, StepOutput};

use super::learner::TrainingState;

/// The parts of burn-train that an epoch needs.
pub(super) struct EpochLoop {
    pub(super) events: SupervisedTrainingEventProcessor<LocalModel>,
    pub(super) interrupter: Interrupter,
    pub(super) train: Arc<dyn DataLoader<Batch>>,
    valid: Arc<dyn DataLoader<Batch>>,
    /// Metrics of the steps that the first epoch took before the run was resumed.
    before: Vec<StepMetrics>,
    /// When training of the current epoch began, and the seconds it took before the run was resumed.
    began: (Instant, f64),
    /// Seconds that the first epoch took before the run was resumed.
    seconds_before: f64,
}

impl EpochLoop {
    /// A loop over the loaders of the training and validation sets, for training on `device`.
    pub(super) fn new(
        events: SupervisedTrainingEventProcessor<LocalModel>,
        interrupter: &Interrupter,
        (train, valid): (&TrainLoader<LocalModel>, &ValidLoader<LocalModel>),
        device: &Device,
    ) -> Self {
        Self {
            events,
            interrupter: interrupter.clone(),
            train: train.to_device(device),
            valid: valid.to_device(&device.clone().inner()),
            before: Vec::new(),
            began: (Instant::now(), 0.0),
            seconds_before: 0.0,
        }
    }

    /// Continues the first epoch after the steps in `start`.
    pub(super) fn after(self, start: &TrainingState) -> Self {
        Self { before: start.steps.clone(), seconds_before: start.seconds, ..self }
    }

    /// Seconds that the training steps of the current epoch took.
    pub(super) fn seconds(&self) -> f64 {
        self.began.1 + self.began.0.elapsed().as_secs_f64()
    }

    /// Begins to train an epoch. Returns how many of its steps were taken before the run was resumed; their
    /// measurements count as if they were made now.
    pub(super) fn start_training(&mut self, epoch: usize, lr: &ModuleLearningRate) -> Result<usize, TrainingError> {
        let total_items = self.train.num_items();
        self.events.process_train(LearnerEvent::StartSplit { epoch_number: epoch, total_items })?;
        self.began = (Instant::now(), std::mem::take(&mut self.seconds_before));
        let before = std::mem::take(&mut self.before);
        // Show the earlier steps as one: they say nothing about the current speed.
        let items = before.iter().map(|metrics| metrics.rows).sum();
        let mut steps = 0;
        for metrics in before {
            steps += 1;
            let progress = Progress::new(items, total_items, Some("items".into()));
            self.step_taken(StepOutput::from_metrics(metrics), progress, steps, lr)?;
        }
        Ok(steps)
    }

    /// Called after step `number` (from 1) of an epoch.
    pub(super) fn step_taken(
        &mut self,
        output: StepOutput,
        progress: Progress,
        number: usize,
        lr: &ModuleLearningRate,
    ) -> Result<(), TrainingError> {
        let item = TrainingItem::new(output, progress, Some(number), Some(lr.clone()));
        Ok(self.events.process_train(LearnerEvent::ProcessedItem(item))?)
    }

    /// Validates batch by batch until the end of the validation set or an interruption.
    pub(super) fn validate(
        &mut self,
        epoch: usize,
        mut evaluate: impl FnMut(Batch) -> EvalOutput,
    ) -> Result<(), TrainingError> {
        let total_items = self.valid.num_items();
        self.events.process_valid(LearnerEvent::StartSplit { epoch_number: epoch, total_items })?;
        let valid = self.valid.clone();
        let mut batches = valid.iter();
        let mut iteration = 0;
        while let Some(batch) = batches.next() {
            iteration += 1;
            let output = evaluate(batch?);
            let item = TrainingItem::new(output, batches.progress(), Some(iteration), None);
            self.events.process_valid(LearnerEvent::ProcessedItem(item))?;
            if self.interrupter.should_stop() {
                break;
            }
        }
        Ok(self.events.process_valid(LearnerEvent::EndSplit(epoch))?)
    }
}
