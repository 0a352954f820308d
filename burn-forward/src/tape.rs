//! The tape of one training step: carries the teaching signal in, and collects what every block's pass produced.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};
use burn::train::{ClassificationOutput, TrainOutput};

use crate::pair_loss::cross_entropy;

/// Class labels `[B]`, the teaching signal of local classifiers.
#[derive(Debug, Clone)]
pub struct Labels(pub Tensor<1, Int>);

impl From<Tensor<1, Int>> for Labels {
    fn from(targets: Tensor<1, Int>) -> Self {
        Self(targets)
    }
}

impl Labels {
    /// What burn-train's metrics want of a batch with these labels: `logits` `[B, C]` and their cross-entropy.
    pub fn classify(self, logits: Tensor<2>) -> ClassificationOutput {
        let loss = cross_entropy(logits.clone(), self.0.clone());
        ClassificationOutput::new(loss, logits, self.0)
    }
}

/// What a local loss says about one block and one batch.
#[derive(Debug, Clone)]
pub struct Score {
    /// The scalar that is minimised `[1]`.
    pub loss: Tensor<1>,
    /// The block's own readout, where it has one `[B, C]`.
    pub logits: Option<Tensor<2>>,
    /// Goodness of the positive samples `[B]`.
    pub goodness_positive: Option<Tensor<1>>,
    /// Goodness of the negative samples `[B]`.
    pub goodness_negative: Option<Tensor<1>>,
}

impl From<Tensor<1>> for Score {
    fn from(loss: Tensor<1>) -> Self {
        Self { loss, logits: None, goodness_positive: None, goodness_negative: None }
    }
}

impl Score {
    /// The same numbers without their autodiff graph, so that keeping them keeps nothing else alive.
    pub fn without_graph(self) -> Self {
        Self {
            loss: self.loss.without_autodiff(),
            logits: self.logits.map(Tensor::without_autodiff),
            goodness_positive: self.goodness_positive.map(Tensor::without_autodiff),
            goodness_negative: self.goodness_negative.map(Tensor::without_autodiff),
        }
    }
}

/// One block's record on the tape.
#[derive(Debug, Clone)]
pub struct BlockRecord {
    /// Index of the block in the network.
    pub block: usize,
    /// What its loss said, without graph.
    pub score: Score,
}

/// The teaching signal of one step on its way in, and gradients and scores on their way out.
///
/// Gradients are kept by parameter id, so the result is an ordinary burn-train [`TrainOutput`]: optimisers,
/// schedulers, metrics, checkpoints and distributed training of Burn work on it unchanged.
#[derive(Debug)]
pub struct Tape<S = ()> {
    signal: S,
    gradients: GradientsParams,
    records: Vec<BlockRecord>,
}

impl<S> Tape<S> {
    /// An empty tape that carries `signal` to every block.
    pub fn new(signal: S) -> Self {
        Self { signal, gradients: GradientsParams::new(), records: Vec::new() }
    }

    /// The teaching signal.
    pub fn signal(&self) -> &S {
        &self.signal
    }

    /// Runs `loss` backwards and keeps the gradients of `modules`' parameters; the graph behind `loss` is gone
    /// afterwards. One backward per graph: Burn keeps none for a second.
    pub fn backward<M: Module>(&mut self, loss: &Tensor<1>, module: &M) {
        let mut gradients = loss.backward();
        merge(module, GradientsParams::from_module(&mut gradients, module), &mut self.gradients);
    }

    /// As [`backward`](Self::backward), for a loss that two modules (a block and its head) share.
    pub fn backward_pair<M: Module, N: Module>(&mut self, loss: &Tensor<1>, first: &M, second: &N) {
        let mut gradients = loss.backward();
        merge(first, GradientsParams::from_module(&mut gradients, first), &mut self.gradients);
        merge(second, GradientsParams::from_module(&mut gradients, second), &mut self.gradients);
    }

    /// Registers `update` as the pseudo-gradient of a parameter, for a rule whose update is a formula and not the
    /// gradient of anything. Any optimiser then applies it. A second registration replaces the first.
    pub fn register<const D: usize>(&mut self, id: ParamId, update: Tensor<D>) {
        self.gradients.register(id, update);
    }

    /// Keeps a block's score.
    pub fn record(&mut self, block: usize, score: Score) {
        self.records.push(BlockRecord { block, score: score.without_graph() });
    }

    /// Index that the next block in order gets.
    pub fn next_block(&self) -> usize {
        self.records.len()
    }

    /// The scores so far, in the order of the blocks' passes.
    pub fn records(&self) -> &[BlockRecord] {
        &self.records
    }

    /// The gradients so far.
    pub fn gradients(&self) -> &GradientsParams {
        &self.gradients
    }

    /// Takes the tape apart.
    pub fn into_parts(self) -> (GradientsParams, Vec<BlockRecord>) {
        (self.gradients, self.records)
    }
}

impl Tape<Labels> {
    /// Ends a step: the gradients of every block, and `logits` `[B, C]` with the mean of the blocks' losses for
    /// burn-train's metrics.
    pub fn finish(self, logits: Tensor<2>) -> TrainOutput<ClassificationOutput> {
        let device = logits.device();
        let losses: Vec<Tensor<1>> = self.records.iter().map(|r| r.score.loss.clone()).collect();
        let loss = if losses.is_empty() { Tensor::zeros([1], &device.inner()) } else { Tensor::cat(losses, 0).mean() };
        let item = ClassificationOutput::new(loss, logits.without_autodiff(), self.signal.0.clone());
        TrainOutput { grads: self.gradients, item }
    }
}

/// Moves every gradient of `module`'s parameters from `from` to `into`.
fn merge<M: Module>(module: &M, from: GradientsParams, into: &mut GradientsParams) {
    struct Merge<'a> {
        from: GradientsParams,
        into: &'a mut GradientsParams,
    }
    impl ModuleVisitor for Merge<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.from.remove::<D>(param.id) {
                self.into.register(param.id, gradient);
            }
        }
    }
    module.visit(&mut Merge { from, into });
}
