//! A config with its data, ready to be built and trained.

use burn::tensor::Device;
use burn::train::Interrupter;

use super::assemble::{build_model, outline};
use crate::config::{RunConfig, document};
use crate::measure::{Evaluation, evaluate};
use crate::quick_look::QuickLook;
use crate::weights::{self, ImportReport};
use burn_forward::activation::RowShape;
use burn_forward::data::{DataFolders, DataSplit, LoadedData, ModelSignature};
use burn_forward::model::LocalModel;
use burn_forward::random::Seed;
use burn_forward::registry::Registry;
use burn_forward::{Error, Result};

/// Options of a run that are not in its config.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Name of the device.
    pub device_name: String,
    /// Folders in which data sets are searched for.
    pub folders: DataFolders,
    /// Handle that stops the run after the current step.
    pub interrupter: InterrupterHandle,
    /// The part of the data to use; by default all of it.
    pub quick_look: QuickLook,
    /// The command line, to be recorded in `run.json`.
    pub command: String,
    /// Git revision of the program, if known.
    pub git_revision: Option<String>,
}

impl RunOptions {
    /// Options for a run on the device `device_name`, with data sets from the default folder.
    pub fn on(device_name: &str) -> Self {
        Self {
            device_name: device_name.into(),
            folders: DataFolders::default(),
            interrupter: InterrupterHandle::default(),
            quick_look: QuickLook::default(),
            command: String::new(),
            git_revision: None,
        }
    }
}

/// A shared [`Interrupter`]; burn-train's type does not implement `Debug`.
#[derive(Clone, Default)]
pub struct InterrupterHandle(pub Interrupter);

impl std::fmt::Debug for InterrupterHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("InterrupterHandle").field(&self.0.should_stop()).finish()
    }
}

/// A config with its data, ready to be built and trained.
#[derive(Debug)]
pub struct Run {
    /// The config.
    pub config: RunConfig,
    /// The data.
    pub data: Box<dyn LoadedData>,
    /// The device, without autodiff.
    pub device: Device,
    pub(super) options: RunOptions,
}

impl Run {
    /// A run from a config given as text, with its data.
    ///
    /// # Errors
    /// [`Error::Config`] with all mistakes in the text, and the errors of [`prepare`](Self::prepare).
    pub fn from_json(text: &str, registry: &Registry, options: RunOptions) -> Result<Self> {
        const ORIGIN: &str = "config";
        let value = document::parse_document(ORIGIN, text).map_err(Error::Config)?;
        Self::prepare(RunConfig::from_value(ORIGIN, value, &[], registry)?, options)
    }

    /// Reads the data and finds the device.
    ///
    /// # Errors
    /// [`Error::Data`] and [`Error::Device`] if the data or the device is not available, [`Error::Argument`] for a
    /// quick look without samples, and [`Error::Config`] for mistakes that only the data reveals.
    pub fn prepare(config: RunConfig, mut options: RunOptions) -> Result<Self> {
        let device = burn_forward::device::parse(&options.device_name)?;
        let data = config.data.load(&options.folders, Seed::new(config.seed))?;
        // What is recorded and shown is the number of samples that there are.
        options.quick_look.overfit = options.quick_look.overfit.map(|n| n.min(data.samples(DataSplit::Train)));
        let data = options.quick_look.excerpt(data, config.training.batching(), &device)?;
        let run = Self { config, data, device, options };
        let (input, classes) = run.shapes();
        run.config.reject_if_any(run.config.errors_for_shape(input, classes))?;
        Ok(run)
    }

    /// A run that was trained before, with its test data alone. A run that was tested on training samples needs those
    /// as well.
    ///
    /// # Errors
    /// [`Error::Data`] and [`Error::Device`] if the data or the device is not available, [`Error::Argument`] if there
    /// are fewer samples than the run was to overfit, and [`Error::Config`] for mistakes that only the data reveals.
    pub fn prepare_test(config: RunConfig, options: RunOptions, trained: &ModelSignature) -> Result<Self> {
        let device = burn_forward::device::parse(&options.device_name)?;
        let data = config.data.load_test(&options.folders, Seed::new(config.seed), trained)?;
        if (data.input(), data.classes()) != (trained.input, trained.classes) {
            let of = |input: RowShape, classes: usize| format!("rows of {input} in {classes} classes");
            let needed = format!("{}, as the run was trained on", of(trained.input, trained.classes));
            return Err(Error::data(&config.data_name, of(data.input(), data.classes()), needed));
        }
        let data = options.quick_look.excerpt(data, config.training.batching(), &device)?;
        Ok(Self { config, data, device, options })
    }

    /// The config and the options, without the data.
    pub fn into_parts(self) -> (RunConfig, RunOptions) {
        (self.config, self.options)
    }

    /// Handle that stops the run after the current step.
    pub fn interrupter(&self) -> Interrupter {
        self.options.interrupter.0.clone()
    }

    /// Shape of an input row, and the number of classes.
    pub fn shapes(&self) -> (RowShape, usize) {
        (self.data.input(), self.data.classes())
    }

    /// The device for training, with autodiff.
    pub fn training_device(&self) -> Device {
        let device = self.device.clone().autodiff();
        if self.config.training.gradient_checkpointing { device.gradient_checkpointing() } else { device }
    }

    /// A model with initial weights on the training device.
    ///
    /// # Errors
    /// [`Error::Argument`] if network, rule and data do not fit together.
    pub fn model(&self) -> Result<LocalModel> {
        let (input, classes) = self.shapes();
        let model = build_model(&self.config, input, classes, &self.training_device())?;
        Ok(model.with_signature(self.data.signature()))
    }

    /// The model with shapes alone, for counting and describing it without allocating its weights.
    ///
    /// # Errors
    /// The errors of [`model`](Self::model), except those about memory.
    pub fn outline(&self) -> Result<LocalModel> {
        let (input, classes) = self.shapes();
        outline(&self.config, input, classes, &self.device)
    }

    /// A model with the weights that the run starts from according to its config.
    ///
    /// # Errors
    /// The errors of [`model`](Self::model), and [`Error::Data`] for weights that are missing or do not fit.
    pub fn start_model(&self) -> Result<LocalModel> {
        let model = self.model()?;
        let Some(weights) = &self.config.weights else { return Ok(model) };
        let file = weights.resolve(&self.options.folders)?;
        let (model, imported) = weights::import(model, &file, weights.classifier)?;
        let ImportReport { tensors, parameters, prefix } = imported;
        tracing::info!(file = %file.display(), tensors, parameters, prefix, "weights imported");
        Ok(model)
    }

    /// Evaluates a model on the test set.
    ///
    /// # Errors
    /// The errors of [`evaluate`].
    pub fn test(&self, model: &LocalModel) -> Result<Evaluation> {
        let loader = self.data.eval_loader(DataSplit::Test, self.config.training.eval_batch_size, &self.device)?;
        evaluate(model, loader.as_ref(), "test")
    }

    /// Evaluates a model on the validation set; `None` where there is none.
    pub(super) fn validate(&self, model: &LocalModel) -> Result<Option<Evaluation>> {
        if self.data.samples(DataSplit::Validation) == 0 {
            return Ok(None);
        }
        let loader =
            self.data.eval_loader(DataSplit::Validation, self.config.training.eval_batch_size, &self.device)?;
        evaluate(model, loader.as_ref(), "validation").map(Some)
    }
}
