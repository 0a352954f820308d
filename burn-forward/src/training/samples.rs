//! What a run needs of the samples at hand, before it trains: a validation set for what is chosen by one, and batches that
//! a network can learn from.

use super::run::Run;
use crate::data::DataSplit;
use crate::{ConfigError, ConfigErrors, Error, Result};

impl Run {
    /// Fails where the data at hand cannot be trained on as the config says: no validation samples for settings that choose
    /// by them, no batch at all, or a batch that gives a batch normalisation a single value per channel.
    ///
    /// # Errors
    /// [`Error::Config`] with every setting that cannot be kept, and what [`model`](Self::model) gives.
    pub fn check_training(&self) -> Result<()> {
        let mut errors = Vec::new();
        if self.data.samples(DataSplit::Validation) == 0 {
            errors.extend(self.config.without_validation(&format!("it is empty: {}", self.data.describe())));
        }
        errors.extend(self.batch_mistake()?);
        self.refuse(errors)
    }

    /// The part of [`check_training`](Self::check_training) that a single step needs too.
    ///
    /// # Errors
    /// As there.
    pub(super) fn check_batches(&self) -> Result<()> {
        self.refuse(self.batch_mistake()?.into_iter().collect())
    }

    fn refuse(&self, errors: Vec<ConfigError>) -> Result<()> {
        if errors.is_empty() {
            return Ok(());
        }
        Err(Error::Config(ConfigErrors { origin: self.config.name.clone(), errors }))
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
            // Building the model takes a moment, which only a batch of one row is worth.
            1 if self.model()?.normalised_values_per_row() == Some(1) => {
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
