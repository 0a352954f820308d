//! What a trained network takes and gives, so that it can be used without the data that it was trained on.

use serde::{Deserialize, Serialize};

use crate::activation::RowShape;
use crate::data::{Normaliser, TrainingData};
use crate::{Error, Result};

/// What a network takes and gives.
///
/// It is written into the run folder (`model.json`) before the first step, and into the description of an exported file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSignature {
    /// Shape of an input row.
    pub input: RowShape,
    /// Number of classes `C`.
    pub classes: usize,
    /// Name of every class `[C]`, where the data set has names; empty where it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// How pixels become inputs, where inputs are images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<PixelScaling>,
}

/// How a pixel `p` of channel `c` becomes an input: `(p / scale - mean[c]) / std[c]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PixelScaling {
    /// Value of a fully lit pixel, in (0, 255].
    pub scale: f32,
    /// What is subtracted from every channel `[C]`.
    pub mean: Vec<f64>,
    /// What every channel is divided by `[C]`, above 0.
    pub std: Vec<f64>,
}

impl ModelSignature {
    /// What a network that is trained on `data` takes and gives.
    pub fn of(data: &dyn TrainingData) -> Self {
        let pixels = data.images().map(|images| {
            let statistics = images.normaliser.statistics().clone();
            PixelScaling { scale: images.splits.train.set().scale(), mean: statistics.mean, std: statistics.std }
        });
        Self { input: data.input(), classes: data.classes(), class_names: data.class_names(), pixels }
    }

    /// Shape `[C, H, W]` of the images that the network takes, and what normalises their pixels; `None` for a network that
    /// takes no images.
    ///
    /// # Errors
    /// [`Error::Argument`] if the constants are not one finite mean and one positive standard deviation per channel.
    pub fn images(&self) -> Result<Option<([usize; 3], Normaliser)>> {
        let (RowShape::Maps { channels, height, width }, Some(pixels)) = (self.input, &self.pixels) else {
            return Ok(None);
        };
        let PixelScaling { scale, mean, std } = pixels.clone();
        if !(scale > 0.0 && scale <= 255.0) {
            return Err(Error::argument("ModelSignature", "scale", scale, "in (0, 255]"));
        }
        let statistics = crate::data::ChannelStatistics { mean, std };
        Ok(Some(([channels, height, width], Normaliser::from_statistics(statistics, channels, scale)?)))
    }
}
