//! The tape of a training step: passes the teaching signal to the blocks, and collects their results.

mod labels;

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Int, Shape, Tensor};
#[cfg(feature = "train")]
use burn::train::{ClassificationOutput, TrainOutput};

pub use labels::Labels;

use crate::pieces::label;
use crate::{Error, require};

/// The result of a local loss for one block and one batch.
#[derive(Debug, Clone)]
pub struct Score {
    /// The scalar to minimise, `[1]`.
    pub loss: Tensor<1>,
    /// The block's own readout `[B, C]`, if it has one.
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
    /// The same values without their autodiff graph, so that keeping them does not keep the graph alive.
    pub fn without_graph(self) -> Self {
        Self {
            loss: self.loss.without_autodiff(),
            logits: self.logits.map(Tensor::without_autodiff),
            goodness_positive: self.goodness_positive.map(Tensor::without_autodiff),
            goodness_negative: self.goodness_negative.map(Tensor::without_autodiff),
        }
    }
}

/// A [`Score`] summarised over all rows, `[1]` each.
#[derive(Debug, Clone)]
pub struct ScoreSummary {
    /// The loss.
    pub loss: Tensor<1>,
    /// Number of rows whose class has the highest score.
    pub correct: Option<Tensor<1, Int>>,
    /// Mean goodness of positive samples; for a block with class scores, the mean score of the true class.
    pub positive: Option<Tensor<1>>,
    /// Mean goodness of negative samples; for a block with class scores, the mean score of the wrong classes.
    pub negative: Option<Tensor<1>>,
}

impl Score {
    /// Summarises the score over all rows.
    ///
    /// # Shapes
    /// - `targets`: `[B]`, the classes of the rows.
    ///
    /// # Panics
    /// If the number of rows of the class scores differs, or a target is not one of their classes.
    pub fn summary(&self, targets: &Tensor<1, Int>) -> ScoreSummary {
        if let Some(logits) = &self.logits {
            label::check("Score::summary", targets, logits.dims());
        }
        let goodness = match (&self.goodness_positive, &self.goodness_negative, &self.logits) {
            (Some(positive), Some(negative), _) => Some((positive.clone(), negative.clone())),
            (_, _, Some(logits)) => Some(true_and_wrong_scores(logits, targets)),
            _ => None,
        };
        let (positive, negative) = goodness.unzip();
        ScoreSummary {
            loss: self.loss.clone(),
            correct: self.logits.as_ref().map(|logits| label::correct(logits, targets)),
            positive: positive.map(Tensor::mean),
            negative: negative.map(Tensor::mean),
        }
    }
}

/// Mean score of the true class, and mean over the wrong classes, per row, `[B]` each.
pub fn true_and_wrong_scores(logits: &Tensor<2>, targets: &Tensor<1, Int>) -> (Tensor<1>, Tensor<1>) {
    let [rows, classes] = logits.dims();
    let own = logits.clone().gather(1, targets.clone().reshape([rows, 1])).reshape([rows]);
    let others = (logits.clone().sum_dim(1).reshape([rows]) - own.clone()) / (classes.max(2) - 1) as f64;
    (own, others)
}

/// The record of one block on the tape.
#[derive(Debug, Clone)]
pub struct BlockRecord {
    /// Index of the block in the network.
    pub block: usize,
    /// The result of its loss, without graph.
    pub score: Score,
    /// The summary, once the score is [summarised](Self::summarise).
    summary: Option<ScoreSummary>,
}

impl BlockRecord {
    /// The score summarised over all rows.
    ///
    /// # Shapes
    /// - `targets`: `[B]`, the classes of the rows.
    pub fn summary(&self, targets: &Tensor<1, Int>) -> ScoreSummary {
        self.summary.clone().unwrap_or_else(|| self.score.summary(targets))
    }

    /// Stores the summary of the score and drops its rows.
    fn summarise(&mut self, targets: &Tensor<1, Int>) {
        if self.summary.is_none() {
            self.summary = Some(self.score.summary(targets));
            self.score = Score::from(self.score.loss.clone());
        }
    }
}

/// Carries the teaching signal of a step to the blocks, and collects their gradients and scores.
///
/// Gradients are stored by parameter id, so the result is an ordinary burn-train [`TrainOutput`], which Burn's optimisers,
/// learning-rate schedulers, metrics, checkpoints and distributed training accept unchanged.
#[derive(Debug)]
pub struct Tape<S = ()> {
    signal: S,
    sums: Sums,
    records: Vec<BlockRecord>,
    /// Classes of the rows, for a tape that keeps summaries only.
    targets: Option<Tensor<1, Int>>,
}

