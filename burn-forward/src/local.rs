//! The local layer: a block with a detached input and its own loss.

use burn::module::{Module, ModuleDisplay};

use crate::activation::Activation;
use crate::block::{Block, Trace};
use crate::error::InBlock;
use crate::tape::{Score, Tape};

/// A block's own objective: a module that computes a scalar from the block's pass and a teaching signal `S`. It may have its
/// own parameters, such as a projection, an auxiliary network or a fixed random feedback matrix.
///
/// A loss that brings every unit's mean activity close to a target, without labels:
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use burn_forward::prelude::*;
///
/// #[derive(Module, Debug)]
/// struct Homeostasis { target: f64 }
///
/// // For every signal `S`, because it uses none.
/// impl<S> LocalLoss<S, Tensor<2>> for Homeostasis {
///     fn score(&self, trace: &Trace<Tensor<2>>, _: &S) -> Score {
///         let activity = trace.output.clone().mean_dim(0); // [1, d]
///         Score::from((activity - self.target).square().mean())
///     }
/// }
///
/// let device = Device::flex().autodiff();
/// let layer = Local::new(LinearConfig::new(4, 8).init(&device), Homeostasis { target: 0.1 });
/// let mut tape = Tape::new(());
/// layer.learn(Tensor::ones([2, 4], &device), &mut tape);
/// assert_eq!(tape.gradients().len(), 2); // weight and bias
/// ```
pub trait LocalLoss<S, A: Activation>: Module {
    /// Scores one pass.
    ///
    /// # Shapes
    /// - `trace.output`: `B` rows.
    /// - returns a loss `[1]`, averaged over the rows.
    fn score(&self, trace: &Trace<A>, signal: &S) -> Score;

    /// Whether [`score`](Self::score) uses [`Trace::units`]. [`learn`] requests the units only in this case, because they may
    /// prevent a block from using its fastest operations.
    fn needs_units(&self) -> bool {
        false
    }
}

/// One local pass: detaches the input, runs the block forward, scores the result, runs backward within the block, puts the
/// gradients on the tape, drops the graph, and returns the detached output.
///
/// The memory held afterwards does not depend on how many blocks came before. If a block learns several times on one tape,
/// from several inputs or with several losses, its gradients are added up.
pub fn learn<S, B, L>(
    block: &B,
    loss: &L,
    index: usize,
    input: B::Input,
    signal: &S,
    tape: &mut Tape<impl Sized>,
) -> B::Output
where
    B: Block,
    L: LocalLoss<S, B::Output>,
{
    let _in_block = InBlock::new(index);
    let input = input.detach();
    let trace = if loss.needs_units() { block.trace(input) } else { block.forward(input).into() };
    learn_from_trace(block, loss, index, trace, signal, tape)
}

/// The second half of [`learn`], for a rule that runs the forward pass in its own way (for example with a label added to a
/// pre-activation). The pass must start from a detached input. Every local update in this crate ends here.
pub fn learn_from_trace<S, B, L>(
    block: &B,
    loss: &L,
    index: usize,
    trace: Trace<B::Output>,
    signal: &S,
    tape: &mut Tape<impl Sized>,
) -> B::Output
where
    B: Block,
    L: LocalLoss<S, B::Output>,
{
    let _in_block = InBlock::new(index);
    let score = loss.score(&trace, signal);
    let Trace { output, units } = trace;
    // They are no longer needed, and they are larger than the output.
    drop(units);
    tape.backward_pair(&score.loss, block, loss);
    tape.record(index, score);
    output.detach()
}

/// A block with its own loss.
///
/// ```
/// use burn::nn::{Linear, LinearConfig, Relu};
/// use burn::tensor::{Device, Tensor};
/// use burn::module::Module;
/// use burn_forward::{Block, Labels, Local, ProjectedCrossEntropy, Tape};
///
/// #[derive(Module, Debug)]
/// struct Dense { linear: Linear }
///
/// impl Block for Dense {
///     type Input = Tensor<2>;
///     type Output = Tensor<2>;
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> { Relu::new().forward(self.linear.forward(x)) }
/// }
///
/// let device = Device::flex().autodiff();
/// let layer = Local::new(
///     Dense { linear: LinearConfig::new(4, 8).init(&device) },
///     ProjectedCrossEntropy::new(8, 3, false, &mut burn_forward::random::Seed::new(0).stream("head", &[]), &device)?,
/// );
/// let mut tape = Tape::new(Labels(Tensor::from_data([0, 2], &device)));
/// let h = layer.learn(Tensor::ones([2, 4], &device), &mut tape);
/// assert_eq!(h.dims(), [2, 8]);
/// assert_eq!(tape.gradients().len(), 3); // weight, bias, projection
/// # Ok::<(), burn_forward::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct Local<B: Module + ModuleDisplay, L: Module + ModuleDisplay> {
    /// The part that is kept after training.
    pub block: B,
    /// The part that is only used for training.
    pub loss: L,
}

