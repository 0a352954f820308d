//! The `data` part of a config.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cifar::{self, Cifar};
use super::idx::{IdxFiles, IdxSettings};
use super::preparation::Preparation;
use super::{Augment, Layout, PixelNormalisation};
use burn_forward::data::DataFolders;
use burn_forward::{ConfigError, Result};

/// The data sets that a config can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DataName {
    /// UCI optical digits, 8x8, embedded in the program.
    Digits,
    /// MNIST, 28x28.
    Mnist,
    /// Fashion-MNIST, 28x28.
    FashionMnist,
    /// CIFAR-10, 3x32x32.
    Cifar10,
    /// CIFAR-100 with its fine labels, 3x32x32.
    Cifar100,
    /// Any data set in IDX files.
    Idx,
}

impl DataName {
    /// The name in a config, which is also the name of the data set's folder within the data folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Idx => "idx",
        }
    }

    /// The shape `[C, H, W]`, if it follows from the name.
    pub fn shape(self) -> Option<[usize; 3]> {
        match self {
            Self::Digits => Some([1, 8, 8]),
            Self::Mnist | Self::FashionMnist => Some([1, 28, 28]),
            Self::Cifar10 | Self::Cifar100 => Some([3, 32, 32]),
            Self::Idx => None,
        }
    }

    /// The divisor that maps a pixel of the data set to `[0, 1]`.
    fn scale(self) -> f64 {
        if self == Self::Digits { 16.0 } else { 255.0 }
    }

    /// Whether the data set is stored in IDX files.
    fn is_idx(self) -> bool {
        matches!(self, Self::Mnist | Self::FashionMnist | Self::Idx)
    }

    /// Number of classes, if it follows from the name.
    pub fn classes(self) -> Option<usize> {
        match self {
            Self::Digits | Self::Mnist | Self::FashionMnist | Self::Cifar10 => Some(10),
            Self::Cifar100 => Some(100),
            Self::Idx => None,
        }
    }

    /// Names of the classes, if they follow from the name; those of CIFAR-100 are in a file of the data set.
    pub fn class_names(self) -> &'static [&'static str] {
        match self {
            Self::Digits | Self::Mnist => &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
            Self::FashionMnist => &[
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ],
            Self::Cifar10 => {
                &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
            }
            Self::Cifar100 | Self::Idx => &[],
        }
    }

    /// Where the files are available, for error messages.
    pub fn origin(self) -> &'static str {
        match self {
            Self::Digits => "they are embedded in the program",
            Self::Mnist => "public files: yann.lecun.com/exdb/mnist, mirrored at ossci-datasets.s3.amazonaws.com/mnist",
            Self::FashionMnist => "public files: github.com/zalandoresearch/fashion-mnist, folder data/fashion",
            Self::Cifar10 => "public files: www.cs.toronto.edu/~kriz/cifar.html, CIFAR-10 binary version",
            Self::Cifar100 => "public files: www.cs.toronto.edu/~kriz/cifar.html, CIFAR-100 binary version",
            Self::Idx => "$.data.path names their folder",
        }
    }
}

/// The data set and its preprocessing.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `name` | required | digits, mnist, fashion-mnist, cifar10, cifar100, idx | the data set |
/// | `path` | the set's folder in the data folder | absolute, or relative to the config's folder or the current one | folder with the set's files; required for idx, not for digits |
/// | `prefix` | none | | prefix of the file names, in a folder with several data sets (`emnist-letters`); for IDX files |
/// | `first-label` | 0 | 0 to 255 | label of the first class; 1 for EMNIST's letters; for IDX files |
/// | `layout` | channels-first, if unambiguous | channels-first, channels-last | order of the sizes of images with channels, see [`Layout`]; for IDX files |
/// | `validation` | 0.1 | 0 to 0.9 | fraction of every class held out of the training set |
/// | `samples-per-class` | all | >= 1 | number of training images to keep of every class, after the validation set was held out |
/// | `pixel-normalisation` | unit | unit, standardise, or `{"mean": [..], "std": [..]}` | see [`PixelNormalisation`] |
/// | `augment` | none | list of shift, crop, flip, cutout | see [`Augment`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DataConfig {
    /// The data set.
    pub name: DataName,
    /// Folder with the files of the data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Prefix of the file names, in a folder with the IDX files of several data sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Label of the first class in IDX files. Everywhere else, classes are counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_label: Option<u8>,
    /// Order of the sizes of images with channels in IDX files. By default it is channels first; if the sizes are ambiguous,
    /// the layout must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Fraction of every class held out of the training set.
    #[serde(default = "default::validation")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation: f64,
    /// Number of training images to keep of every class.
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

