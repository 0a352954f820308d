//! Class labels as a teaching signal.

use burn::tensor::{Int, Tensor};
#[cfg(feature = "train")]
use burn::train::ClassificationOutput;

use crate::pieces::label;
#[cfg(feature = "train")]
use crate::pieces::pair_loss::cross_entropy;
use crate::{Error, require};

/// Class labels `[B]`, the teaching signal of local classifiers.
#[derive(Debug, Clone)]
pub struct Labels(pub Tensor<1, Int>);

impl From<Tensor<1, Int>> for Labels {
    fn from(targets: Tensor<1, Int>) -> Self {
        Self(targets)
    }
}

impl Labels {
    /// The fraction of rows whose class has the highest score, in [0, 1].
    ///
    /// # Shapes
    /// - `scores`: `[B, C]`, `B >= 1`.
    ///
    /// # Panics
    /// If the number of labels differs from the number of rows, there are no rows, or a label is not a class (checked on the
    /// CPU only).
    pub fn accuracy(&self, scores: &Tensor<2>) -> f64 {
        label::check("Labels::accuracy", &self.0, scores.dims());
        let [rows, _] = scores.dims();
        require(rows > 0, || Error::argument("Labels::accuracy", "number of rows", rows, ">= 1"));
        label::correct(scores, &self.0).float().into_scalar::<f64>() / rows as f64
    }
}

#[cfg(feature = "train")]
impl Labels {
    /// The input of burn-train's metrics for a batch with these labels: `logits` `[B, C]` and their cross-entropy.
    ///
    /// # Panics
    /// The same as [`cross_entropy`].
    pub fn classify(self, logits: Tensor<2>) -> ClassificationOutput {
        let loss = cross_entropy(logits.clone(), self.0.clone());
        ClassificationOutput::new(loss, logits, self.0)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn accuracy_is_the_fraction_of_rows_that_are_right() {
        let device = Device::flex();
        let scores = Tensor::<2>::from_data([[1.0, 2.0, 6.0], [5.0, 1.0, 0.0], [4.0, 2.0, 0.0]], &device);
        assert_eq!(Labels(Tensor::from_data([2, 0, 1], &device)).accuracy(&scores), 2.0 / 3.0);
    }
}
