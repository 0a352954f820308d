//! The settings of a network, and what a rule requests of its layers.

use std::fmt::Debug;

use burn::tensor::Device;

use super::{AnyLayer, LayerOutline, MlpConfig};
use crate::activation::RowShape;
use crate::pieces::normalisation::Normalisation;
use crate::random::Seed;
use crate::{Error, Result};

/// What a rule requests of a network's layers in addition to the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerRequest {
    /// Number of classes `C`.
    pub classes: usize,
    /// Whether the last layer itself has to give the class scores: `C` outputs, without activation function or dropout.
    pub classifies: bool,
    /// Features that the rule adds to the inputs of layers.
    pub extra_inputs: ExtraInputs,
}

/// Features that a rule adds to the inputs of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraInputs {
    /// None.
    None,
    /// `C` label features in the input of the first layer.
    Labels,
    /// For every layer the output of the layer above it, and for the last layer `C` label features.
    Above,
}

impl LayerRequest {
    /// The layers of the config without any request.
    pub fn plain(classes: usize) -> Self {
        Self { classes, classifies: false, extra_inputs: ExtraInputs::None }
    }

    /// Whether nothing is requested.
    pub fn is_plain(self) -> bool {
        !self.classifies && self.extra_inputs == ExtraInputs::None
    }
}

/// The settings of a network, before there is data.
pub trait NetworkSpec: Debug + Send + Sync {
    /// The outlines of the layers, known before there is an input. The number of blocks follows from them.
    fn outline(&self) -> Vec<LayerOutline>;

    /// Normalisation of every layer's input; `None` if the architecture does not tell, in which case rules assume that it
    /// normalises.
    fn normalisation(&self) -> Option<Normalisation> {
        None
    }

    /// Whether the activation functions saturate, as tanh does and ReLU does not; `None` if the architecture does not tell,
    /// in which case rules assume that they do.
    fn saturates(&self) -> Option<bool> {
        None
    }

    /// Output features of every layer, if the settings determine them.
    fn widths(&self) -> Option<&[usize]> {
        None
    }

    /// The layers for inputs of shape `input`, with weights from streams of `seed`, on `device`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the input does not fit.
    fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>>;

    /// Like [`layers`](Self::layers), with the requests of a rule. An architecture that supports requests overrides this
    /// method.
    ///
    /// # Errors
    /// [`Error::Argument`] if the input does not fit, or the architecture does not support the request.
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

/// The error for a request that an architecture does not support.
fn unfit(asked: &str) -> Error {
    Error::argument("network", "the network that the rule requests", asked, "another architecture, or another rule")
}
