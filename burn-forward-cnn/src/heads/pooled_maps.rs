//! The head of a public reimplementation of Scalable Forward-Forward, which differs from the paper's: convolution,
//! normalisation, ReLU, means of the maps, classifier.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::Tensor;
use burn_forward::Result;
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::rules::{Head, HeadTargets};
use burn_forward::tape::Score;
use burn_forward_kernels::conv::conv2d;
use burn_forward_kernels::relu::relu;

use super::ClassLoss;
use crate::conv::map_shape;
use crate::module_init::{ConvInit, ConvShape, ModuleInit};

/// `G = W mean_hw relu(layer_norm_c(conv(h))) + b` `[B, C]`, where the channels of every pixel are normalised together.
///
/// In contrast to [`ClassMaps`](super::ClassMaps), it has a hidden layer, so single features need not correspond to classes.
#[derive(Module, Debug)]
pub struct PooledMaps {
    conv: Conv2d,
    norm: LayerNorm,
    classifier: Linear,
    #[module(skip)]
    loss: ClassLoss,
    #[module(skip)]
    temperature: f64,
}

impl PooledMaps {
    /// A head for maps of `shape`, with `channels` auxiliary maps and a kernel of side `kernel`.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if the shape is not that of maps or a size is 0.
    pub fn new(
        shape: RowShape,
        classes: usize,
        channels: usize,
        kernel: usize,
        loss: ClassLoss,
        temperature: f64,
        init: &mut ModuleInit<'_>,
    ) -> Result<Self> {
        let [input, _, _] = map_shape(shape, "PooledMaps")?;
        let conv = init.conv(ConvShape::same(input, channels, kernel, 1), ConvInit::HeNormal)?;
        let norm = LayerNormConfig::new(channels).init(init.device());
        let classifier = init.linear(channels, classes, true)?;
        Ok(Self { conv, norm, classifier, loss, temperature })
    }
}

impl Head for PooledMaps {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, targets: &HeadTargets) -> Score {
        let logits = self.scores(&trace.output);
        let loss = self.loss.forward(logits.clone(), targets);
        Score { logits: Some(logits), ..Score::from(loss) }
    }

    fn scores(&self, h: &AnyActivation) -> Tensor<2> {
        let maps = conv2d(&self.conv, super::maps_of(h));
        let [rows, channels, height, width] = maps.dims();
        let pixels = maps.reshape([rows, channels, height * width]).swap_dims(1, 2);
        let hidden = relu(self.norm.forward(pixels));
        let means = hidden.mean_dim(1).reshape([rows, channels]);
        self.classifier.forward(means) / self.temperature
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads::reference::{Maps, convolved, maps, numbers};
    use burn::tensor::Device;
    use burn_forward::random::Seed;

    #[test]
    fn scores_are_a_classifier_of_means_of_rectified_normalised_pixels() {
        let device = Device::flex();
        let mut init = ModuleInit::new(Seed::new(4), "head", &device);
        let shape = RowShape::Maps { channels: 2, height: 3, width: 4 };
        let (classes, channels, pixels) = (3, 5, 12);
        let head = PooledMaps::new(shape, classes, channels, 3, ClassLoss::LogSumExp, 2.0, &mut init).unwrap();
        let h = maps(4, [2, 3, 4], &device);
        let a: Maps = convolved(&h, &head.conv, &[0.0; 5]);
        let weight = numbers(head.classifier.weight.val());
        let bias = numbers(head.classifier.bias.as_ref().unwrap().val());
        let scores = numbers(head.scores(&AnyActivation::Maps(h)));
        for row in 0..4 {
            let mut means = vec![0.0; channels];
            for pixel in 0..pixels {
                let column: Vec<f32> = a[row].iter().map(|channel| channel[pixel]).collect();
                let mean = column.iter().sum::<f32>() / channels as f32;
                let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / channels as f32;
                for (sum, x) in means.iter_mut().zip(&column) {
                    *sum += ((x - mean) / (variance + 1e-5).sqrt()).max(0.0) / pixels as f32;
                }
            }
            for class in 0..classes {
                let product: f32 = means.iter().enumerate().map(|(c, m)| m * weight[c * classes + class]).sum();
                let expected = (product + bias[class]) / 2.0;
                let got = scores[classes * row + class];
                assert!((got - expected).abs() < 1e-4, "row {row}, class {class}: {got} instead of {expected}");
            }
        }
    }
}
