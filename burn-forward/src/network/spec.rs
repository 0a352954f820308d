//! A network's settings, and what a rule wants of its layers.

use std::fmt::Debug;

use burn::tensor::Device;

use super::{AnyLayer, LayerOutline, MlpConfig};
use crate::activation::RowShape;
use crate::pieces::normalisation::Normalisation;
use crate::random::Seed;
use crate::{Error, Result};

/// What a rule requires of a network's layers in addition to the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerRequest {
    /// Number of classes `C`.
    pub classes: usize,
    /// Whether the last layer itself is to give the class scores: `C` outputs, no activation function, no dropout.
    pub classifies: bool,
    /// Features that the rule adds to the inputs of layers.
    pub extra_inputs: ExtraInputs,
}

/// Features that a rule adds to the inputs of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraInputs {
    /// None.
    None,
    /// `C` label features to the input of the first layer.
    Labels,
    /// To every layer the output of the layer above it, to the last one `C` label features.
    Above,
}

impl LayerRequest {
    /// The layers as the config says.
    pub fn plain(classes: usize) -> Self {
        Self { classes, classifies: false, extra_inputs: ExtraInputs::None }
    }

    /// Whether nothing is wanted.
    pub fn is_plain(self) -> bool {
        !self.classifies && self.extra_inputs == ExtraInputs::None
    }
}

/// A network's settings: what the config says, before there is data.
pub trait NetworkSpec: Debug + Send + Sync {
    /// The layers as they will be, known before there is an input: what the number of blocks follows from.
    fn outline(&self) -> Vec<LayerOutline>;

    /// Normalisation of every layer's input; `None` where the architecture does not say, and rules take it to do.
    fn normalisation(&self) -> Option<Normalisation> {
        None
    }

    /// Whether the activation functions saturate, as tanh does and relu does not; `None` where the architecture does not
    /// say, and rules take them to do.
    fn saturates(&self) -> Option<bool> {
        None
    }

    /// Output features of every layer, where the settings give them.
    fn widths(&self) -> Option<&[usize]> {
        None
    }

    /// The layers for inputs of shape `input`, with weights from streams of `seed`, on `device`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the input does not fit.
    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>>;

    /// As [`layers`](Self::layers), with what a rule wants of them. An architecture that can give it overrides this.
    ///
    /// # Errors
    /// [`Error::Argument`] if the input does not fit, or the architecture cannot give what is wanted.
    fn layers_for(&self, input: RowShape, request: LayerRequest, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        if request.is_plain() {
            return self.layers(input, seed, device);
        }
        let given =
            if request.classifies { "one whose last layer gives class scores" } else { "one with wider inputs" };
        Err(unfit(given))
    }
}

impl NetworkSpec for MlpConfig {
    fn outline(&self) -> Vec<LayerOutline> {
        vec![LayerOutline { affine: true, ..LayerOutline::default() }; self.widths.len()]
    }

    fn normalisation(&self) -> Option<Normalisation> {
        Some(self.normalisation)
    }

    fn saturates(&self) -> Option<bool> {
        Some(self.activation.saturates())
    }

    fn widths(&self) -> Option<&[usize]> {
        Some(&self.widths)
    }

    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        MlpConfig::layers(self, input, seed, device)
    }

    fn layers_for(&self, input: RowShape, request: LayerRequest, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        if request.extra_inputs != ExtraInputs::None {
            return Err(unfit("one with wider inputs"));
        }
        self.layers_up_to(request.classifies.then_some(request.classes), input, seed, device)
    }
}

/// A network that an architecture cannot give.
fn unfit(asked: &str) -> Error {
    Error::argument("network", "the network that the rule asks for", asked, "another architecture, or another rule")
}
