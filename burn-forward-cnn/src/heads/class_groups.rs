//! Goodness of class groups: the channels form as many contiguous groups as there are classes, without any parameters.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softplus;
use burn_forward::Result;
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::rules::{Head, HeadTargets};
use burn_forward::tape::Score;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Goodness of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupGoodness {
    /// `G_c = mean of h^2` over the group's channels and positions (Papachristodoulou et al. 2024, arXiv 2312.12668).
    #[default]
    Squared,
    /// `G_c = mean of h`, which leaves a gradient for silent units (DeeperForward, ICLR 2025).
    Mean,
}

/// Loss of the class goodness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupLoss {
    /// Softmax cross-entropy of `G`.
    #[default]
    CrossEntropy,
    /// `(softplus(2 - G_y) + softplus(mean_(c != y) G_c - 2)) / 2`: the mean over both signs (`PvN`).
    PositiveNegative,
    /// 0.28 of the cross-entropy and 0.72 of the positive-negative loss (`CWG`).
    Weighted,
}

/// Threshold of the positive-negative loss.
const THRESHOLD: f64 = 2.0;
/// Weight of the cross-entropy in the weighted loss.
const SHARE: f64 = 0.28;

/// Class-group goodness of a block's output. If the number of channels is not a multiple of the number of classes, the last
/// channels are in no group.
#[derive(Module, Debug)]
pub struct ClassGroups {
    #[module(skip)]
    classes: usize,
    /// Number of features in a group.
    #[module(skip)]
    group: usize,
    #[module(skip)]
    goodness: GroupGoodness,
    #[module(skip)]
    loss: GroupLoss,
}

impl ClassGroups {
    /// A head for rows of `shape`.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if there are fewer channels than classes.
    pub fn new(shape: RowShape, classes: usize, goodness: GroupGoodness, loss: GroupLoss) -> Result<Self> {
        let (channels, positions) = match shape {
            RowShape::Maps { channels, height, width } => (channels, height * width),
            other => (other.len(), 1),
        };
        if classes == 0 || channels < classes {
            return Err(burn_forward::Error::argument(
                "ClassGroups",
                "number of channels of a block's output",
                channels,
                format!("at least {classes}, the number of classes"),
            ));
        }
        Ok(Self { classes, group: channels / classes * positions, goodness, loss })
    }
}

/// The positive-negative loss of every row, for every class that its label might be, `[B, C]`.
fn positive_negative(goodness: Tensor<2>) -> Tensor<2> {
    let [_, classes] = goodness.dims();
    let others = (goodness.clone().sum_dim(1) - goodness.clone()) / (classes.max(2) - 1) as f64;
    (softplus(goodness.neg().add_scalar(THRESHOLD), 1.0) + softplus(others - THRESHOLD, 1.0)) / 2.0
}

impl Head for ClassGroups {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, targets: &HeadTargets) -> Score {
        let goodness = self.scores(&trace.output);
        let positive_negative = || targets.expected_loss(positive_negative(goodness.clone()));
        let loss = match self.loss {
            GroupLoss::CrossEntropy => targets.cross_entropy(goodness.clone()),
            GroupLoss::PositiveNegative => positive_negative(),
            GroupLoss::Weighted => {
                targets.cross_entropy(goodness.clone()) * SHARE + positive_negative() * (1.0 - SHARE)
            }
        };
        Score { logits: Some(goodness), ..Score::from(loss) }
    }

    /// Channels are contiguous in a flattened row, so a group of channels is a group of features.
    fn scores(&self, h: &AnyActivation) -> Tensor<2> {
        let x = h.labelled();
        let [rows, features] = x.dims();
        let used = self.classes * self.group;
        let x = if used < features { x.narrow(1, 0, used) } else { x };
        let grouped = x.reshape([rows, self.classes, self.group]);
        let values = match self.goodness {
            GroupGoodness::Squared => grouped.square(),
            GroupGoodness::Mean => grouped,
        };
        values.mean_dim(2).reshape([rows, self.classes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};
    use burn_forward::tape::Labels;

    /// `log(1 + exp(u))` for both signs, averaged over rows and signs, as in the program of the paper.
    fn published(goodness: &[[f64; 3]], labels: &[usize]) -> f64 {
        let softplus = |u: f64| (1.0 + u.exp()).ln();
        let row = |(g, y): (&[f64; 3], &usize)| {
            let others = (g.iter().sum::<f64>() - g[*y]) / 2.0;
            [softplus(2.0 - g[*y]), softplus(others - 2.0)]
        };
        let all: Vec<f64> = goodness.iter().zip(labels).flat_map(row).collect();
        all.iter().sum::<f64>() / all.len() as f64
    }

    fn cross_entropy(goodness: &[[f64; 3]], labels: &[usize]) -> f64 {
        let row = |(g, y): (&[f64; 3], &usize)| g.iter().map(|g| g.exp()).sum::<f64>().ln() - g[*y];
        goodness.iter().zip(labels).map(row).sum::<f64>() / labels.len() as f64
    }

    #[test]
    fn losses_are_the_published_ones() {
        let device = Device::flex();
        // One channel of one pixel per class, whose goodness is its square.
        let h = Tensor::<2>::from_floats([[1.0, 2.0, 0.5], [1.5, 0.25, 1.0]], &device);
        let (goodness, labels) = ([[1.0, 4.0, 0.25], [2.25, 0.0625, 1.0]], [1, 2]);
        let targets = HeadTargets::new(Labels(Tensor::<1, Int>::from_ints([1, 2], &device)));
        let trace = Trace::from(AnyActivation::Features(h));
        let (ce, pvn) = (cross_entropy(&goodness, &labels), published(&goodness, &labels));
        let expected = [
            (GroupLoss::CrossEntropy, ce),
            (GroupLoss::PositiveNegative, pvn),
            (GroupLoss::Weighted, 0.28 * ce + 0.72 * pvn),
        ];
        for (loss, expected) in expected {
            let head = ClassGroups::new(RowShape::Features(3), 3, GroupGoodness::Squared, loss).unwrap();
            let got = head.score(&trace, &targets).loss.into_scalar::<f64>();
            assert!((got - expected).abs() < 1e-6, "{loss:?}: {got} instead of {expected}");
        }
    }
}
