//! What a trained network takes and gives, so that it can be used without the data that it was trained on.

use serde::{Deserialize, Serialize};

use crate::activation::RowShape;

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
