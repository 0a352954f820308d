//! What is looked at before the first step: whether network, rule and data fit, a validation set for what is chosen by one,
//! and batches that a network can learn from.

use burn::tensor::Device;

use super::assemble::check_fit;
use super::run::{Run, RunOptions};
use crate::config::RunConfig;
use burn_forward::data::DataSplit;
use burn_forward::{ConfigError, Result};

/// How far [`check`] could look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// The data was read, and the model laid out for it; with what a user should know of the data.
    WithData(Vec<ConfigError>),
    /// The data is not on this machine; the model was laid out for the shape that the data set's name says.
    WithShape,
    /// Neither is known.
    ConfigOnly,
}

/// Everything about a config that can be wrong before the first step: what `train` would refuse, this refuses.
///
/// # Errors
/// [`Error::Config`](burn_forward::Error::Config) with all mistakes, and what reading the data gives.
pub fn check(config: RunConfig, options: RunOptions) -> Result<Checked> {
    let device = Device::default();
    if !config.data.is_there(&options.folders) {
        let Some((input, classes)) = config.data.shape() else { return Ok(Checked::ConfigOnly) };
        config.reject_if_any(config.errors_for_shape(input, classes))?;
        check_fit(&config, input, classes, &device)?;
        return Ok(Checked::WithShape);
    }
    let run = Run::prepare(config, options)?;
    run.check_training()?;
    Ok(Checked::WithData(run.data.warnings()))
}

impl Run {
    /// Fails where the data at hand cannot be trained on as the config says: a network or a rule that does not fit it, no
    /// validation samples for settings that choose by them, no batch at all, or a batch that gives a batch normalisation a
    /// single value per channel.
    ///
    /// # Errors
    /// [`Error::Config`](burn_forward::Error::Config) with every setting that cannot be kept.
    pub fn check_training(&self) -> Result<()> {
        let (input, classes) = self.shapes();
        check_fit(&self.config, input, classes, &self.device)?;
        let mut errors = Vec::new();
        if self.data.samples(DataSplit::Validation) == 0 {
            errors.extend(self.config.without_validation(&format!("it is empty: {}", self.data.describe())));
        }
        errors.extend(self.batch_mistake()?);
        self.config.reject_if_any(errors)
    }

    /// The part of [`check_training`](Self::check_training) that a single step needs too.
    ///
    /// # Errors
    /// As there.
    pub(super) fn check_batches(&self) -> Result<()> {
        self.config.reject_if_any(self.batch_mistake()?.into_iter().collect())
    }

    /// What is wrong with the batches of an epoch.
    fn batch_mistake(&self) -> Result<Option<ConfigError>> {
        let batching = self.config.training.batching();
        let samples = self.data.samples(DataSplit::Train);
        let (path, message) = match self.data.smallest_step(batching) {
            0 => (
                "$.training.last-batch",
                format!(
                    "\"drop\" leaves no batch of {samples} training samples at \"batch-size\" {}; needed: \"keep\", or a \
                     \"batch-size\" of at most {samples}",
                    batching.size
                ),
            ),
            1 if self.outline()?.normalised_values_per_row() == Some(1) => {
                let single = "gives batch normalisation a single value per channel, which has no variance";
                match (batching.size, samples) {
                    (1, _) => ("$.training.batch-size", format!("1 {single}; needed: at least 2")),
                    (_, 1) => ("$.data", format!("the only training sample {single}; needed: at least 2")),
                    (size, _) => (
                        "$.training.last-batch",
                        format!(
                            "\"keep\" with {samples} training samples at \"batch-size\" {size} leaves a last batch of 1, which \
                             {single}; needed: \"drop\", or another \"batch-size\""
                        ),
                    ),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(ConfigError::new(path, message)))
    }
}
