//! Description of a trained network's input and output, so that it can be used without its training data.

use serde::{Deserialize, Serialize};

use crate::activation::RowShape;

/// Description of a network's input and output.
///
/// It is written to the run folder (`model.json`) before the first step, and into the description of an exported file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSignature {
    /// Shape of an input row.
    pub input: RowShape,
    /// Number of classes `C`.
    pub classes: usize,
    /// Name of every class `[C]`; empty if the data set has no names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// How pixels are converted to inputs, if the inputs are images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<PixelScaling>,
}

/// How a pixel `p` of channel `c` is converted to an input: `(p / scale - mean[c]) / std[c]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PixelScaling {
    /// Value of a white pixel, in (0, 255].
    pub scale: f32,
    /// Value that is subtracted from every channel `[C]`.
    pub mean: Vec<f64>,
    /// Value that every channel is divided by `[C]`, above 0.
    pub std: Vec<f64>,
}
