//! The settings of the data set `image-folder`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn_forward::data::{DataEntry, DataFolders, DataSpec, LoadedData, ModelSignature, data_entry};
use burn_forward::random::Seed;
use burn_forward::{ConfigError, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode::Conversion;
use super::listing::{Listing, list};
use super::read::{Needed, read};
use crate::images::preparation::{Preparation, refuse};
use crate::images::{Augment, ImageData, ImageSet, ImageSubset, PixelNormalisation, normaliser_of, stratified};

/// The name of the data set.
const NAME: &str = "image-folder";

/// Largest side of `size`.
const LARGEST_SIDE: usize = 4096;

/// Its row in the registry.
pub fn row() -> DataEntry {
    data_entry::<ImageFolderConfig>(NAME, "PNG and JPEG files, in one folder per class")
}

/// Image files in folders, one folder per class, and what is done to them.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `train` | required | absolute, or relative to the config's folder or the current one | folder of the training images |
/// | `test` | 0.2 | a folder, or a fraction above 0 and up to 0.9 | test images, see [`TestPart`] |
/// | `channels` | as the images have | 1, 3 | see [`Conversion`] |
/// | `size` | as the images have | `[height, width]`, each 1 to 4096 | see [`Conversion`] |
/// | `validation` | 0.1 | 0 to 0.9 | fraction of every class held out of the training set |
/// | `samples-per-class` | all | >= 1 | keep so many training images of every class, after validation was held out |
/// | `pixel-normalisation` | unit | unit, standardise, or `{"mean": [..], "std": [..]}` | see [`PixelNormalisation`] |
/// | `augment` | none | list of shift, crop, flip, cutout | see [`Augment`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageFolderConfig {
    /// Folder of the training images, with one folder per class in it.
    pub train: String,
    /// Test images.
    #[serde(default)]
    pub test: TestPart,
    /// Channels: 1 makes colours grey, 3 makes grey three equal channels. Left out, images are as they are, and have to be of one
    /// kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "one_or_three")]
    pub channels: Option<usize>,
    /// `[height, width]` that images are stretched to. Left out, images are as they are, and have to be of one size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(min = 1, max = 4096)))]
    pub size: Option<[usize; 2]>,
    /// Fraction of every class held out of the training set.
    #[serde(default = "default::validation")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation: f64,
    /// Training images kept of every class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub samples_per_class: Option<usize>,
    /// How pixels are normalised.
    #[serde(default)]
    pub pixel_normalisation: PixelNormalisation,
    /// Random changes to training images, in order.
    #[serde(default)]
    pub augment: Vec<Augment>,
}

/// Where test images come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a folder of test images, or a fraction of the training images")]
pub enum TestPart {
    /// A folder with class folders of the names that the training images have. It may lack some of them.
    Folder(String),
    /// This fraction of every class is held out of `train`, the same images whatever the seed of the run. Above 0.
    Fraction(#[schemars(range(min = 0.0, max = 0.9))] f64),
}

impl Default for TestPart {
    fn default() -> Self {
        Self::Fraction(0.2)
    }
}

/// Defaults that are not those of their types.
mod default {
    pub(super) fn validation() -> f64 {
        0.1
    }
}

fn one_or_three(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"enum": [1, 3, null], "type": ["integer", "null"]})
}

impl ImageFolderConfig {
    /// The images of a folder with all defaults.
    pub fn new(train: impl Into<String>) -> Self {
        Self {
            train: train.into(),
            test: TestPart::default(),
            channels: None,
            size: None,
            validation: default::validation(),
            samples_per_class: None,
            pixel_normalisation: PixelNormalisation::default(),
            augment: Vec::new(),
        }
    }

    /// What may be changed of an image.
    pub fn conversion(&self) -> Conversion {
        Conversion { channels: self.channels, size: self.size }
    }

