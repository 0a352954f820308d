//! Loading of an image data set, from a config to data loaders.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;

use super::cifar::{self, Cifar};
use super::preparation::{Preparation, refuse};
use super::{
    Augment, DataConfig, DataName, ImageLoader, ImageSet, ImageSubset, PixelNormaliser, Splits, TrainingOrder, digits,
    idx, normaliser_of,
};
use burn_forward::data::{Batching, DataFolders, DataSplit, ModelSignature, empty_classes};
use burn_forward::random::Seed;
use burn_forward::{ConfigError, ConfigErrors, Error, Result};

/// An image data set as a run uses it.
///
/// ```
/// use burn::data::dataloader::DataLoader;
/// use burn_forward::data::DataFolders;
/// use burn_forward::random::Seed;
/// use burn_forward_train::images::{DataConfig, DataName, ImageData};
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
    /// The training, validation and test splits.
    pub splits: Splits,
    /// The normaliser of the pixels in all splits.
    pub normaliser: Arc<PixelNormaliser>,
    /// Random changes to training images.
    pub augment: Vec<Augment>,
    /// Name of every class; empty if the data set has no names.
    pub class_names: Vec<String>,
    seed: Seed,
}

impl ImageData {
    /// Reads, splits and normalises the data set.
    ///
    /// `seed` determines which images are held out for validation, which training images are kept, and the order and
    /// augmentation of the training loader.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that are invalid by themselves or for the images that were found, [`Error::Data`] and
    /// [`Error::Io`] for missing or damaged files, [`Error::Argument`] for more samples per class than there are.
    pub fn load(config: &DataConfig, folders: &DataFolders, seed: Seed) -> Result<Self> {
        refuse(config.check())?;
        let (train, test) = parts(config, folders)?;
        let class_names = class_names(config, folders, train.set().classes());
        Self::prepared(train, test, &config.preparation(), class_names, seed)
    }

    /// A set that was read: splits and measures it.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that do not fit the images, [`Error::Argument`] for a fraction out of range.
    pub(super) fn prepared(
        train: ImageSubset,
        test: ImageSubset,
        preparation: &Preparation<'_>,
        class_names: Vec<String>,
        seed: Seed,
    ) -> Result<Self> {
        refuse(preparation.errors_for_shape(Some(train.set().shape())))?;
        let Preparation { validation, samples_per_class, pixel_normalisation, augment, .. } = *preparation;
        let splits = Splits::new(train, test, validation, samples_per_class, seed).map_err(located)?;
        let normaliser = Arc::new(PixelNormaliser::new(pixel_normalisation, &splits.train)?);
        Ok(Self { splits, normaliser, augment: augment.to_vec(), class_names, seed })
    }

    /// Reads the test set alone and normalises it like the training set of a network that was `trained` on it. The other
    /// splits are empty.
    ///
    /// # Errors
    /// The errors of [`load`](Self::load), and [`Error::Data`] for images or classes that the network does not support.
    pub fn load_test(config: &DataConfig, folders: &DataFolders, seed: Seed, trained: &ModelSignature) -> Result<Self> {
        refuse(config.check())?;
        if normaliser_of(trained)?.is_none() {
            return Self::load(config, folders, seed);
        }
        let test = test_part(config, folders, trained.classes)?;
        Self::of_test(test, &config.folder(folders).unwrap_or_default(), trained, seed)
    }

    /// A test part that was read from `place`, for a network that was `trained` on images. The other parts are empty.
    ///
    /// # Errors
    /// [`Error::Data`] for images of another shape, [`Error::Argument`] for a network that takes no images.
    pub(super) fn of_test(test: ImageSubset, place: &Path, trained: &ModelSignature, seed: Seed) -> Result<Self> {
        let Some((shape, normaliser)) = normaliser_of(trained)? else {
            return Err(Error::argument("ImageData", "input of the network", trained.input, "images"));
        };
        if test.set().shape() != shape {
            let size = |[c, h, w]: [usize; 3]| format!("images of {c}x{h}x{w}");
            let needed = format!("{}, as the run was trained on", size(shape));
            return Err(Error::data(place, size(test.set().shape()), needed));
        }
        let scale = trained.pixels.as_ref().map_or(255.0, |pixels| pixels.scale);
        let none = || ImageSet::new(Vec::new(), Vec::new(), shape, trained.classes, scale).map(ImageSubset::whole);
        let splits = Splits { train: none()?, validation: none()?, test };
        let class_names = trained.class_names.clone();
        Ok(Self { splits, normaliser: Arc::new(normaliser), augment: Vec::new(), class_names, seed })
    }

