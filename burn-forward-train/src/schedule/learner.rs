//! What a schedule trains: the model, its optimiser and the learning rates.

use burn::lr_scheduler::LrSchedulerRecord;
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn::tensor::Device;
use burn::train::Learner;
use burn_forward::data::Batch;
use burn_forward::model::{LocalModel, StepMetrics, StepOutput};
use burn_forward::optim::BlockwiseOptimizer;
use burn_forward::parameters::take;

use crate::Result;
use crate::run_folder::{Position, RunFolder, SavedState};

/// The state of training besides the weights: what trains the model, and how far it has come.
#[derive(Clone)]
pub struct TrainingState {
    /// The optimiser.
    pub optimizer: BlockwiseOptimizer,
    /// Learning rates.
    pub scheduler: ModuleLrScheduler,
    /// Number of completed epochs, and of steps in the epoch after them, before the run was resumed.
    pub position: Position,
    /// Measurements of the steps in the incomplete epoch.
    pub steps: Vec<StepMetrics>,
    /// Seconds that these steps took.
    pub seconds: f64,
}

impl TrainingState {
    /// The state at the beginning of a run.
    pub fn new(optimizer: BlockwiseOptimizer, scheduler: impl Into<ModuleLrScheduler>) -> Self {
        Self { optimizer, scheduler: scheduler.into(), position: Position::default(), steps: Vec::new(), seconds: 0.0 }
    }

    /// The state in the checkpoint at `position`.
    ///
    /// # Errors
    /// [`Error::RunFolder`](crate::Error::RunFolder) if the checkpoint cannot be read.
    pub fn resumed(self, folder: &RunFolder, position: Position) -> Result<Self> {
        let SavedState { optimizer, scheduler, steps, seconds } = folder.saved_state(position)?;
        let optimizer = self.optimizer.load_records([optimizer])?;
        Ok(Self { optimizer, scheduler: self.scheduler.load_record(scheduler), position, steps, seconds })
    }
}

/// A model that learns.
pub(super) struct BlockLearner {
    model: LocalModel,
    optimizer: BlockwiseOptimizer,
    scheduler: ModuleLrScheduler,
    lr: ModuleLearningRate,
}

impl BlockLearner {
    /// Takes the model of burn-train's `learner`, on `device`. The `learner` is dropped: otherwise the initial weights
    /// would stay in memory, and autodiff would visit each of them after every backward pass.
    pub(super) fn taken_from(learner: Learner<LocalModel>, device: &Device, state: &TrainingState) -> Self {
        let TrainingState { optimizer, scheduler, .. } = state.clone();
        Self { model: learner.model().fork(device), optimizer, scheduler, lr: 0.0.into() }
    }

    /// The current model.
    pub(super) fn model(&self) -> &LocalModel {
        &self.model
    }

    pub(super) fn into_model(self) -> LocalModel {
        self.model
    }

    /// The learning rate of the current step.
    pub(super) fn lr(&self) -> &ModuleLearningRate {
        &self.lr
    }

    /// Advances the learning rates by one step.
    pub(super) fn next_lr(&mut self) {
        self.lr = self.scheduler.step();
    }

    /// Takes the optimiser steps for a batch and returns the output of the last one.
    pub(super) fn learn(&mut self, batch: &Batch) -> StepOutput {
        let Self { model, optimizer, lr, .. } = self;
        let (learned, said) =
            take(model).learn_with(batch, |model, gradients| optimizer.step(lr.clone(), model, gradients));
        *model = learned;
        said
    }

    /// Takes one optimiser step.
    pub(super) fn step(&mut self, gradients: GradientsParams) {
        self.model = self.optimizer.step(self.lr.clone(), take(&mut self.model), gradients);
    }

    /// Continues with other weights.
    pub(super) fn load_model(&mut self, record: ModuleRecord) {
        self.model = take(&mut self.model).load_record(record);
    }

    /// Continues with the learning rates of another step.
    pub(super) fn load_scheduler(&mut self, record: LrSchedulerRecord) {
        self.scheduler = self.scheduler.clone().load_record(record);
    }

    /// The weights, and the rest of a checkpoint. `steps` are the measurements of an incomplete epoch, which took
    /// `seconds`.
    pub(super) fn state(&self, steps: Vec<StepMetrics>, seconds: f64) -> (ModuleRecord, SavedState) {
        let (optimizer, scheduler) = (self.optimizer.to_record(), self.scheduler.to_record());
        (self.model.clone().into_record(), SavedState { optimizer, scheduler, steps, seconds })
    }
}