    /// What is done to the images, as for every image data set.
    fn preparation(&self) -> Preparation<'_> {
        Preparation {
            validation: self.validation,
            samples_per_class: self.samples_per_class,
            pixel_normalisation: &self.pixel_normalisation,
            augment: &self.augment,
            scale: 255.0,
        }
    }

    /// The shape of an image, where the settings say it.
    fn image_shape(&self) -> Option<[usize; 3]> {
        let [height, width] = self.size?;
        Some([self.channels?, height, width])
    }

    fn train_folder(&self, folders: &DataFolders) -> Result<PathBuf> {
        folders.folder_at("train", &self.train, || "a folder with a folder of training images for every class".into())
    }

    fn test_folder(&self, folders: &DataFolders, path: &str) -> Result<PathBuf> {
        folders.folder_at("test", path, || "a folder with a folder of test images for every class".into())
    }

    /// The shape that all images have to have; that of the first one, where the settings do not say it.
    fn needed(&self, first: Option<&PathBuf>) -> Result<Needed> {
        match (self.image_shape(), first) {
            (None, Some(first)) => Needed::as_in(first, self.conversion()),
            // After the conversion there is no other shape.
            (shape, _) => Ok(Needed { shape: shape.unwrap_or_default(), reason: String::new(), convertible: false }),
        }
    }

    /// Training and test images, and the names of their classes.
    fn read(&self, folders: &DataFolders) -> Result<(ImageSubset, ImageSubset, Vec<String>)> {
        let train_folder = self.train_folder(folders)?;
        let Listing { classes, files } = list(&train_folder, None)?;
        let needed = self.needed(files.first().map(|(path, _)| path))?;
        let of = |files: &[_]| read(files, classes.len(), self.conversion(), &needed);
        let (train, test) = match &self.test {
            TestPart::Fraction(fraction) => held_out(of(&files)?, *fraction, &train_folder)?,
            TestPart::Folder(path) => {
                // All files are found before the first is read.
                let test = self.list_test(folders, path, &train_folder, &classes)?;
                (ImageSubset::whole(of(&files)?), ImageSubset::whole(of(&test.files)?))
            }
        };
        Ok((train, test, classes))
    }

    fn list_test(&self, folders: &DataFolders, path: &str, train: &Path, classes: &[String]) -> Result<Listing> {
        let folder = self.test_folder(folders, path)?;
        let resolved = |folder: &Path| folder.canonicalize().map_err(|e| Error::io(folder, e));
        if resolved(&folder)? == resolved(train)? {
            let needed = "another folder in $.data.test, or a fraction of the training images";
            return Err(Error::data(folder, "the folder of the training images", needed));
        }
        list(&folder, Some((classes, "the training images")))
    }
}

/// Holds a fraction of every class out as test images.
fn held_out(set: ImageSet, fraction: f64, folder: &Path) -> Result<(ImageSubset, ImageSubset)> {
    let set = Arc::new(set);
    let all: Vec<u32> = (0..set.len() as u32).collect();
    // The split belongs to the data, not to a run: results of several seeds are of the same test images.
    let (train, test) = stratified(&set, &all, fraction, Seed::new(0), "image-folder-test");
    if test.is_empty() {
        let found = format!("{} images in {} classes", set.len(), set.classes());
        let needed = format!("more of every class, since {fraction} of them is no test image, or another $.data.test");
        return Err(Error::data(folder, found, needed));
    }
    Ok((ImageSubset::new(set.clone(), train)?, ImageSubset::new(set, test)?))
}

impl DataSpec for ImageFolderConfig {
    fn check(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut add = |path: &str, message: String| errors.push(ConfigError::new(format!("$.data.{path}"), message));
        if self.train.is_empty() {
            add("train", "\"\" is empty; needed: a folder".into());
        }
        match &self.test {
            TestPart::Folder(path) if path.is_empty() => {
                add("test", "\"\" is empty; needed: a folder, or a fraction".into());
            }
            TestPart::Fraction(fraction) if !(*fraction > 0.0 && *fraction <= 0.9) => {
                add("test", format!("{fraction} is out of range; needed: > 0 and <= 0.9, or a folder"));
            }
            _ => {}
        }
        if let Some(channels) = self.channels.filter(|channels| ![1, 3].contains(channels)) {
            add("channels", format!("{channels} is not possible; needed: 1 or 3"));
        }
        for (i, side) in self.size.into_iter().flatten().enumerate() {
            if !(1..=LARGEST_SIDE).contains(&side) {
                add(&format!("size[{i}]"), format!("{side} is out of range; needed: 1 to {LARGEST_SIDE}"));
            }
        }
        errors.extend(self.preparation().check(self.image_shape()));
        errors
    }

    fn validates(&self) -> bool {
        self.validation > 0.0
    }

    fn is_there(&self, folders: &DataFolders) -> bool {
        self.train_folder(folders).is_ok()
    }

    fn cacheable(&self) -> Result<(), String> {
        self.preparation().cacheable()
    }

    fn load(&self, folders: &DataFolders, seed: Seed) -> Result<Box<dyn LoadedData>> {
        refuse(self.check())?;
        let (train, test, class_names) = self.read(folders)?;
        Ok(Box::new(ImageData::prepared(train, test, &self.preparation(), class_names, seed)?))
    }

    fn load_test(&self, folders: &DataFolders, seed: Seed, trained: &ModelSignature) -> Result<Box<dyn LoadedData>> {
        refuse(self.check())?;
        let (TestPart::Folder(path), Some((shape, _))) = (&self.test, normaliser_of(trained)?) else {
            return self.load(folders, seed);
        };
        let folder = self.test_folder(folders, path)?;
        let Listing { files, .. } = list(&folder, Some((&trained.class_names, "the run")))?;
        let test = read(&files, trained.classes, self.conversion(), &Needed::trained(shape))?;
        Ok(Box::new(ImageData::of_test(ImageSubset::whole(test), &folder, trained, seed)?))
    }
}

#[cfg(test)]
mod tests;