impl<S> Tape<S> {
    /// An empty tape that carries `signal` to every block.
    pub fn new(signal: S) -> Self {
        Self { signal, sums: Sums::default(), records: Vec::new(), targets: None }
    }

    /// Keeps summaries of the scores instead of their rows, except for the last block. Memory then does not grow with the
    /// number of blocks by the scores of every row.
    ///
    /// # Shapes
    /// - `targets`: `[B]`, the classes of the rows.
    #[must_use]
    pub fn with_summaries(mut self, targets: &Tensor<1, Int>) -> Self {
        self.targets = Some(targets.clone().without_autodiff());
        self
    }

    /// The teaching signal.
    pub fn signal(&self) -> &S {
        &self.signal
    }

    /// Sets another teaching signal for the passes that follow.
    pub fn set_signal(&mut self, signal: S) {
        self.signal = signal;
    }

    /// Runs `loss` backwards and adds the gradients of `module`'s parameters to those on the tape. The graph of `loss` is
    /// gone afterwards: Burn does not keep it for a second backward pass.
    ///
    /// Returns all other gradients, including those of activations with `require_grad`, which can serve as a signal for the
    /// block below.
    ///
    /// # Panics
    /// If the loss is not a single number with an autodiff graph.
    pub fn backward<M: Module>(&mut self, loss: &Tensor<1>, module: &M) -> Gradients {
        let mut gradients = run_backwards(loss);
        self.add(&mut gradients, module);
        gradients
    }

    /// Like [`backward`](Self::backward), for a loss that two modules share, such as a block and its head. A parameter that
    /// is in both modules counts once.
    pub fn backward_pair<M: Module, N: Module>(&mut self, loss: &Tensor<1>, first: &M, second: &N) -> Gradients {
        let mut gradients = run_backwards(loss);
        self.add(&mut gradients, first);
        self.add(&mut gradients, second);
        gradients
    }

    /// Adds `update` to the gradient of a parameter. It is the pseudo-gradient of a rule whose update is a formula, not a
    /// gradient. Any optimiser then applies it.
    ///
    /// # Panics
    /// If its shape differs from that of the gradient that is already on the tape.
    pub fn register<const D: usize>(&mut self, id: ParamId, update: Tensor<D>) {
        // Optimisers compute without autodiff.
        self.sums.add(id, update.without_autodiff());
    }

    /// Moves the gradients of `module`'s parameters from those of a loss to the tape.
    fn add<M: Module>(&mut self, gradients: &mut Gradients, module: &M) {
        let from = GradientsParams::from_module(gradients, module);
        module.visit(&mut Add { from, into: &mut self.sums });
    }

    /// Records the score of a block.
    pub fn record(&mut self, block: usize, score: Score) {
        // The rows of the last block are kept, since a rule may take its prediction from them.
        if let (Some(targets), Some(before)) = (&self.targets, self.records.last_mut()) {
            before.summarise(targets);
        }
        self.records.push(BlockRecord { block, score: score.without_graph(), summary: None });
    }

    /// Index of the next block, if blocks learn in order.
    pub fn next_block(&self) -> usize {
        self.records.len()
    }

    /// The scores so far, in the order of the blocks' passes.
    pub fn records(&self) -> &[BlockRecord] {
        &self.records
    }

    /// The gradients so far.
    pub fn gradients(&self) -> &GradientsParams {
        &self.sums.gradients
    }

    /// Splits the tape into gradients and records.
    pub fn into_parts(self) -> (GradientsParams, Vec<BlockRecord>) {
        (self.sums.gradients, self.records)
    }
}

#[cfg(feature = "train")]
impl Tape<Labels> {
    /// Ends a step. Returns the gradients of every block, and `logits` `[B, C]` with the mean of the blocks' losses for
    /// burn-train's metrics.
    ///
    /// # Panics
    /// If no block has recorded a score, since there is then no loss.
    pub fn finish(self, logits: Tensor<2>) -> TrainOutput<ClassificationOutput> {
        let losses: Vec<Tensor<1>> = self.records.iter().map(|r| r.score.loss.clone()).collect();
        require(!losses.is_empty(), || {
            let needed = ">= 1: blocks learn with Local::learn, or record a score with Tape::record";
            Error::argument("Tape::finish", "number of scores on the tape", losses.len(), needed)
        });
        let loss = Tensor::cat(losses, 0).mean();
        let item = ClassificationOutput::new(loss, logits.without_autodiff(), self.signal.0.clone());
        TrainOutput { grads: self.sums.gradients, item }
    }
}

