//! A head that retains the information in the image: reconstruction in addition to classification (InfoPro).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::interpolate::{Interpolate2d, Interpolate2dConfig, InterpolateMode};
use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn_forward::Result;
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::rules::{AnyHead, Head, HeadTargets};
use burn_forward::tape::Score;
use burn_forward_kernels::conv::conv2d;

use crate::conv::{ConvUnit, UnitNames, UnitSpec, map_shape};
use crate::module_init::{ConvInit, ConvShape, ModuleInit};
use crate::nonlinearity::Nonlinearity;

/// Number of channels of the decoder.
const CHANNELS: usize = 12;

/// `L = a BCE(decoder(h), image) + b CE(G, y)` (Wang et al. 2021, arXiv 2101.10832). The decoder consists of a 3x3 convolution
/// to 12 channels with normalisation and ReLU, upsampling, and a 3x3 convolution to the channels of the image. The paper
/// upsamples first; for deep blocks this makes the maps of the decoder larger than those of the network.
#[derive(Module, Debug)]
pub struct Reconstruction {
    classifier: AnyHead,
    hidden: ConvUnit,
    output: Conv2d,
    upsample: Interpolate2d,
    #[module(skip)]
    weights: [f64; 2],
}

impl Reconstruction {
    /// A head for maps of `shape` in a network for images of shape `image`, built around a classifier; `weights` are `a` and
    /// `b`.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if one of the shapes is not that of maps.
    pub fn new(
        classifier: AnyHead,
        shape: RowShape,
        image: RowShape,
        weights: [f64; 2],
        init: &mut ModuleInit<'_>,
    ) -> Result<Self> {
        let from = map_shape(shape, "Reconstruction")?;
        let [colours, height, width] = map_shape(image, "Reconstruction")?;
        let unit = UnitSpec::new(ConvShape::same(from[0], CHANNELS, 3, 1), Nonlinearity::RELU, UnitNames::default());
        let upsample = Interpolate2dConfig::new()
            .with_output_size(Some([height, width]))
            .with_mode(InterpolateMode::Linear)
            .with_align_corners(false)
            .init();
        Ok(Self {
            classifier,
            hidden: ConvUnit::new(unit, from, init)?,
            output: init.conv(ConvShape::same(CHANNELS, colours, 3, 1).with_bias(), ConvInit::Default)?,
            upsample,
            weights,
        })
    }

    /// Binary cross-entropy of the reconstructed image against the true one, whose values are mapped to `[0, 1]`.
    fn reconstruction(&self, h: &AnyActivation, image: &AnyActivation) -> Tensor<1> {
        let drawn = self.upsample.forward(self.hidden.forward(super::maps_of(h), None));
        let logits = conv2d(&self.output, drawn);
        // Images may be standardised; the logistic function maps their values back to `[0, 1]`.
        let wanted = sigmoid(super::maps_of(image)).detach();
        let bright = log_sigmoid(logits.clone());
        let dark = log_sigmoid(logits.neg());
        (wanted.clone() * bright + wanted.neg().add_scalar(1.0) * dark).mean().neg()
    }
}

impl Head for Reconstruction {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, targets: &HeadTargets) -> Score {
        let [a, b] = self.weights;
        let classified = self.classifier.score(trace, targets);
        let loss = match &targets.image {
            Some(image) => self.reconstruction(&trace.output, image) * a + classified.loss * b,
            None => classified.loss,
        };
        Score { loss, ..classified }
    }

    fn scores(&self, h: &AnyActivation) -> Tensor<2> {
        self.classifier.scores(h)
    }

    fn normalised_values_per_row(&self) -> Option<usize> {
        let of_both = [self.hidden.normalised_values_per_row(), self.classifier.normalised_values_per_row()];
        of_both.into_iter().flatten().min()
    }
}
