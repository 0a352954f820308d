//! Goodness of class groups: channels in as many contiguous groups as there are classes, without any parameters.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softplus;
use burn_forward::Result;
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::label::one_hot;
use burn_forward::rules::{Head, Teaching};
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
    /// `G_c = mean of h`: a silent unit keeps a gradient (DeeperForward, ICLR 2025).
    Mean,
}

/// Loss of class goodness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupLoss {
    /// Softmax cross-entropy of `G`.
    #[default]
    CrossEntropy,
    /// `softplus(2 - G_y) + softplus(mean_(c != y) G_c - 2)`, averaged.
    PositiveNegative,
    /// 0.28 of the first and 0.72 of the second.
    Weighted,
}

/// Threshold of the positive-negative loss.
const THRESHOLD: f64 = 2.0;
/// Share of the cross-entropy in the weighted loss.
const SHARE: f64 = 0.28;

/// Class-group goodness of a block's output. Where the classes do not divide the channels, the last few channels are in
/// no group.
#[derive(Module, Debug)]
pub struct ClassGroups {
    #[module(skip)]
    classes: usize,
    /// Features of a group.
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
                "channels of a block's output",
                channels,
                format!("at least {classes}, the number of classes"),
            ));
        }
        Ok(Self { classes, group: channels / classes * positions, goodness, loss })
    }
}

impl Head for ClassGroups {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, teaching: &Teaching) -> Score {
        let goodness = self.scores(&trace.output);
        let labels = teaching.labels.0.clone();
        let positive_negative = || {
            let [rows, classes] = goodness.dims();
            let own = goodness.clone().gather(1, labels.clone().reshape([rows, 1]));
            let others = (goodness.clone() * one_hot(&labels, classes).neg().add_scalar(1.0)).sum_dim(1)
                / (classes.max(2) - 1) as f64;
            (softplus(own.neg().add_scalar(THRESHOLD), 1.0) + softplus(others - THRESHOLD, 1.0)).mean()
        };
        let loss = match self.loss {
            GroupLoss::CrossEntropy => teaching.cross_entropy(goodness.clone()),
            GroupLoss::PositiveNegative => positive_negative(),
            GroupLoss::Weighted => {
                teaching.cross_entropy(goodness.clone()) * SHARE + positive_negative() * (1.0 - SHARE)
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
