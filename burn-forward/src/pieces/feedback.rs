//! Projected teaching signals: a fixed random matrix projects an output error, or the targets, directly to a block.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::activation::Activation;
use crate::block::Trace;
use crate::init::{Init, fixed};
use crate::local::LocalLoss;
use crate::random::Rng;
use crate::tape::Score;
use crate::{Error, Result, require};

/// A teaching signal `[B, C]` in the space of the output: an error `softmax(O) - T`, or targets.
#[derive(Debug, Clone)]
pub struct OutputSignal(pub Tensor<2>);

/// The signal `delta = S B_l`, injected at the output of a block. Everything within the block is differentiated locally.
///
/// `B_l` `[C, d]` is fixed. The loss is `sum_b <h_b, sg(S_b B_l)> / B`, whose gradient with respect to `h` is the
/// projected signal (Nokland 2016, arXiv 1609.01596; for a linear layer with activation this is the pre-activation rule
/// `(S B_l) * f'(z)`).
#[derive(Module, Debug)]
pub struct ProjectedFeedback {
    /// The feedback matrix `B_l` `[C, d]`.
    pub feedback: Param<Tensor<2>>,
}

impl ProjectedFeedback {
    /// A feedback matrix uniform on `+-sqrt(6/width)`.
    ///
    /// # Errors
    /// Finite widths never give a [`crate::Error::Argument`].
    pub fn new(width: usize, classes: usize, rng: &mut Rng, device: &Device) -> Result<Self> {
        Ok(Self { feedback: fixed(Init::he_uniform(width).draw([classes, width], rng, device)?) })
    }
}

impl<A: Activation> LocalLoss<OutputSignal, A> for ProjectedFeedback {
    fn score(&self, trace: &Trace<A>, signal: &OutputSignal) -> Score {
        let h = trace.output.labelled();
        let [rows, width] = h.dims();
        let [classes, d] = self.feedback.dims();
        require(width == d, || {
            let needed = format!("{d}, the number of columns of the feedback matrix");
            Error::argument("ProjectedFeedback", "number of features of a row", width, needed)
        });
        let signal_shape = signal.0.dims();
        require(signal_shape == [rows, classes], || {
            let (given, needed) = (format!("{signal_shape:?}"), format!("{:?}, rows and classes", [rows, classes]));
            Error::argument("ProjectedFeedback", "shape of the teaching signal", given, needed)
        });
        let targets = signal.0.clone().matmul(self.feedback.val()).detach();
        ((h * targets).sum() / rows as f64).into()
    }
}
