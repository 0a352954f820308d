//! Goodness of class maps: an auxiliary convolution to the same number of maps for every class, and the mean of its squares.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::rules::{Head, Teaching};
use burn_forward::tape::Score;
use burn_forward::{ProjectedCrossEntropy, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conv::map_shape;
use crate::draw::{ConvInit, ConvShape, Draw};
use crate::kernels::conv2d;

/// How class goodness `G` `[B, C]` becomes a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClassLoss {
    /// `-G_y + log sum_j e^(G_j)`: softmax cross-entropy.
    #[default]
    LogSumExp,
    /// `-G_y + log sum_(j != y) e^(G_j)`: the margin to the other classes, unbounded below.
    Margin,
}

impl ClassLoss {
    /// The loss, averaged over rows `[1]`.
    ///
    /// # Shapes
    /// - `goodness`: `[B, C]`
    pub fn forward(self, goodness: Tensor<2>, teaching: &Teaching) -> Tensor<1> {
        let labels = teaching.labels.0.clone();
        match self {
            Self::LogSumExp => teaching.cross_entropy(goodness),
            Self::Margin => {
                let [rows, classes] = goodness.dims();
                let own = goodness.clone().gather(1, labels.clone().reshape([rows, 1]));
                let mine = burn_forward::label::one_hot(&labels, classes);
                // The own class is taken out of the sum, which is shifted by the largest of the others for range.
                let others = goodness - mine * 1e9;
                let largest = others.clone().max_dim(1).detach();
                let sum = (others - largest.clone()).exp().sum_dim(1).log() + largest;
                (sum - own).mean()
            }
        }
    }
}

/// `A = conv(h)` `[B, C M, H', W']`, `G_c = mean_{m,hw} A_{cm}^2 / temperature`; `M = 1` is the paper's (Krutsylo 2025,
/// arXiv 2501.03176).
#[derive(Module, Debug)]
pub struct ClassMaps {
    conv: Conv2d,
    #[module(skip)]
    classes: usize,
    #[module(skip)]
    loss: ClassLoss,
    #[module(skip)]
    temperature: f64,
}

impl ClassMaps {
    /// A head for maps of `shape`, with `maps` auxiliary maps for every class and a kernel of side `kernel`.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if the shape is no map or a size is 0.
    pub fn new(
        shape: RowShape,
        classes: usize,
        maps: usize,
        kernel: usize,
        loss: ClassLoss,
        temperature: f64,
        draw: &mut Draw<'_>,
    ) -> Result<Self> {
        let [channels, _, _] = map_shape(shape, "ClassMaps")?;
        let conv = draw.conv(ConvShape::same(channels, classes * maps, kernel, 1).with_bias(), ConvInit::Default)?;
        Ok(Self { conv, classes, loss, temperature })
    }
}

impl Head for ClassMaps {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, teaching: &Teaching) -> Score {
        let goodness = self.scores(&trace.output);
        let loss = self.loss.forward(goodness.clone(), teaching);
        Score { logits: Some(goodness), ..Score::from(loss) }
    }

    fn scores(&self, h: &AnyActivation) -> Tensor<2> {
        let maps = super::maps_of(h);
        let a = conv2d(&self.conv, maps);
        let [rows, channels, height, width] = a.dims();
        let squares = a.square().reshape([rows, self.classes, channels / self.classes * height * width]);
        squares.mean_dim(2).reshape([rows, self.classes]) / self.temperature
    }

    fn linear(&self) -> Option<ProjectedCrossEntropy> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads::reference::{Maps, convolved, maps, numbers};
    use burn::tensor::Device;
    use burn_forward::random::Seed;

    #[test]
    fn goodness_is_the_mean_of_a_class_s_squares() {
        let device = Device::flex();
        let mut draw = Draw::new(Seed::new(3), "head", &device);
        let shape = RowShape::Maps { channels: 2, height: 4, width: 3 };
        let head = ClassMaps::new(shape, 3, 2, 3, ClassLoss::LogSumExp, 0.5, &mut draw).unwrap();
        let h = maps(5, [2, 4, 3], &device);
        let bias = numbers(head.conv.bias.as_ref().unwrap().val());
        let a: Maps = convolved(&h, &head.conv, &bias);
        let goodness = numbers(head.scores(&AnyActivation::Maps(h)));
        for row in 0..5 {
            for class in 0..3 {
                let own = &a[row][2 * class..2 * class + 2];
                let squares: f32 = own.iter().flatten().map(|a| a * a).sum();
                let expected = squares / 24.0 / 0.5;
                let got = goodness[3 * row + class];
                assert!((got - expected).abs() < 1e-5, "row {row}, class {class}: {got}, not {expected}");
            }
        }
    }
}
