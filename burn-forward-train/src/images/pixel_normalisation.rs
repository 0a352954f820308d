//! Conversion of pixel bytes to the inputs of a network.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ImageSubset;
use super::misfit::Misfit;
use burn_forward::activation::RowShape;
use burn_forward::data::{ModelSignature, PixelScaling};
use burn_forward::{Error, Result};

/// How pixels are normalised: `"unit"`, `"standardise"`, or the mean and standard deviation of every channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected \"unit\", \"standardise\" or {\"mean\": [..], \"std\": [..]} with a number per channel"
)]
pub enum PixelNormalisation {
    /// A named method.
    Preset(Preset),
    /// Given constants.
    Channels(ChannelStatistics),
}

impl Default for PixelNormalisation {
    fn default() -> Self {
        Self::Preset(Preset::Unit)
    }
}

/// Named methods of normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// `x` in `[0, 1]`.
    Unit,
    /// `(x - mean) / std` per channel, with statistics of the training set.
    Standardise,
}

/// Mean and standard deviation of pixels in `[0, 1]`, per channel.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `mean` | required | finite, one per channel; 0 to 1 in a config | value to subtract |
/// | `std` | required | > 0, one per channel; at most 1 in a config | divisor |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelStatistics {
    /// Values to subtract, `[C]`.
    pub mean: Vec<f64>,
    /// Divisors, `[C]`.
    pub std: Vec<f64>,
}

impl ChannelStatistics {
    /// The statistics that leave pixels in `[0, 1]` unchanged: mean 0, standard deviation 1.
    pub fn unit(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], std: vec![1.0; channels] }
    }

    /// Computes the statistics of a split. The standard deviation is that of the population (divided by the number of
    /// pixels). For a channel whose pixels are all equal it is set to 1, so that the channel becomes 0 instead of NaN.
    ///
    /// # Errors
    /// [`Error::Argument`] for an empty split.
    pub fn measure(part: &ImageSubset) -> Result<Self> {
        let set = part.set();
        if part.is_empty() {
            return Err(Error::argument("standardise", "number of images", 0, "at least 1"));
        }
        // Sums of integers are exact, whatever their order.
        let plane = set.image_len() / set.shape()[0];
        let mut histograms = vec![[0u64; 256]; set.shape()[0]];
        for i in 0..part.len() {
            for (histogram, pixels) in histograms.iter_mut().zip(part.image(i).chunks_exact(plane)) {
                pixels.iter().for_each(|p| histogram[usize::from(*p)] += 1);
            }
        }
        let (mean, std) = histograms.iter().map(|h| mean_and_std(h, f64::from(set.scale()))).unzip();
        Ok(Self { mean, std })
    }

    /// What is wrong with these constants, for images with `channels` channels if that is known.
    pub(super) fn misfit(&self, channels: Option<usize>) -> Option<Misfit> {
        let (mean, std) = (&self.mean, &self.std);
        let channels = channels.unwrap_or(mean.len()).max(1);
        if mean.len() != channels || std.len() != channels {
            let given = format!("{} and {}", mean.len(), std.len());
            return Some(Misfit { what: "number of means and stds", given, needed: format!("{channels} each") });
        }
        if let Some(m) = mean.iter().find(|m| !m.is_finite()) {
            return Some(Misfit { what: "a mean", given: m.to_string(), needed: "finite".into() });
        }
        let std = std.iter().find(|s| !(s.is_finite() && **s > 0.0))?;
        Some(Misfit { what: "a std", given: std.to_string(), needed: "finite and > 0".into() })
    }

    /// Constants that are impossible for pixels in `[0, 1]`, because they are those of pixels before the division by `scale`.
    /// A standard deviation of 1 does not change the scale.
    pub(super) fn off_scale(&self, scale: f64) -> Option<Misfit> {
        let mean = self.mean.iter().find(|m| !(0.0..=1.0).contains(*m)).map(|m| ("a mean", *m));
        let (what, given) = mean.or_else(|| self.std.iter().find(|s| **s > 1.0).map(|s| ("a std", *s)))?;
        let mut needed = "0 to 1, since pixels are divided by their largest value first".to_string();
        if (0.0..=scale).contains(&given) {
            needed += &format!(": {given} / {scale} is {:.4}", given / scale);
        }
        Some(Misfit { what, given: given.to_string(), needed })
    }
}