/// The gradients of a loss.
fn run_backwards(loss: &Tensor<1>) -> Gradients {
    let refuse = |what, given, needed| Error::argument("Tape::backward", what, given, needed);
    let [entries] = loss.dims();
    require(entries == 1, || refuse("number of entries of the loss", entries.to_string(), "1, the mean over rows"));
    require(loss.is_autodiff(), || {
        refuse("device of the loss", format!("{:?}", loss.device()), "one with autodiff, as from Device::autodiff")
    });
    require(loss.is_tracked(), || {
        refuse("loss", "one that depends on no parameter".into(), "one that depends on parameters with require_grad")
    });
    loss.backward()
}

/// Moves gradients by the ids of a module's parameters.
struct Add<'a> {
    from: GradientsParams,
    into: &'a mut Sums,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            self.into.add(param.id, gradient);
        }
    }
}

/// Gradients by parameter.
#[derive(Debug)]
struct Sums {
    gradients: GradientsParams,
    /// Their shapes: Burn's container only returns a gradient to a caller that knows its rank.
    shapes: HashMap<ParamId, Shape>,
}

impl Default for Sums {
    fn default() -> Self {
        Self { gradients: GradientsParams::new(), shapes: HashMap::new() }
    }
}

impl Sums {
    /// Adds a gradient to that of the same parameter, if there is one.
    fn add<const D: usize>(&mut self, id: ParamId, gradient: Tensor<D>) {
        let new = gradient.shape();
        let old = self.shapes.entry(id).or_insert_with(|| new.clone());
        require(*old == new, || {
            let given = format!("{new} for parameter {id}");
            Error::argument("Tape::register", "shape of a gradient", given, format!("{old}, as before"))
        });
        let sum = match self.gradients.remove::<D>(id) {
            Some(before) => before + gradient,
            None => gradient,
        };
        self.gradients.register(id, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn number(value: Option<Tensor<1>>) -> Option<f32> {
        value.map(|v| v.into_data().iter::<f32>().next().unwrap())
    }

    #[test]
    fn a_tape_that_keeps_numbers_lets_go_of_all_rows_but_the_last_blocks() {
        let device = Device::flex();
        let targets = Tensor::<1, Int>::from_data([2, 0, 1], &device);
        let logits = Tensor::<2>::from_data([[1.0, 2.0, 6.0], [5.0, 1.0, 0.0], [4.0, 2.0, 0.0]], &device);
        let classes = Score { logits: Some(logits), ..Score::from(Tensor::from_data([0.5], &device)) };
        let goodness = Score {
            goodness_positive: Some(Tensor::from_data([3.0, 1.0], &device)),
            goodness_negative: Some(Tensor::from_data([2.0, 0.0], &device)),
            ..Score::from(Tensor::from_data([0.25], &device))
        };
        let mut tape = Tape::new(()).with_summaries(&targets);
        [classes.clone(), goodness, classes].into_iter().enumerate().for_each(|(i, score)| tape.record(i, score));

        let rows = |i: usize| {
            let score = &tape.records()[i].score;
            [score.logits.is_some(), score.goodness_positive.is_some(), score.goodness_negative.is_some()]
        };
        assert_eq!([rows(0), rows(1), rows(2)], [[false; 3], [false; 3], [true, false, false]]);
        for i in [0, 2] {
            let n = tape.records()[i].summary(&targets);
            assert_eq!(number(Some(n.loss)), Some(0.5));
            // Two of three are correct; the true classes score 6, 5 and 2, the others 3, 1 and 4 in total.
            assert_eq!(number(n.correct.map(|count| count.float())), Some(2.0));
            assert!((number(n.positive).unwrap() - 13.0 / 3.0).abs() < 1e-6);
            assert!((number(n.negative).unwrap() - 8.0 / 6.0).abs() < 1e-6);
        }
        let n = tape.records()[1].summary(&targets);
        assert!(n.correct.is_none());
        assert_eq!([number(n.positive), number(n.negative)], [Some(2.0), Some(1.0)]);
    }
}
