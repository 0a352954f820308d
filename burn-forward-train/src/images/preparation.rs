//! What is done to the images of a set, whatever its files are: the settings that all image data sets share.

use super::misfit::Misfit;
use super::{Augment, PixelNormalisation};
use burn_forward::{ConfigError, ConfigErrors, Error, Result};

/// The settings that all image data sets share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Preparation<'a> {
    /// Fraction of every class held out of the training set.
    pub(super) validation: f64,
    /// Training images kept of every class.
    pub(super) samples_per_class: Option<usize>,
    /// How pixels are normalised.
    pub(super) pixel_normalisation: &'a PixelNormalisation,
    /// Random changes to training images, in order.
    pub(super) augment: &'a [Augment],
    /// What a pixel is divided by to lie in `[0, 1]`.
    pub(super) scale: f64,
}

impl Preparation<'_> {
    /// All mistakes that can be seen without the files, for images of `[C, H, W]` where the settings say that.
    pub(super) fn check(&self, shape: Option<[usize; 3]>) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut add = |path: &str, message: String| errors.push(ConfigError::new(format!("$.data.{path}"), message));
        if !(0.0..=0.9).contains(&self.validation) {
            add("validation", format!("{} is out of range; needed: 0 to 0.9", self.validation));
        }
        if self.samples_per_class == Some(0) {
            add("samples-per-class", "0 is out of range; needed: >= 1".into());
        }
        errors.extend(self.errors_for_shape(shape));
        errors
    }

    /// Settings that do not fit images of `[C, H, W]`, or any images where that is not known.
    pub(super) fn errors_for_shape(&self, shape: Option<[usize; 3]>) -> Vec<ConfigError> {
        let statistics = match self.pixel_normalisation {
            PixelNormalisation::Channels(statistics) => {
                let channels = shape.map(|[channels, ..]| channels);
                statistics.misfit(channels).or_else(|| statistics.off_scale(self.scale))
            }
            PixelNormalisation::Preset(_) => None,
        };
        let normalise = statistics.map(|Misfit { what, given, needed }| {
            ConfigError::new("$.data.pixel-normalisation", format!("{what} is {given}; needed: {needed}"))
        });
        let size = shape.map(|[_, height, width]| [height, width]);
        let augment = self.augment.iter().enumerate().filter_map(|(i, augment)| {
            let Misfit { what, given, needed } = augment.misfit(size)?;
            let message = format!("{given} is out of range; needed: {needed}");
            Some(ConfigError::new(format!("$.data.augment[{i}].{what}"), message))
        });
        normalise.into_iter().chain(augment).collect()
    }

    /// Whether training images are the same in every epoch; the error says why not.
    pub(super) fn cacheable(&self) -> Result<(), String> {
        match self.augment.is_empty() {
            true => Ok(()),
            false => Err("$.data.augment changes the images anew in every epoch".into()),
        }
    }
}

/// An error of the `data` part, if there is a mistake.
pub(super) fn refuse(errors: Vec<ConfigError>) -> Result<()> {
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Error::Config(ConfigErrors { origin: "data".into(), errors })),
    }
}