/// Mean and standard deviation of pixels, where `histogram` counts every value.
fn mean_and_std(histogram: &[u64; 256], scale: f64) -> (f64, f64) {
    let counted = || histogram.iter().enumerate().map(|(value, count)| (value as f64 / scale, *count as f64));
    let n: f64 = counted().map(|(_, count)| count).sum();
    let mean = counted().map(|(x, count)| count * x).sum::<f64>() / n;
    let variance = counted().map(|(x, count)| count * (x - mean) * (x - mean)).sum::<f64>() / n;
    let constant = counted().filter(|(_, count)| *count > 0.0).count() == 1;
    (mean, if constant { 1.0 } else { variance.sqrt() })
}

/// Normalises the pixels of a data set, with one table of 256 values per channel.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelNormaliser {
    tables: Vec<[f32; 256]>,
    statistics: ChannelStatistics,
}

impl PixelNormaliser {
    /// The normaliser for `choice`; statistics are those of `train`.
    ///
    /// # Errors
    /// [`Error::Argument`] if given constants do not match the channels of the data set, or if there are no images to compute
    /// statistics of.
    pub fn new(choice: &PixelNormalisation, train: &ImageSubset) -> Result<Self> {
        let channels = train.set().shape()[0];
        let statistics = match choice {
            PixelNormalisation::Preset(Preset::Unit) => ChannelStatistics::unit(channels),
            PixelNormalisation::Preset(Preset::Standardise) => ChannelStatistics::measure(train)?,
            PixelNormalisation::Channels(given) => given.clone(),
        };
        Self::from_statistics(statistics, channels, train.set().scale())
    }

    /// The normaliser with known statistics, for images with `channels` channels whose brightest pixel is `scale`.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is not one finite mean and one positive std per channel.
    pub fn from_statistics(statistics: ChannelStatistics, channels: usize, scale: f32) -> Result<Self> {
        if let Some(misfit) = statistics.misfit(Some(channels)) {
            return Err(misfit.argument("PixelNormaliser"));
        }
        let table = |(mean, std): (&f64, &f64)| {
            std::array::from_fn(|value| ((value as f64 / f64::from(scale) - mean) / std) as f32)
        };
        let tables = statistics.mean.iter().zip(&statistics.std).map(table).collect();
        Ok(Self { tables, statistics })
    }

    /// The mean and standard deviation in use.
    pub fn statistics(&self) -> &ChannelStatistics {
        &self.statistics
    }

    /// The value of a normalised black pixel (0) of `channel`.
    ///
    /// # Panics
    /// Like a slice, for a channel that the data set does not have.
    pub fn black(&self, channel: usize) -> f32 {
        self.tables[channel][0]
    }

    /// Appends the normalised pixels of `image` `[C, H, W]` to `out`.
    pub fn extend(&self, out: &mut Vec<f32>, image: &[u8]) {
        let plane = image.len() / self.tables.len();
        for (table, pixels) in self.tables.iter().zip(image.chunks_exact(plane.max(1))) {
            out.extend(pixels.iter().map(|p| table[usize::from(*p)]));
        }
    }
}

