//! From a config to loaders.

use std::sync::Arc;

use burn::tensor::Device;

use super::cifar::{self, Cifar};
use super::{
    Augment, Batching, DataConfig, DataFolders, DataName, DataSplit, ImageLoader, Normaliser, Part, Splits, Training,
    digits, idx,
};
use crate::random::Seed;
use crate::{ConfigError, ConfigErrors, Error, Result};

/// A data set as a run uses it.
///
/// ```
/// use burn::data::dataloader::DataLoader;
/// use burn_forward::data::{DataConfig, DataFolders, DataName, ImageData};
/// use burn_forward::random::Seed;
///
/// let data = ImageData::load(&DataConfig::new(DataName::Digits), &DataFolders::default(), Seed::new(7))?;
/// let sizes = data.splits.sizes().to_string();
/// assert_eq!(sizes, "1293 training, 145 validation, 359 test images of 1x8x8, 10 classes");
///
/// let loader = data.train_loader(64, 1, &Default::default())?.with_workers(2);
/// assert_eq!(loader.iter().count(), 21);
/// # Ok::<(), burn_forward::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ImageData {
    /// Training, validation and test part.
    pub splits: Splits,
    /// What normalises the pixels of all three.
    pub normaliser: Arc<Normaliser>,
    /// Random changes to training images.
    pub augment: Vec<Augment>,
    seed: Seed,
}

impl ImageData {
    /// Reads, splits and measures the set.
    ///
    /// `seed` decides what is held out for validation, which training images are kept, and order and augmentation of
    /// the training loader.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that are wrong in themselves or for the images that were found, [`Error::Data`]
    /// and [`Error::Io`] for missing or damaged files, [`Error::Argument`] for more samples per class than there are.
    pub fn load(config: &DataConfig, folders: &DataFolders, seed: Seed) -> Result<Self> {
        refuse(config.check())?;
        let (train, test) = parts(config, folders)?;
        refuse(config.misfits(Some(train.set().shape())))?;
        let splits = Splits::new(train, test, config.validation, config.samples_per_class, seed).map_err(located)?;
        let normaliser = Arc::new(Normaliser::new(&config.normalise, &splits.train)?);
        Ok(Self { splits, normaliser, augment: config.augment.clone(), seed })
    }

    /// One of the [`splits`](Self::splits).
    pub fn part(&self, split: DataSplit) -> &Part {
        match split {
            DataSplit::Train => &self.splits.train,
            DataSplit::Validation => &self.splits.validation,
            DataSplit::Test => &self.splits.test,
        }
    }

    /// What to say of classes that no training image belongs to.
    pub(super) fn empty_classes(&self) -> Option<ConfigError> {
        let counts = self.splits.train.class_counts();
        let empty: Vec<String> = (0..counts.len()).filter(|c| counts[*c] == 0).map(|c| c.to_string()).collect();
        let which = match empty.len() {
            0 => return None,
            1 => format!("class {} has", empty[0]),
            2..=10 => format!("classes {} have", empty.join(", ")),
            n => format!("{n} classes, {} ... among them, have", empty[..10].join(", ")),
        };
        let all = counts.len();
        // A set whose labels start at 1 has no image of class 0, and one class more than it should.
        let (path, advice) = match counts[0] {
            0 => ("$.data.first-label", "; labels that do not start at 0 need the first one here"),
            _ => ("$.data", ""),
        };
        Some(ConfigError::new(path, format!("{which} no training image, of {all} classes{advice}")))
    }

    /// A loader of the training part: shuffled, augmented, from `first_epoch` (from 1) on.
    ///
    /// # Errors
    /// [`Error::Argument`] for a batch size or first epoch of 0.
    pub fn train_loader(
        &self,
        batching: impl Into<Batching>,
        first_epoch: u64,
        device: &Device,
    ) -> Result<ImageLoader> {
        let training = Training { seed: self.seed, first_epoch, augment: self.augment.clone() };
        ImageLoader::training(self.splits.train.clone(), self.normaliser.clone(), batching, device, training)
    }

    /// A loader of `part` (one of the [`splits`](Self::splits)) in its order, without augmentation.
    ///
    /// # Errors
    /// [`Error::Argument`] for a batch size of 0.
    pub fn eval_loader(&self, part: &Part, batch_size: usize, device: &Device) -> Result<ImageLoader> {
        ImageLoader::evaluation(part.clone(), self.normaliser.clone(), batch_size, device)
    }
}

/// Training and test images of the public set.
fn parts(config: &DataConfig, folders: &DataFolders) -> Result<(Part, Part)> {
    let origin = config.name.origin();
    let (train, test) = match config.name {
        DataName::Digits => return digits::parts(),
        DataName::Mnist | DataName::FashionMnist | DataName::Idx => {
            idx::read_folder(&folders.resolve(config)?, config.idx(), origin)?
        }
        DataName::Cifar10 => cifar::read_folder(&folders.resolve(config)?, Cifar::Ten, origin)?,
        DataName::Cifar100 => cifar::read_folder(&folders.resolve(config)?, Cifar::Hundred, origin)?,
    };
    Ok((Part::whole(train), Part::whole(test)))
}

/// A setting that only turned out wrong when it met the images, with its place in the config.
fn located(error: Error) -> Error {
    match error {
        Error::Argument { what, given, needed, .. } if what == "samples-per-class" => {
            let mistake =
                ConfigError::new("$.data.samples-per-class", format!("{given} is out of range; needed: {needed}"));
            Error::Config(ConfigErrors { origin: "data".into(), errors: vec![mistake] })
        }
        other => other,
    }
}

fn refuse(errors: Vec<ConfigError>) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Error::Config(ConfigErrors { origin: "data".into(), errors }))
}

#[cfg(test)]
mod tests;
