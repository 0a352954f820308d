//! Layers: the smallest parts of a network, between which a block border may be drawn.

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

/// `C` variants of every row of an input, for scoring candidate labels.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// Number of variants `C`.
    pub count: usize,
    /// Added to the features of the input, one row per variant `[C, d]`.
    pub inputs: Option<Tensor<2>>,
    /// Added to the first pre-activation, one row per variant `[C, w]`.
    pub biases: Option<Tensor<2>>,
}

/// A layer: what a block is made of. Implement it (and Burn's `Module`) to bring an architecture.
pub trait Layer: ErasedModule {
    /// A boxed copy.
    fn clone_layer(&self) -> Box<dyn Layer>;

    /// One line for tables: kind, sizes, activation.
    fn describe(&self) -> String;

    /// Shape of an output row.
    fn output(&self) -> RowShape;

    /// Where it stands in its architecture.
    fn outline(&self) -> LayerOutline {
        LayerOutline::default()
    }

    /// Multiplications and additions of one row's forward pass, counted as pairs.
    fn macs_per_row(&self) -> usize;

    /// Bytes of `f32` activations that one row leaves in the autodiff graph of this layer.
    fn activation_bytes_per_row(&self) -> usize {
        self.output().len() * size_of::<f32>() * 2
    }

    /// Values per channel that one row gives to a batch normalisation in training, of the one with the fewest; `None` if
    /// this layer has no batch normalisation. Maps give one value per position, features one.
    fn normalised_values_per_row(&self) -> Option<usize> {
        None
    }

    /// Width of the pre-activation that a bias can be added to; `None` if this layer takes no bias.
    fn bias_width(&self) -> Option<usize> {
        None
    }

    /// Shape of a row of the layer's units, in front of pooling and dropout; `None` for a layer that has none (a pool) or
    /// shows none in [`trace`](Self::trace).
    fn units(&self) -> Option<RowShape> {
        None
    }

    /// The forward pass, with the layer's [units](Self::units).
    ///
    /// # Shapes
    /// - `input`: `B` rows.
    /// - `bias`: `[B, bias_width]`, added to the pre-activation; ignored where `bias_width` is `None`.
    fn trace(&self, input: AnyActivation, bias: Option<Tensor<2>>) -> Trace<AnyActivation>;

    /// The output of [`trace`](Self::trace) without a bias, for callers that read nothing else of it: a layer need not keep
    /// its units then.
    fn forward(&self, input: AnyActivation) -> AnyActivation {
        self.trace(input, None).output
    }

    /// The layer's linear map, `z = N(x) W + b`: the first of its two halves, for rules whose signal enters at `z`. `None` for a
    /// layer that is no linear map followed by a function (a composite, a pool), and whose [outline](Self::outline) says so.
    fn affine(&self, input: AnyActivation) -> Option<AnyActivation> {
        let _ = input;
        None
    }

    /// What the layer makes of the output `z` of its [linear map](Self::affine): the second half. The two halves one after
    /// the other are [`trace`](Self::trace).
    fn activate(&self, z: AnyActivation) -> Trace<AnyActivation> {
        z.into()
    }

    /// The forward passes of all variants of every row: `B C` rows, row `b C + c` is variant `c` of row `b`.
    ///
    /// This default does it literally. A layer that can share work between the variants of a row overrides it and must
    /// give the same values.
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

    /// Paths of the layer's modules with the names they have in public files of weights: `("branch.0.conv",
    /// "layer1.0.conv1")`. A tensor whose path has no such prefix is called `layers.<i>.<last part of its path>`, or by its
    /// whole path where the layer has several of that name.
    fn public_names(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Name of the classifier after this layer in public files, if this is the architecture's last layer and it has one.
    fn readout_name(&self) -> Option<String> {
        None
    }

    /// A layer of the same kind and width for inputs of another shape, with weights from the stream `auxiliary` of `seed`
    /// at `draws`: what auxiliary networks are made of.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if the layer cannot take such inputs, or no other ones at all.
    fn fresh(&self, input: RowShape, draws: u64, seed: Seed, device: &Device) -> Result<AnyLayer> {
        let _ = (draws, seed, device);
        Err(crate::Error::argument("Layer::fresh", format!("input of '{}'", self.describe()), input, "its own"))
    }

    /// How an exported file describes this layer to whoever runs it elsewhere.
    fn export(&self) -> LayerExport;
}

/// A layer's line in the description inside an exported file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerExport {
    /// Prefix of the tensors' names, filled in by the exporter.
    #[serde(default)]
    pub name: String,
    /// Kind of the layer: `linear`.
    pub kind: String,
    /// Normalisation applied to the layer's input.
    pub normalisation: String,
    /// Activation function.
    pub activation: String,
}

/// Every row `count` times, side by side: `[B, d]` to `[B count, d]`.
pub(crate) fn repeat_rows(x: Tensor<2>, count: usize) -> Tensor<2> {
    let [rows, d] = x.dims();
    x.reshape([rows, 1, d]).repeat_dim(1, count).reshape([rows * count, d])
}

/// A layer of any kind.
#[derive(Debug)]
pub struct AnyLayer(Box<dyn Layer>);

impl AnyLayer {
    /// Puts a layer behind a pointer.
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
