//! Goodness of class maps: an auxiliary convolution gives the same number of maps for every class, and the goodness of a class
//! is the mean of their squares.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor};
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::pieces::label::one_hot;
use burn_forward::rules::{Head, HeadTargets};
use burn_forward::tape::Score;
use burn_forward::{ProjectedCrossEntropy, Result};
use burn_forward_kernels::conv::conv2d;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conv::map_shape;
use crate::module_init::{ConvInit, ConvShape, ModuleInit};

/// The loss of the class goodness `G` `[B, C]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClassLoss {
    /// `-G_y + log sum_j e^(G_j)`: softmax cross-entropy.
    #[default]
    LogSumExp,
    /// `-G_y + log sum_(j != y) e^(G_j)`: the margin to the other classes, which is unbounded below.
    Margin,
}

impl ClassLoss {
    /// The loss, averaged over rows `[1]`.
    ///
    /// # Shapes
    /// - `goodness`: `[B, C]`
    pub fn forward(self, goodness: Tensor<2>, targets: &HeadTargets) -> Tensor<1> {
        match self {
            Self::LogSumExp => targets.cross_entropy(goodness),
            Self::Margin => targets.expected_loss(margins(goodness)),
        }
    }
}

/// The margin loss of every row, for every class that its label might be: `log sum_(j != c) e^(G_j) - G_c` `[B, C]`.
fn margins(goodness: Tensor<2>) -> Tensor<2> {
    let best = one_hot(&best_class(&goodness), goodness.dims()[1]);
    // For the best class, the sum is computed again without it. Without any other class, at least half of the sum remains, so
    // subtracting the class inside the logarithm is exact.
    let rest = log_sum_exp(goodness.clone() - best.clone() * ABSENT);
    let without_best = best.clone().neg().add_scalar(1.0);
    let share = softmax(goodness.clone(), 1) * without_best.clone();
    let others = log_sum_exp(goodness.clone()) + share.neg().log1p();
    rest * best + others * without_best - goodness
}

/// The class with the highest score in every row `[B]`.
fn best_class(scores: &Tensor<2>) -> Tensor<1, Int> {
    let [rows, _] = scores.dims();
    scores.clone().argmax(1).reshape([rows])
}

/// `log sum_c e^(x_c)` of every row `[B, 1]`.
fn log_sum_exp(x: Tensor<2>) -> Tensor<2> {
    let largest = x.clone().max_dim(1).detach();
    (x - largest.clone()).exp().sum_dim(1).log() + largest
}

/// Subtracted from the score of a class to remove it from a sum of exponentials.
const ABSENT: f64 = 1e9;

/// `A = conv(h)` `[B, C M, H', W']`, `G_c = mean_{m,hw} A_{cm}^2 / temperature`. The paper (Krutsylo 2025, arXiv 2501.03176)
/// has `M = 1`.
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
    /// A head for maps of `shape`, with `maps` auxiliary maps per class and a kernel of side `kernel`.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if the shape is not that of maps or a size is 0.
    pub fn new(
        shape: RowShape,
        classes: usize,
        maps: usize,
        kernel: usize,
        loss: ClassLoss,
        temperature: f64,
        init: &mut ModuleInit<'_>,
    ) -> Result<Self> {
        let [channels, _, _] = map_shape(shape, "ClassMaps")?;
        let conv = init.conv(ConvShape::same(channels, classes * maps, kernel, 1).with_bias(), ConvInit::Default)?;
        Ok(Self { conv, classes, loss, temperature })
    }
}

impl Head for ClassMaps {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, targets: &HeadTargets) -> Score {
        let goodness = self.scores(&trace.output);
        let loss = self.loss.forward(goodness.clone(), targets);
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
    fn margins_are_those_to_the_other_classes_even_where_one_class_is_sure() {
        let device = Device::flex();
        let goodness = [[1.0f32, -0.5, 2.0, 0.3], [60.0, 3.0, -20.0, 3.5], [0.0, 0.0, 0.0, 0.0]];
        let got = numbers(margins(Tensor::<2>::from_floats(goodness, &device)));
        for (row, g) in goodness.iter().enumerate() {
            for class in 0..4 {
                let others = g.iter().enumerate().filter(|(c, _)| *c != class);
                let sum: f64 = others.map(|(_, g)| f64::from(*g).exp()).sum();
                let expected = sum.ln() - f64::from(g[class]);
                let got = f64::from(got[4 * row + class]);
                assert!(
                    (got - expected).abs() < 1e-5 * expected.abs().max(1.0),
                    "{row}, {class}: {got} instead of {expected}"
                );
            }
        }
    }

    #[test]
    fn gradients_of_the_margin_are_the_closed_form() {
        let device = Device::flex().autodiff();
        let goodness = Tensor::<2>::from_floats([[50.0, -40.0, 2.0], [0.1, 0.4, 0.2]], &device).require_grad();
        let labels = burn_forward::tape::Labels(Tensor::<1, Int>::from_ints([0, 2], &device));
        for smoothing in [0.0, 0.3] {
            let targets = HeadTargets { smoothing, ..HeadTargets::new(labels.clone()) };
            let loss = ClassLoss::Margin.forward(goodness.clone(), &targets);
            let got = numbers(goodness.grad(&loss.backward()).unwrap());
            let g = numbers(goodness.clone());
            for (row, label) in [0usize, 2].into_iter().enumerate() {
                let g: Vec<f64> = g[3 * row..][..3].iter().map(|g| f64::from(*g)).collect();
                // d L(c) / d G_j: -1 for c itself, and the share of j among the others for j != c.
                let slope = |c: usize, j: usize| {
                    let largest = (0..3).filter(|k| *k != c).map(|k| g[k]).fold(f64::MIN, f64::max);
                    let sum: f64 = (0..3).filter(|k| *k != c).map(|k| (g[k] - largest).exp()).sum();
                    if j == c { -1.0 } else { (g[j] - largest).exp() / sum }
                };
                for j in 0..3 {
                    let all: f64 = (0..3).map(|c| slope(c, j)).sum();
                    let expected = ((1.0 - smoothing) * slope(label, j) + smoothing / 3.0 * all) / 2.0;
                    let got = f64::from(got[3 * row + j]);
                    assert!(
                        (got - expected).abs() < 1e-5,
                        "smoothing {smoothing}, {row}, {j}: {got} instead of {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn goodness_is_the_mean_of_a_class_s_squares() {
        let device = Device::flex();
        let mut init = ModuleInit::new(Seed::new(3), "head", &device);
        let shape = RowShape::Maps { channels: 2, height: 4, width: 3 };
        let head = ClassMaps::new(shape, 3, 2, 3, ClassLoss::LogSumExp, 0.5, &mut init).unwrap();
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
                assert!((got - expected).abs() < 1e-5, "row {row}, class {class}: {got} instead of {expected}");
            }
        }
    }
}
