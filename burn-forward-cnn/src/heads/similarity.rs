//! The local errors of Nokland and Eidnes 2019, arXiv 1901.06656: prediction, similarity matching, or both.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn_forward::Result;
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::init::{self, Init};
use burn_forward::pieces::label::one_hot;
use burn_forward::pieces::projection::HeadPool;
use burn_forward::rules::{Head, HeadTargets};
use burn_forward::tape::Score;
use burn_forward_kernels::conv::conv2d;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::module_init::{ConvInit, ConvShape, ModuleInit};

/// The errors that a block learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LocalErrorKind {
    /// Cross-entropy of a linear classifier on the pooled output.
    Pred,
    /// Mean squared difference of the similarity matrices of the output and of the labels.
    Sim,
    /// `(1 - beta) pred + beta sim`.
    #[default]
    Predsim,
}

/// Largest number of features that the classifier uses.
const DECODER_FEATURES: usize = 4096;
/// Added to the length of a row to avoid division by zero.
const EPSILON: f64 = 1e-8;

/// Both errors of one block. Since every block needs a readout, there is a classifier under `sim` as well. It learns from a
/// detached copy of the output, so it does not affect what the block learns.
#[derive(Module, Debug)]
pub struct LocalErrors {
    classifier: Linear,
    similarity: Option<Similarity>,
    #[module(skip)]
    pool: HeadPool,
    #[module(skip)]
    kind: LocalErrorKind,
    #[module(skip)]
    beta: f64,
}

/// The map `F` of the activities whose similarities are compared.
#[derive(Module, Debug)]
enum Similarity {
    Maps(Conv2d),
    Features(Linear),
}

impl LocalErrors {
    /// A head for rows of `shape`.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if a size is 0.
    pub fn new(
        shape: RowShape,
        classes: usize,
        kind: LocalErrorKind,
        beta: f64,
        init: &mut ModuleInit<'_>,
    ) -> Result<Self> {
        let pool = match shape {
            RowShape::Maps { channels, height, width } => {
                // The largest grid with at most this number of features.
                let side = (1..=height.max(width)).take_while(|p| channels * p * p <= DECODER_FEATURES).last();
                HeadPool::Side(side.unwrap_or(1))
            }
            _ => HeadPool::FULL,
        };
        let mut rng = init.rng();
        let classifier =
            init::linear(pool.width(shape), classes, Init::Zeros, Some(Init::Zeros), &mut rng, init.device())?;
        let similarity = match (kind, shape) {
            (LocalErrorKind::Pred, _) => None,
            (_, RowShape::Maps { channels, .. }) => {
                Some(Similarity::Maps(init.conv(ConvShape::same(channels, channels, 3, 1), ConvInit::Default)?))
            }
            (_, other) => Some(Similarity::Features(init.linear(other.len(), other.len(), false)?)),
        };
        Ok(Self { classifier, similarity, pool, kind, beta })
    }

    /// Similarity matrix of the block's output for a batch `[B, B]`.
    fn similarity(&self, h: &AnyActivation) -> Option<Tensor<2>> {
        let x = match (self.similarity.as_ref()?, h) {
            (Similarity::Maps(conv), h) => {
                let z = conv2d(conv, super::maps_of(h));
                let [rows, channels, height, width] = z.dims();
                if height * width > 1 {
                    // The unbiased standard deviation of every channel over positions.
                    let z = z.reshape([rows, channels, height * width]);
                    let centred = z.clone() - z.mean_dim(2);
                    let variance = centred.square().sum_dim(2) / (height * width - 1) as f64;
                    (variance.reshape([rows, channels]) + EPSILON).sqrt()
                } else {
                    z.reshape([rows, channels])
                }
            }
            (Similarity::Features(linear), h) => linear.forward(h.labelled()),
        };
        Some(similarity_matrix(x))
    }
}

/// Cosines between the centred rows of `[B, d]`: `[B, B]`, in `[-1, 1]`.
fn similarity_matrix(x: Tensor<2>) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(1);
    let length = (centred.clone().square().sum_dim(1) + EPSILON * EPSILON).sqrt() + EPSILON;
    let unit = centred / length;
    unit.clone().matmul(unit.transpose()).clamp(-1.0, 1.0)
}

impl Head for LocalErrors {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, targets: &HeadTargets) -> Score {
        let h = &trace.output;
        let labels = targets.labels.0.clone();
        let prediction = |h: &AnyActivation| {
            let logits = self.scores(h);
            (targets.cross_entropy(logits.clone()), logits)
        };
        let matching = || {
            let got = self.similarity(h)?;
            let [_, classes] = self.classifier.weight.dims();
            let wanted = similarity_matrix(one_hot(&labels, classes));
            Some((got - wanted).square().mean())
        };
        let (loss, logits) = match (self.kind, matching()) {
            (LocalErrorKind::Pred, _) | (_, None) => prediction(h),
            (LocalErrorKind::Sim, Some(matching)) => {
                let (probe, logits) = prediction(&h.clone().detach());
                (matching + probe, logits)
            }
            (LocalErrorKind::Predsim, Some(matching)) => {
                let (prediction, logits) = prediction(h);
                (prediction * (1.0 - self.beta) + matching * self.beta, logits)
            }
        };
        Score { logits: Some(logits), ..Score::from(loss) }
    }

    fn scores(&self, h: &AnyActivation) -> Tensor<2> {
        self.classifier.forward(self.pool.read(h))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn similarities_of_labels_are_one_or_the_same_negative_number() {
        // Between different classes, centred one-hot rows of C classes have the cosine -1/(C - 1).
        let device = Device::flex();
        let y = Tensor::<1, burn::tensor::Int>::from_ints([0, 1, 1, 3], &device);
        let s: Vec<f32> = similarity_matrix(one_hot(&y, 4)).into_data().iter::<f32>().collect();
        for (i, a) in [0, 1, 1, 3].iter().enumerate() {
            for (j, b) in [0, 1, 1, 3].iter().enumerate() {
                let expected = if a == b { 1.0 } else { -1.0 / 3.0 };
                assert!((s[4 * i + j] - expected).abs() < 1e-5, "{i} {j}: {}", s[4 * i + j]);
            }
        }
    }
}
