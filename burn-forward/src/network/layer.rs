//! Layers: the smallest parts of a network. Block borders are between layers.

use std::fmt;
use std::ops::Deref;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::LayerOutline;
use crate::Result;
use crate::activation::{Activation, AnyActivation, RowShape};
use crate::block::Trace;
use crate::erased::ErasedModule;
use crate::erased_module;
use crate::random::Seed;

/// `C` variants of every input row, for scoring candidate labels.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// Number of variants `C`.
    pub count: usize,
    /// Added to the features of the input, one row per variant, `[C, d]`.
    pub inputs: Option<Tensor<2>>,
    /// Added to the first pre-activation, one row per variant, `[C, w]`.
    pub biases: Option<Tensor<2>>,
}

/// A layer, of which blocks consist. Implement it (and Burn's `Module`) to add an architecture.
pub trait Layer: ErasedModule {
    /// A boxed copy.
    fn clone_layer(&self) -> Box<dyn Layer>;

    /// One line for tables: kind, sizes, activation.
    fn describe(&self) -> String;

    /// Shape of an output row.
    fn output(&self) -> RowShape;

    /// The place of the layer in its architecture.
    fn outline(&self) -> LayerOutline {
        LayerOutline::default()
    }

    /// Number of multiply-accumulate operations in the forward pass of one row.
    fn macs_per_row(&self) -> usize;

    /// Bytes of `f32` activations that one row keeps in the autodiff graph of this layer.
    fn activation_bytes_per_row(&self) -> usize {
        self.output().len() * size_of::<f32>() * 2
    }

    /// Number of values per channel that one row provides to a batch normalisation in training, the minimum if there are
    /// several; `None` if this layer has no batch normalisation. Maps provide one value per position, features one.
    fn normalised_values_per_row(&self) -> Option<usize> {
        None
    }

    /// Width of the pre-activation to which a bias can be added; `None` if this layer accepts no bias.
    fn bias_width(&self) -> Option<usize> {
        None
    }

    /// Shape of a row of the layer's units, before pooling and dropout; `None` for a layer that has none (a pool) or does not
    /// return them from [`trace`](Self::trace).
    fn units(&self) -> Option<RowShape> {
        None
    }

    /// The forward pass, with the layer's [units](Self::units).
    ///
    /// # Shapes
    /// - `input`: `B` rows.
    /// - `bias`: `[B, bias_width]`, added to the pre-activation; ignored if `bias_width` is `None`.
    fn trace(&self, input: AnyActivation, bias: Option<Tensor<2>>) -> Trace<AnyActivation>;

    /// The output of [`trace`](Self::trace) without a bias, for callers that need nothing else; the layer then does not have
    /// to keep its units.
    fn forward(&self, input: AnyActivation) -> AnyActivation {
        self.trace(input, None).output
    }

    /// The layer's linear map `z = N(x) W + b`. It is the first half of the layer, for rules whose signal enters at `z`.
    /// `None` for a layer that is not a linear map followed by a function (a composite, a pool); its [outline](Self::outline)
    /// must say the same.
    fn affine(&self, input: AnyActivation) -> Option<AnyActivation> {
        let _ = input;
        None
    }

    /// The second half of the layer, applied to the output `z` of its [linear map](Self::affine). The two halves in sequence
    /// are equivalent to [`trace`](Self::trace).
    fn activate(&self, z: AnyActivation) -> Trace<AnyActivation> {
        z.into()
    }

    /// The forward passes of all variants of every row: `B C` rows, where row `b C + c` is variant `c` of row `b`.
    ///
    /// This default computes each of them separately. A layer that can share work between the variants of a row overrides it
    /// and must return the same values.
    fn trace_candidates(&self, input: &AnyActivation, candidates: &Candidates) -> Trace<AnyActivation> {
        let rows = input.rows();
        let count = candidates.count;
        let mut x = repeat_rows(input.features(), count);
        if let Some(inputs) = &candidates.inputs {
            x = x + inputs.clone().repeat_dim(0, rows);
        }
        let bias = candidates.biases.as_ref().map(|d| d.clone().repeat_dim(0, rows));
        self.trace(input.with_features(x), bias)
    }

    /// Paths of the layer's modules, with their names in public weight files: `("branch.0.conv", "layer1.0.conv1")`. A tensor
    /// whose path does not start with any of these is called `layers.<i>.<last part of its path>`, or by its full path if the
    /// layer has several tensors with that name.
    fn public_names(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Name of the classifier after this layer in public files, if this is the last layer of the architecture and there is
    /// one.
    fn readout_name(&self) -> Option<String> {
        None
    }

    /// A layer of the same kind and width for inputs of another shape, with weights from the stream `auxiliary` of `seed` at
    /// `draws`, for auxiliary networks.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if the layer does not accept such inputs, or cannot be copied, which is the
    /// default.
    fn fresh(&self, input: RowShape, draws: u64, seed: Seed, device: &Device) -> Result<AnyLayer> {
        let _ = (input, draws, seed, device);
        let needed = "a layer that can be copied for an auxiliary network, such as those of convolutional networks";
        Err(crate::Error::argument("Layer::fresh", "layer", self.describe(), needed))
    }

    /// Description of this layer in an exported file, for programs that run it.
    fn export(&self) -> LayerExport;
}

/// The entry of a layer in the description of an exported file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerExport {
    /// Prefix of the tensors' names, set by the exporter.
    #[serde(default)]
    pub name: String,
    /// Kind of the layer, such as `linear`.
    pub kind: String,
    /// Normalisation applied to the layer's input.
    pub normalisation: String,
    /// Activation function.
    pub activation: String,
}

/// Repeats every row `count` times, in adjacent rows: `[B, d]` to `[B count, d]`.
pub(crate) fn repeat_rows(x: Tensor<2>, count: usize) -> Tensor<2> {
    let [rows, d] = x.dims();
    x.reshape([rows, 1, d]).repeat_dim(1, count).reshape([rows * count, d])
}

/// A layer of any kind.
#[derive(Debug)]
pub struct AnyLayer(Box<dyn Layer>);

impl AnyLayer {
    /// Wraps a layer.
    pub fn new(layer: impl Layer + 'static) -> Self {
        Self(Box::new(layer))
    }
}

impl Clone for AnyLayer {
    fn clone(&self) -> Self {
        Self(self.0.clone_layer())
    }
}

impl Deref for AnyLayer {
    type Target = dyn Layer;
    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl fmt::Display for AnyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.describe())
    }
}

erased_module!(AnyLayer);
