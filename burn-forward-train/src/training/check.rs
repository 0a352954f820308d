//! Checks before the first step: whether network, rule and data fit together, whether there is a validation set for the
//! settings that need one, and whether the network can learn from every batch.

use burn::tensor::Device;

use super::assemble::check_fit;
use super::run::{Run, RunOptions};
use crate::config::RunConfig;
use burn_forward::data::DataSplit;
use burn_forward::{ConfigError, Result};

/// How much [`check`] was able to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// The data was read and the model was laid out for it. Contains warnings about the data.
    WithData(Vec<ConfigError>),
    /// The data is not on this machine; the model was laid out for the shape that is known from the data set's name.
    WithShape,
    /// Neither the data nor its shape is known.
    ConfigOnly,
}

/// Checks everything about a config that can be wrong before the first step; it rejects whatever `train` would reject.
///
/// # Errors
/// [`Error::Config`](burn_forward::Error::Config) with all mistakes, and any error from reading the data.
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
    /// Checks that the config can be trained on the data at hand. It fails if a network or a rule does not fit the
    /// data, if settings need validation samples and there are none, if there is no batch at all, or if a batch would
    /// give batch normalisation a single value per channel.
    ///
    /// # Errors
    /// [`Error::Config`](burn_forward::Error::Config) with every setting that is not possible.
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

    /// The part of [`check_training`](Self::check_training) that a single step needs as well.
    ///
    /// # Errors
    /// The same as those of [`check_training`](Self::check_training).
    pub(super) fn check_batches(&self) -> Result<()> {
        self.config.reject_if_any(self.batch_mistake()?.into_iter().collect())
    }

    /// The mistake in the batches of an epoch, if there is one.
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
