//! What the epochs of all schedules have in common.

use std::sync::Arc;

use burn::data::dataloader::{DataLoader, Progress};
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::tensor::Device;
use burn::train::{
    EventProcessorTraining, Interrupter, LearnerEvent, SupervisedTrainingEventProcessor, TrainLoader, TrainingError,
    TrainingItem, ValidLoader,
};
use burn_forward::data::Batch;
use burn_forward::model::{EvalOutput, LocalModel, StepMetrics, StepOutput};

/// The parts of burn-train that an epoch needs.
pub(super) struct EpochLoop {
    pub(super) events: SupervisedTrainingEventProcessor<LocalModel>,
    pub(super) interrupter: Interrupter,
    pub(super) train: Arc<dyn DataLoader<Batch>>,
    valid: Arc<dyn DataLoader<Batch>>,
    /// What the steps measured that a resumed run has behind it in its first epoch.
    before: Vec<StepMetrics>,
}

impl EpochLoop {
    /// With loaders of the training and the validation set, for training on `device`.
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
        }
    }

    /// The first epoch has these steps behind it.
    pub(super) fn after(self, steps: Vec<StepMetrics>) -> Self {
        Self { before: steps, ..self }
    }

    /// Begins to train an epoch. Returns how many steps of it were taken before: their measurements count as if they had
    /// been made now.
    pub(super) fn start_training(&mut self, epoch: usize, lr: &ModuleLearningRate) -> Result<usize, TrainingError> {
        let total_items = self.train.num_items();
        self.events.process_train(LearnerEvent::StartSplit { epoch_number: epoch, total_items })?;
        let before = std::mem::take(&mut self.before);
        let (mut steps, mut items) = (0, 0);
        for metrics in before {
            steps += 1;
            items += metrics.rows;
            let progress = Progress::new(items, total_items, Some("items".into()));
            self.step_taken(StepOutput::from_metrics(metrics), progress, steps, lr)?;
        }
        Ok(steps)
    }

    /// Step `number` of an epoch, from 1, was taken.
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

    /// The validation set, a batch at a time, or until the run is interrupted.
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