    /// One of the [`splits`](Self::splits).
    pub fn part(&self, split: DataSplit) -> &ImageSubset {
        match split {
            DataSplit::Train => &self.splits.train,
            DataSplit::Validation => &self.splits.validation,
            DataSplit::Test => &self.splits.test,
        }
    }

    /// A warning about classes without training images.
    pub(super) fn empty_classes(&self) -> Option<ConfigError> {
        let counts = self.splits.train.class_counts();
        let said = empty_classes(&counts, "image")?;
        // A data set whose labels start at 1 has no image of class 0, and one class too many.
        Some(match counts[0] {
            0 => ConfigError::new(
                "$.data.first-label",
                format!("{said}; labels that do not start at 0 need the first one here"),
            ),
            _ => ConfigError::new("$.data", said),
        })
    }

    /// A loader of the training set that shuffles and augments, starting with `first_epoch` (from 1).
    ///
    /// # Errors
    /// [`Error::Argument`] for a batch size or first epoch of 0.
    pub fn train_loader(
        &self,
        batching: impl Into<Batching>,
        first_epoch: u64,
        device: &Device,
    ) -> Result<ImageLoader> {
        let training = TrainingOrder { seed: self.seed, first_epoch, augment: self.augment.clone() };
        ImageLoader::training(self.splits.train.clone(), self.normaliser.clone(), batching, device, training)
    }

    /// A loader of `part` (one of the [`splits`](Self::splits)) in its own order, without augmentation.
    ///
    /// # Errors
    /// [`Error::Argument`] for a batch size of 0.
    pub fn eval_loader(&self, part: &ImageSubset, batch_size: usize, device: &Device) -> Result<ImageLoader> {
        ImageLoader::evaluation(part.clone(), self.normaliser.clone(), batch_size, device)
    }
}

/// Training and test images of the public data set.
fn parts(config: &DataConfig, folders: &DataFolders) -> Result<(ImageSubset, ImageSubset)> {
    let origin = config.name.origin();
    let (train, test) = match config.name {
        DataName::Digits => return digits::parts(),
        DataName::Mnist | DataName::FashionMnist | DataName::Idx => {
            idx::read_folder(&config.folder(folders)?, config.idx(), origin)?
        }
        DataName::Cifar10 => cifar::read_folder(&config.folder(folders)?, Cifar::Ten, origin)?,
        DataName::Cifar100 => cifar::read_folder(&config.folder(folders)?, Cifar::Hundred, origin)?,
    };
    Ok((ImageSubset::whole(train), ImageSubset::whole(test)))
}

/// Test images of the public data set, for a network with the given number of `classes`.
fn test_part(config: &DataConfig, folders: &DataFolders, classes: usize) -> Result<ImageSubset> {
    let origin = config.name.origin();
    let test = match config.name {
        DataName::Digits => return Ok(digits::parts()?.1),
        DataName::Mnist | DataName::FashionMnist | DataName::Idx => {
            idx::read_test(&config.folder(folders)?, config.idx(), origin, classes)?
        }
        DataName::Cifar10 => cifar::read_test(&config.folder(folders)?, Cifar::Ten, origin)?,
        DataName::Cifar100 => cifar::read_test(&config.folder(folders)?, Cifar::Hundred, origin)?,
    };
    Ok(ImageSubset::whole(test))
}

/// Names of the classes, if there is one for each class.
fn class_names(config: &DataConfig, folders: &DataFolders, classes: usize) -> Vec<String> {
    let names: Vec<String> = match config.name {
        DataName::Cifar100 => config.folder(folders).map_or_else(|_| Vec::new(), |folder| cifar::class_names(&folder)),
        // If labels do not count from 0, the names would belong to other classes.
        _ if config.idx().first_label > 0 => Vec::new(),
        name => name.class_names().iter().map(|name| (*name).to_owned()).collect(),
    };
    if names.len() == classes { names } else { Vec::new() }
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

#[cfg(test)]
mod tests;