/// Defaults that differ from those of their types.
mod default {
    pub(super) fn validation() -> f64 {
        0.1
    }
}

impl DataConfig {
    /// The data set with all defaults.
    pub fn new(name: DataName) -> Self {
        Self {
            name,
            path: None,
            prefix: None,
            first_label: None,
            layout: None,
            validation: default::validation(),
            samples_per_class: None,
            pixel_normalisation: PixelNormalisation::default(),
            augment: Vec::new(),
        }
    }

    /// The settings for IDX files.
    pub(super) fn idx(&self) -> IdxSettings<'_> {
        let first_label = self.first_label.unwrap_or(0);
        IdxSettings { prefix: self.prefix.as_deref(), layout: self.layout, first_label }
    }

    /// Checks that all files of the data set exist, without reading them.
    ///
    /// # Errors
    /// [`Error::Data`](burn_forward::Error::Data) if the folder or one of the files is missing, [`Error::Io`](burn_forward::Error::Io) if the folder cannot be read.
    pub fn find_files(&self, folders: &DataFolders) -> Result<()> {
        let origin = self.name.origin();
        let cifar = |which| cifar::find_files(&self.folder(folders)?, which, origin).map(drop);
        match self.name {
            DataName::Digits => Ok(()),
            DataName::Mnist | DataName::FashionMnist | DataName::Idx => {
                IdxFiles::find(&self.folder(folders)?, self.prefix.as_deref(), origin).map(drop)
            }
            DataName::Cifar10 => cifar(Cifar::Ten),
            DataName::Cifar100 => cifar(Cifar::Hundred),
        }
    }

    /// All mistakes that can be found without the files, with their paths in the config (`$.data...`).
    pub fn check(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut add = |path: &str, message: String| errors.push(ConfigError::new(format!("$.data.{path}"), message));
        match (&self.path, self.name) {
            (None, DataName::Idx) => add("path", "missing; needed for \"idx\": the folder with its files".into()),
            (Some(path), DataName::Digits) => {
                add("path", format!("{path:?} is given, but \"digits\" is embedded in the program; leave it out"));
            }
            (Some(path), _) if path.is_empty() => add("path", "\"\" is empty; needed: a folder".into()),
            _ => {}
        }
        let of_idx = [
            ("prefix", self.prefix.is_some()),
            ("first-label", self.first_label.is_some()),
            ("layout", self.layout.is_some()),
        ];
        for (setting, _) in of_idx.into_iter().filter(|(_, given)| *given && !self.name.is_idx()) {
            add(setting, format!("is only for IDX files, which \"{}\" does not use; leave it out", self.name.name()));
        }
        if self.prefix.as_deref() == Some("") {
            add("prefix", "\"\" is empty; needed: what the files' names begin with".into());
        }
        errors.extend(self.preparation().check(self.name.shape()));
        errors
    }

    /// What is done to the images, as for every image data set.
    pub(super) fn preparation(&self) -> Preparation<'_> {
        Preparation {
            validation: self.validation,
            samples_per_class: self.samples_per_class,
            pixel_normalisation: &self.pixel_normalisation,
            augment: &self.augment,
            scale: self.name.scale(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn parse(value: serde_json::Value) -> DataConfig {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_name_is_enough() {
        for name in ["digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "idx"] {
            let config = parse(json!({"name": name}));
            assert_eq!(config.name.name(), name);
            assert_eq!(config, DataConfig::new(config.name));
        }
    }

    #[test]
    fn a_config_survives_the_round_trip() {
        let value = json!({
            "name": "cifar10", "path": "x", "validation": 0.2, "samples-per-class": 5,
            "pixel-normalisation": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
            "augment": [{"name": "crop", "padding": 4}, {"name": "flip"}, {"name": "cutout", "size": 8}],
        });
        let config = parse(value.clone());
        assert_eq!(config.check(), []);
        assert_eq!(serde_json::to_value(&config).unwrap(), value);
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_value::<DataConfig>(json!({"name": "digits", "samples_per_class": 3}));
        assert!(error.unwrap_err().to_string().contains("unknown field `samples_per_class`"));
    }

    #[rstest]
    #[case(json!({"name": "idx"}), &["$.data.path: missing; needed for \"idx\": the folder with its files"])]
    #[case(json!({"name": "digits", "path": "a"}),
        &["$.data.path: \"a\" is given, but \"digits\" is embedded in the program; leave it out"])]
    #[case(json!({"name": "mnist", "path": "", "validation": 0.91, "samples-per-class": 0}), &[
        "$.data.path: \"\" is empty; needed: a folder",
        "$.data.validation: 0.91 is out of range; needed: 0 to 0.9",
        "$.data.samples-per-class: 0 is out of range; needed: >= 1",
    ])]
    #[case(json!({"name": "cifar10", "pixel-normalisation": {"mean": [0], "std": [1]}}),
        &["$.data.pixel-normalisation: number of means and stds is 1 and 1; needed: 3 each"])]
    #[case(json!({"name": "mnist", "pixel-normalisation": {"mean": [0], "std": [0]}}),
        &["$.data.pixel-normalisation: a std is 0; needed: finite and > 0"])]
    #[case(json!({"name": "cifar10", "pixel-normalisation": {"mean": [125.3, 123.0, 113.9], "std": [63.0, 62.1, 66.7]}}), &[
        "$.data.pixel-normalisation: a mean is 125.3; needed: 0 to 1, since pixels are divided by their largest value first: \
         125.3 / 255 is 0.4914",
    ])]
    #[case(json!({"name": "digits", "pixel-normalisation": {"mean": [4.9], "std": [6.0]}}), &[
        "$.data.pixel-normalisation: a mean is 4.9; needed: 0 to 1, since pixels are divided by their largest value first: 4.9 / 16 \
         is 0.3063",
    ])]
    #[case(json!({"name": "mnist", "pixel-normalisation": {"mean": [0.13], "std": [78.6]}}), &[
        "$.data.pixel-normalisation: a std is 78.6; needed: 0 to 1, since pixels are divided by their largest value first: 78.6 / 255 \
         is 0.3082",
    ])]
    #[case(json!({"name": "mnist", "pixel-normalisation": {"mean": [-0.4], "std": [1]}}),
        &["$.data.pixel-normalisation: a mean is -0.4; needed: 0 to 1, since pixels are divided by their largest value first"])]
    #[case(json!({"name": "cifar10", "prefix": "a", "first-label": 1, "layout": "channels-last"}), &[
        "$.data.prefix: is only for IDX files, which \"cifar10\" does not use; leave it out",
        "$.data.first-label: is only for IDX files, which \"cifar10\" does not use; leave it out",
        "$.data.layout: is only for IDX files, which \"cifar10\" does not use; leave it out",
    ])]
    #[case(json!({"name": "digits", "augment": [{"name": "flip"}, {"name": "shift", "pixels": 8}]}),
        &["$.data.augment[1].pixels: 8 is out of range; needed: from 1 to 7 for images of 8x8"])]
    #[case(json!({"name": "digits", "augment": [{"name": "cutout", "size": 8}]}), &[])]
    fn mistakes_are_named(#[case] value: serde_json::Value, #[case] expected: &[&str]) {
        let found: Vec<_> = parse(value).check().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_schema_has_the_ranges() {
        let schema = schemars::schema_for!(DataConfig).to_value();
        assert_eq!(schema["properties"]["validation"]["maximum"], 0.9);
        assert_eq!(schema["additionalProperties"], false);
    }
}
