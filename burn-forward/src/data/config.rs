//! The `data` part of a config.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augment, Normalise};
use crate::{ConfigError, Error};

/// The data sets that can be named.
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
    /// Any set in IDX files.
    Idx,
}

impl DataName {
    /// The name in a config, which is also the set's folder within the data folder.
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

    /// `[C, H, W]`, where the name says it.
    pub fn shape(self) -> Option<[usize; 3]> {
        match self {
            Self::Digits => Some([1, 8, 8]),
            Self::Mnist | Self::FashionMnist => Some([1, 28, 28]),
            Self::Cifar10 | Self::Cifar100 => Some([3, 32, 32]),
            Self::Idx => None,
        }
    }

    /// Where the files can be had, for error messages.
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

/// Which data set, and what is done to it.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `name` | required | digits, mnist, fashion-mnist, cifar10, cifar100, idx | the data set |
/// | `path` | the set's folder in the data folder | absolute, or relative to the config's folder or the current one | folder with the set's files; required for idx, not for digits |
/// | `validation` | 0.1 | 0 to 0.9 | fraction of every class held out of the training set |
/// | `samples-per-class` | all | >= 1 | keep so many training images of every class, after validation was held out |
/// | `normalise` | unit | unit, standardise, or `{"mean": [..], "std": [..]}` | see [`Normalise`] |
/// | `augment` | none | list of shift, crop, flip, cutout | see [`Augment`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DataConfig {
    /// The data set.
    pub name: DataName,
    /// Folder with the set's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Fraction of every class held out of the training set.
    #[serde(default = "validation")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation: f64,
    /// Training images kept of every class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub samples_per_class: Option<usize>,
    /// How pixels are normalised.
    #[serde(default)]
    pub normalise: Normalise,
    /// Random changes to training images, in order.
    #[serde(default)]
    pub augment: Vec<Augment>,
}

fn validation() -> f64 {
    0.1
}

impl DataConfig {
    /// The set with all defaults.
    pub fn new(name: DataName) -> Self {
        Self {
            name,
            path: None,
            validation: validation(),
            samples_per_class: None,
            normalise: Normalise::default(),
            augment: Vec::new(),
        }
    }

    /// All mistakes that can be seen without the files, with their paths in the config (`$.data...`).
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
        if !(0.0..=0.9).contains(&self.validation) {
            add("validation", format!("{} is out of range; needed: 0 to 0.9", self.validation));
        }
        if self.samples_per_class == Some(0) {
            add("samples-per-class", "0 is out of range; needed: >= 1".into());
        }
        errors.extend(self.misfits(self.name.shape()));
        errors
    }

    /// Settings that do not fit images of `[C, H, W]`, or any images where that is not known.
    pub(super) fn misfits(&self, shape: Option<[usize; 3]>) -> Vec<ConfigError> {
        let statistics = match &self.normalise {
            Normalise::Channels(statistics) => statistics.misfit(shape.map(|[channels, ..]| channels)),
            Normalise::Preset(_) => None,
        };
        let normalise = statistics.map(|Misfit { what, given, needed }| {
            ConfigError::new("$.data.normalise", format!("{what} is {given}; needed: {needed}"))
        });
        let size = shape.map(|[_, height, width]| [height, width]);
        let augment = self.augment.iter().enumerate().filter_map(|(i, augment)| {
            let Misfit { what, given, needed } = augment.misfit(size)?;
            let message = format!("{given} is out of range; needed: {needed}");
            Some(ConfigError::new(format!("$.data.augment[{i}].{what}"), message))
        });
        normalise.into_iter().chain(augment).collect()
    }
}

/// A setting that does not fit the images.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) what: &'static str,
    pub(super) given: String,
    pub(super) needed: String,
}

impl Misfit {
    /// As the error of a function at `place`.
    pub(super) fn argument(self, place: &'static str) -> Error {
        Error::argument(place, self.what, self.given, self.needed)
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
            "normalise": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
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
    #[case(json!({"name": "cifar10", "normalise": {"mean": [0], "std": [1]}}),
        &["$.data.normalise: number of means and stds is 1 and 1; needed: 3 each"])]
    #[case(json!({"name": "mnist", "normalise": {"mean": [0], "std": [0]}}),
        &["$.data.normalise: a std is 0; needed: finite and > 0"])]
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
