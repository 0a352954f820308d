//! What a schedule trains: the model, an optimiser for every block, and the learning rates.

use std::collections::BTreeMap;

use burn::lr_scheduler::LrSchedulerRecord;
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn_forward::data::Batch;
use burn_forward::model::{LocalModel, StepMetrics, StepOutput};
use burn_forward::optim::{BlockOptimizers, OptimizerOwner};

use crate::run_folder::{Position, RunFolder, SavedState};
use crate::{Error, Result};

/// What a schedule trains a model with, and how far it has come.
#[derive(Clone)]
pub struct TrainingState {
    /// An optimiser for every block.
    pub optimizers: BlockOptimizers,
    /// Learning rates.
    pub scheduler: ModuleLrScheduler,
    /// Whole epochs, and steps of the epoch after them, that a resumed run has behind it.
    pub position: Position,
    /// What these steps measured.
    pub steps: Vec<StepMetrics>,
}

impl TrainingState {
    /// At the beginning of a run.
    pub fn new(optimizers: BlockOptimizers, scheduler: impl Into<ModuleLrScheduler>) -> Self {
        Self { optimizers, scheduler: scheduler.into(), position: Position::default(), steps: Vec::new() }
    }

    /// As the checkpoint at `position` has it.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if it cannot be read, or lacks the state of an optimiser.
    pub fn resumed(self, folder: &RunFolder, position: Position) -> Result<Self> {
        let SavedState { mut optimizers, scheduler, steps } = folder.saved_state(position)?;
        let mut records = BTreeMap::new();
        for owner in self.optimizers.owners() {
            let record = optimizers.remove(&owner.to_string()).ok_or_else(|| {
                Error::run_folder(folder.path(), format!("checkpoint/optim-{owner}-{position}.bpk is missing"))
            })?;
            records.insert(owner, record);
        }
        Ok(Self {
            optimizers: self.optimizers.load_records(records),
            scheduler: self.scheduler.load_record(scheduler),
            position,
            steps,
        })
    }
}

/// A model that learns.
pub(super) struct BlockLearner {
    model: LocalModel,
    optimizers: BlockOptimizers,
    scheduler: ModuleLrScheduler,
    lr: ModuleLearningRate,
}

impl BlockLearner {
    /// A learner of `model`, which is on the device that it learns on.
    pub(super) fn new(model: LocalModel, state: &TrainingState) -> Self {
        let TrainingState { optimizers, scheduler, .. } = state.clone();
        Self { model, optimizers, scheduler, lr: 0.0.into() }
    }

    /// The model as it is now.
    pub(super) fn model(&self) -> &LocalModel {
        &self.model
    }

    pub(super) fn into_model(self) -> LocalModel {
        self.model
    }

    /// The learning rate of the step in progress.
    pub(super) fn lr(&self) -> &ModuleLearningRate {
        &self.lr
    }

    /// The learning rates go on by a step.
    pub(super) fn next_lr(&mut self) {
        self.lr = self.scheduler.step();
    }

    /// The optimiser steps of a batch; returns what the last one says.
    pub(super) fn learn(&mut self, batch: &Batch) -> StepOutput {
        let Self { model, optimizers, lr, .. } = self;
        let (learned, said) =
            model.clone().learn_with(batch, |model, gradients| optimizers.step(lr.clone(), model, gradients));
        *model = learned;
        said
    }

    /// An optimiser step.
    pub(super) fn step(&mut self, gradients: GradientsParams) {
        self.model = self.optimizers.step(self.lr.clone(), self.model.clone(), gradients);
    }

    /// Goes on with other weights.
    pub(super) fn load_model(&mut self, record: ModuleRecord) {
        self.model = self.model.clone().load_record(record);
    }

    /// Goes on with the learning rates of another step.
    pub(super) fn load_scheduler(&mut self, record: LrSchedulerRecord) {
        self.scheduler = self.scheduler.clone().load_record(record);
    }

    /// The weights, and what a checkpoint holds beside them; `steps` are those of a begun epoch.
    pub(super) fn state(&self, steps: Vec<StepMetrics>) -> (ModuleRecord, SavedState) {
        let records = self.optimizers.to_records().into_iter();
        let optimizers = records.map(|(owner, record): (OptimizerOwner, _)| (owner.to_string(), record)).collect();
        (self.model.clone().into_record(), SavedState { optimizers, scheduler: self.scheduler.to_record(), steps })
    }
}