impl<B: Module + ModuleDisplay, L: Module + ModuleDisplay> Local<B, L> {
    /// Pairs a block with its loss.
    pub fn new(block: B, loss: L) -> Self {
        Self { block, loss }
    }
}

impl<B: Block + ModuleDisplay, L: Module + ModuleDisplay> Local<B, L> {
    /// Inference.
    pub fn forward(&self, input: B::Input) -> B::Output {
        self.block.forward(input)
    }

    /// One local pass with the tape's teaching signal; see [`learn`]. Several passes of one layer add their gradients, for
    /// example one on positive samples and, after [`Tape::set_signal`], one on negative samples. Every pass has its own
    /// record.
    ///
    /// # Panics
    /// If the loss does not accept the block's output or the signal, or if the layer is not on a device with autodiff.
    pub fn learn<S>(&self, input: B::Input, tape: &mut Tape<S>) -> B::Output
    where
        L: LocalLoss<S, B::Output>,
        S: Clone,
    {
        let signal = tape.signal().clone();
        let index = tape.next_block();
        learn(&self.block, &self.loss, index, input, &signal, tape)
    }

    /// The first half of a local pass, for a teaching signal that exists only after the blocks above have run, such as an
    /// output error. Runs the block on the detached input. Returns the detached output, and a value that
    /// [learns](Deferred::learn) once there is a signal. The graph of this block is kept until then.
    ///
    /// ```
    /// # use burn::nn::LinearConfig;
    /// # use burn::tensor::{Device, Tensor, activation::softmax};
    /// use burn_forward::pieces::feedback::{OutputSignal, ProjectedFeedback};
    /// # use burn_forward::pieces::label::one_hot;
    /// use burn_forward::prelude::*;
    ///
    /// let device = Device::flex().autodiff();
    /// let feedback = ProjectedFeedback::new(8, 3, &mut Seed::new(0).stream("feedback", &[]), &device)?;
    /// let hidden = Local::new(LinearConfig::new(4, 8).init(&device), feedback);
    /// let head = Local::new(LinearConfig::new(8, 3).init(&device), CrossEntropy);
    ///
    /// let labels = Tensor::from_data([0, 2], &device);
    /// let mut tape = Tape::new(Labels(labels.clone()));
    /// let (h, deferred) = hidden.defer(Tensor::ones([2, 4], &device));
    /// let logits = head.learn(h, &mut tape);
    /// let error = softmax(logits, 1) - one_hot(&labels, 3);
    /// deferred.learn(&OutputSignal(error), &mut tape);
    /// assert_eq!(tape.gradients().len(), 4); // weight and bias of both layers
    /// assert_eq!(tape.records().iter().map(|record| record.block).collect::<Vec<_>>(), [0, 1]);
    /// # Ok::<(), burn_forward::Error>(())
    /// ```
    pub fn defer(&self, input: B::Input) -> (B::Output, Deferred<'_, B, L>) {
        let trace = self.block.trace(input.detach());
        (trace.output.clone().detach(), Deferred { layer: self, trace })
    }
}

/// A block that has run and is waiting for its teaching signal; see [`Local::defer`].
#[derive(Debug)]
#[must_use = "the block learns nothing until it gets a signal"]
pub struct Deferred<'a, B: Block + ModuleDisplay, L: Module + ModuleDisplay> {
    layer: &'a Local<B, L>,
    trace: Trace<B::Output>,
}

impl<B: Block + ModuleDisplay, L: Module + ModuleDisplay> Deferred<'_, B, L> {
    /// Learns from `signal` and puts gradients and a record on the tape. The signal of the tape itself is not used.
    ///
    /// # Panics
    /// If the loss does not accept the block's output or the signal, or if the layer is not on a device with autodiff.
    pub fn learn<S>(self, signal: &S, tape: &mut Tape<impl Sized>)
    where
        L: LocalLoss<S, B::Output>,
    {
        let Self { layer: Local { block, loss }, trace } = self;
        let index = tape.next_block();
        learn_from_trace(block, loss, index, trace, signal, tape);
    }
}