/// The shape `[C, H, W]` of a network's input images and the normaliser of their pixels; `None` for a network whose input is
/// not images.
///
/// # Errors
/// [`Error::Argument`] if there is not one finite mean and one positive standard deviation per channel.
pub fn normaliser_of(signature: &ModelSignature) -> Result<Option<([usize; 3], PixelNormaliser)>> {
    let (RowShape::Maps { channels, height, width }, Some(pixels)) = (signature.input, &signature.pixels) else {
        return Ok(None);
    };
    let PixelScaling { scale, mean, std } = pixels.clone();
    if !(scale > 0.0 && scale <= 255.0) {
        return Err(Error::argument("ModelSignature", "scale", scale, "in (0, 255]"));
    }
    let normaliser = PixelNormaliser::from_statistics(ChannelStatistics { mean, std }, channels, scale)?;
    Ok(Some(([channels, height, width], normaliser)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::ImageSet;

    fn part() -> ImageSubset {
        // Two channels of 1x2 pixels; the second is constant.
        let pixels = vec![0, 51, 7, 7, 102, 255, 7, 7];
        ImageSubset::whole(ImageSet::new(pixels, vec![0, 0], [2, 1, 2], 1, 255.0).unwrap())
    }

    fn all(normaliser: &PixelNormaliser, part: &ImageSubset) -> Vec<f32> {
        let mut out = Vec::new();
        (0..part.len()).for_each(|i| normaliser.extend(&mut out, part.image(i)));
        out
    }

    #[test]
    fn unit_divides_by_the_scale() {
        let normaliser = PixelNormaliser::new(&PixelNormalisation::default(), &part()).unwrap();
        let expected = [0u8, 51, 7, 7, 102, 255, 7, 7].map(|p| f32::from(p) / 255.0);
        assert_eq!(all(&normaliser, &part()), expected);
    }

    #[test]
    fn standardise_gives_mean_0_and_deviation_1() {
        let set = crate::images::digits::parts().unwrap().0;
        let out = all(&PixelNormaliser::new(&PixelNormalisation::Preset(Preset::Standardise), &set).unwrap(), &set);
        let n = out.len() as f64;
        let mean = out.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let variance = out.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 1e-6, "{mean}");
        assert!((variance - 1.0).abs() < 1e-5, "{variance}");
    }

    #[test]
    fn channels_are_measured_apart_and_a_constant_one_becomes_zero() {
        let statistics = ChannelStatistics::measure(&part()).unwrap();
        // 0, 0.2, 0.4, 1: mean 0.4, variance (0.16 + 0.04 + 0 + 0.36) / 4 = 0.14.
        assert!((statistics.mean[0] - 0.4).abs() < 1e-12 && (statistics.std[0] - 0.14f64.sqrt()).abs() < 1e-12);
        assert_eq!(statistics.std[1], 1.0);
        let out =
            all(&PixelNormaliser::new(&PixelNormalisation::Preset(Preset::Standardise), &part()).unwrap(), &part());
        assert!(out[2].abs() < 1e-7, "{}", out[2]);
    }

    #[test]
    fn given_numbers_are_used_or_refused() {
        let given = |mean: &[f64], std: &[f64]| {
            let statistics = ChannelStatistics { mean: mean.to_vec(), std: std.to_vec() };
            PixelNormaliser::new(&PixelNormalisation::Channels(statistics), &part()).map_err(|e| e.to_string())
        };
        let out = all(&given(&[0.5, 0.0], &[0.25, 1.0]).unwrap(), &part());
        assert_eq!((out[0], out[5]), (-2.0, 2.0));
        assert_eq!(given(&[0.5, 0.0], &[0.25, 1.0]).unwrap().black(0), -2.0);
        assert_eq!(
            given(&[0.5], &[0.5]).unwrap_err(),
            "PixelNormaliser: number of means and stds is 1 and 1, but needs to be 2 each"
        );
        assert!(given(&[0.5, 0.0], &[0.0, 1.0]).is_err());
        assert!(given(&[f64::NAN, 0.0], &[1.0, 1.0]).is_err());
    }

    #[test]
    fn the_config_takes_a_name_or_numbers() {
        let parse = |text: &str| serde_json::from_str::<PixelNormalisation>(text).map_err(|e| e.to_string());
        assert_eq!(parse(r#""standardise""#).unwrap(), PixelNormalisation::Preset(Preset::Standardise));
        let statistics = ChannelStatistics { mean: vec![0.1307], std: vec![0.3081] };
        assert_eq!(parse(r#"{"mean": [0.1307], "std": [0.3081]}"#).unwrap(), PixelNormalisation::Channels(statistics));
        assert_eq!(
            parse(r#""units""#).unwrap_err(),
            r#"expected "unit", "standardise" or {"mean": [..], "std": [..]} with a number per channel"#
        );
    }
}
