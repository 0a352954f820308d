//! What the epochs of all schedules have in common.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use burn::train::{
    EventProcessorTraining, Interrupter, LearnerEvent, SupervisedTrainingEventProcessor, TrainLoader, TrainingError,
    TrainingItem, ValidLoader,
};
use burn_forward::data::Batch;
use burn_forward::model::{EvalOutput, LocalModel};

/// The parts of burn-train that an epoch needs.
pub(super) struct EpochLoop {
    pub(super) events: SupervisedTrainingEventProcessor<LocalModel>,
    pub(super) interrupter: Interrupter,
    pub(super) train: Arc<dyn DataLoader<Batch>>,
    valid: Arc<dyn DataLoader<Batch>>,
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
        }
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
