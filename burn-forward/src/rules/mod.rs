//! Learning rules: how one mini-batch becomes a tape, and how the trained network predicts.
//!
//! A rule does not depend on the architecture. It works on blocks that map activations to activations, and is built from
//! pieces that depend on neither rule nor architecture: a [goodness](crate::pieces::goodness), a
//! [pair loss](crate::pieces::pair_loss), [negatives](crate::pieces::negatives), a [label input](crate::pieces::label), a
//! [projection](crate::pieces::projection), a [projected feedback](crate::pieces::feedback). A teaching signal reaches a
//! block by one of four routes, each with its place in a [`Pass`]: another forward pass, a projected signal or negatives
//! (named `signals`), a local objective (the `labels`), or an energy or a probe (states or losses among the `signals`).

mod backprop;
mod context;
#[cfg(feature = "config")]
mod deep_supervision;
mod dfa;
mod drtp;
#[cfg(feature = "config")]
mod entry;
mod feedback_alignment;
mod forward_forward;
mod head;
mod local_classifiers;
mod mono_forward;
mod pepita;
mod predictive_coding;
mod reach;
mod readout;
#[cfg(feature = "config")]
mod registry;
mod signals;
mod spec;
mod zeroth_order;

pub use backprop::{BackpropConfig, OutputClassifier, OutputLayer};
pub use context::Context;
#[cfg(feature = "config")]
pub use deep_supervision::DeepSupervisionConfig;
pub use dfa::{Dfa, DfaConfig};
pub use drtp::{Drtp, DrtpConfig};
#[cfg(feature = "config")]
pub use entry::{ParseRule, ParsedRule, RuleEntry, rule_entry_of};
pub use feedback_alignment::{FeedbackAlignment, FeedbackAlignmentConfig, FeedbackKind};
pub use forward_forward::{EnergyReadout, ForwardForward, ForwardForwardConfig, ForwardForwardPreset};
pub use head::{AnyHead, Head, HeadTargets};
pub use local_classifiers::{ClassifierSettings, InterBlockNorm, LocalClassifiers, linear_head};
pub use mono_forward::MonoForwardConfig;
pub use pepita::{Pepita, PepitaConfig, PepitaOutput, PepitaUpdate};
pub use predictive_coding::{PcOutput, PcPrediction, PredictiveCoding, PredictiveCodingConfig};
pub use reach::Reach;
pub use readout::{BlockRange, HeadReadout, Scores};
#[cfg(feature = "config")]
pub use registry::{rule_entries, rule_entry};
pub use signals::{Signal, Signals};
pub use spec::{ClassifierSpec, RuleSpec};
pub use zeroth_order::{DirectionEntries, ZerothOrder, ZerothOrderConfig};

use std::fmt;
use std::ops::Deref;

use burn::tensor::{Device, Int, Tensor};

use crate::activation::{Activation, AnyActivation, RequiredRows};
use crate::block::Block;
use crate::data::{Batch, BatchKey};
use crate::device::autodiff_leaf;
use crate::erased::ErasedModule;
use crate::erased_module;
use crate::network::{Chain, Network};
use crate::random::Seed;
use crate::tape::Tape;

/// The position of a step in the run.
#[derive(Debug, Clone, Copy)]
pub struct StepContext {
    /// Seed of the run's random streams.
    pub seed: Seed,
    /// Key of the batch.
    pub key: BatchKey,
}

/// One batch on its way through the blocks.
#[derive(Debug, Clone)]
pub struct Pass {
    /// Key of the batch, for random numbers that a block draws while it learns.
    pub key: BatchKey,
    /// The inputs of the next block: one activation per stream (positive and negative samples are two streams).
    pub streams: Vec<AnyActivation>,
    /// Class indices `[B]`.
    pub labels: Tensor<1, Int>,
    /// Teaching signals besides the labels, by name.
    pub signals: Signals,
    /// The network's prediction during training `[B, C]`, if the rule has one at no extra cost.
    pub logits: Option<Tensor<2>>,
}

impl Pass {
    /// A pass of one stream with labels.
    pub fn of(batch: &Batch) -> Self {
        Self {
            key: batch.key,
            streams: vec![batch.inputs.clone()],
            labels: batch.targets.clone(),
            signals: Signals::default(),
            logits: None,
        }
    }

    /// The same values without autodiff, for blocks that run in inference mode. Graphs among the signals are dropped.
    #[must_use]
    pub fn without_autodiff(self) -> Self {
        Self {
            key: self.key,
            streams: self.streams.into_iter().map(AnyActivation::without_autodiff).collect(),
            labels: self.labels.without_autodiff(),
            signals: self.signals.without_autodiff(),
            logits: self.logits.map(Tensor::without_autodiff),
        }
    }

    /// The same values as leaves of new autodiff graphs on a training `device`.
    #[must_use]
    pub fn with_autodiff(self, device: &Device) -> Self {
        Self {
            key: self.key,
            streams: self.streams.into_iter().map(|stream| stream.with_autodiff(device)).collect(),
            labels: autodiff_leaf(self.labels, device),
            signals: self.signals.with_autodiff(device),
            logits: self.logits,
        }
    }
}

/// A learning rule, with the parameters that are only used for training: heads, feedback matrices, label embeddings.
///
/// A step consists of [`begin`](Self::begin), then [`learn_block`](Self::learn_block) for every block in the
/// [order](Self::order), then [`end`](Self::end). Schedules, measurements and resumed runs rely on what a rule puts into its
/// [`Pass`] and on the tape:
///
/// - **streams**: `begin` puts the input of the first block into `pass.streams`. `learn_block` and [`advance`](Self::advance)
///   replace every stream by the detached output of the block. Both must give the same streams, since a schedule may move a
///   pass through finished blocks without learning;
/// - **scores**: `learn_block` records one score for its block on the tape, with [`learn`](crate::local::learn),
///   [`learn_from_trace`](crate::local::learn_from_trace) or [`Tape::record`]. A step without records has no loss and is
///   rejected;
/// - **gradients**: `learn_block` adds the gradients of its own block, and of the rule's parameters for that block, to the
///   tape. It must not add others unless the rule's [`reach`](RuleSpec::reach) declares it;
/// - **signals**: everything else that a later block needs is in `pass.signals` under a name, row by row, so that it can be
///   cached and shuffled with the samples. The rule itself must not store anything between blocks;
/// - **prediction**: if the step makes a prediction at no extra cost, the last block or `end` puts the class scores into
///   `pass.logits`, without autodiff. The training accuracy is computed from them;
/// - **random numbers** come from streams of the run's seed at the batch's [key](Pass::key), never from a generator stored in
///   the rule, so that a resumed run draws the same numbers as an uninterrupted one.
///
/// The laws of `burn-forward-testing` check most of these requirements on your own rule.
pub trait Rule: ErasedModule {
    /// A boxed copy.
    fn clone_rule(&self) -> Box<dyn Rule>;

    /// Prepares a step before the first block learns: for example, chooses negatives, runs the whole network, or computes an
    /// output error.
    fn begin(&self, network: &Network, batch: &Batch, context: StepContext, tape: &mut Tape) -> Pass;

    /// The order in which `blocks` blocks learn, each of them once; from the bottom up by default.
    fn order(&self, blocks: usize) -> Vec<usize> {
        (0..blocks).collect()
    }

    /// Lets block `index` learn from `pass` and moves the pass on: `pass.streams` are then the block's detached outputs.
    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape);

    /// Moves `pass` through block `index` without learning, for a greedy schedule that has finished this block. By default
    /// every stream passes through the block.
    fn advance(&self, index: usize, block: &Chain, pass: &mut Pass) {
        let _ = index;
        for stream in &mut pass.streams {
            *stream = block.forward(stream.clone()).detach();
        }
    }

    /// Finishes a step after the last block has learned. A greedy schedule, in which one block learns at a time, does not
    /// call it.
    fn end(&self, _network: &Network, _pass: &mut Pass, _tape: &mut Tape) {}

    /// Number of optimiser steps per pass. The rule begins a pass once and [learns](Self::learn) from it this many times,
    /// each time with the weights of the previous step. Values above 1 require our training loop: Burn's own takes one step
    /// per batch.
    fn rounds(&self) -> usize {
        1
    }

    /// Changes weights after an optimiser step in ways that no gradient expresses: keeps the weights of the network
    /// orthonormal, for example, or lets feedback weights follow the weights they correspond to. `context` is that of the
    /// batch. It is only called if [`acts_after_steps`](Self::acts_after_steps) is true.
    fn after_step(&mut self, network: Network, context: StepContext) -> Network {
        let _ = context;
        network
    }

    /// Whether [`after_step`](Self::after_step) does anything. This requires our training loop and a schedule in which all
    /// blocks learn from every batch: Burn's own loop does not call it, and a greedy schedule does not change finished
    /// blocks.
    fn acts_after_steps(&self) -> bool {
        false
    }

    /// Whether a step leaves state in the rule that the next step uses and that is not a parameter. Checkpoints do not
    /// include such state, so a run with such a rule is only saved at the end of an epoch, where the rule has to start
    /// without it.
    fn carries_state(&self) -> bool {
        false
    }

    /// Lets all blocks learn from `pass` and then [ends](Self::end) the step. Override it for a rule that is not local, or
    /// that does not pass through the blocks.
    fn learn(&self, network: &Network, pass: &mut Pass, context: StepContext, tape: &mut Tape) {
        let _ = context;
        for index in self.order(network.len()) {
            self.learn_block(index, &network.blocks()[index], pass, tape);
        }
        self.end(network, pass, tape);
    }

    /// One whole step: the rule [begins](Self::begin), and then all blocks [learn](Self::learn).
    fn step(&self, network: &Network, batch: &Batch, context: StepContext, tape: &mut Tape) -> Pass {
        let mut pass = self.begin(network, batch, context, tape);
        self.learn(network, &mut pass, context, tape);
        pass
    }

    /// The rows of a block's output that its step needs, if not all; while only this block learns, a graph layer does not
    /// have to compute the others. `stream` is the input of the block.
    fn required_rows(&self, stream: &AnyActivation) -> Option<RequiredRows> {
        let _ = stream;
        None
    }

    /// Class scores of every block's own readout, and of every readout of the network.
    ///
    /// `network` may be a [prefix](Network::prefix) of the one the rule was built for.
    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores;

    /// Like [`scores`](Self::scores), with `forward_all` in place of [`Network::forward_all`], for a caller that has cached
    /// the outputs of the first blocks. Rules that do not use it run the blocks themselves.
    fn scores_with(
        &self,
        network: &Network,
        inputs: AnyActivation,
        forward_all: &dyn Fn(AnyActivation) -> Vec<AnyActivation>,
    ) -> Scores {
        let _ = forward_all;
        self.scores(network, inputs)
    }

    /// Output of every block in one pass, including whatever the rule adds to the inputs (channels, features, virtual nodes)
    /// and between blocks. If a label is part of the input, it is the true label. Gradients flow through the whole pass.
    fn activities(&self, network: &Network, batch: &Batch) -> Vec<AnyActivation> {
        network.forward_all(batch.inputs.clone())
    }

    /// Trains heads with labels that are replaced by a uniformly drawn class with probability `smoothing`. Returns whether
    /// this rule has heads that support it.
    fn set_label_smoothing(&mut self, smoothing: f64) -> bool {
        let _ = smoothing;
        false
    }

    /// The blocks that the prediction uses, for a readout whose blocks are chosen on a validation set; all blocks until they
    /// are chosen. `None` for every other readout.
    fn readout_blocks(&self) -> Option<BlockRange> {
        None
    }

    /// Restricts the prediction to these blocks from now on, for a readout whose blocks are chosen.
    fn set_readout_blocks(&mut self, blocks: BlockRange) {
        let _ = blocks;
    }

    /// Number of values per channel that one row provides to a batch normalisation in this rule's heads in training, the
    /// minimum over all of them; `None` if they have no batch normalisation.
    fn normalised_values_per_row(&self) -> Option<usize> {
        None
    }

    /// The linear classifier on the last block, for rules that have one.
    fn output_head(&self) -> Option<crate::ProjectedCrossEntropy> {
        None
    }

    /// Class scores `[B, C]` for the last block's output, from the rule's own linear classifier, or the output itself if the
    /// last layer gives the scores; `None` for rules with neither.
    fn classify(&self, output: &AnyActivation) -> Option<Tensor<2>> {
        self.output_head().map(|head| head.scores(output))
    }

    /// The parameters of this rule that inference needs with the readout in force, by path within the rule, and the
    /// description for an exported file.
    fn export(&self, network: &Network) -> ReadoutExport;
}

/// The readout part of an exported file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadoutExport {
    /// JSON description, for programs that run the file.
    pub description: serde_json::Value,
    /// Linear readouts to write: name in the file, weight `[d, C]` (Burn's layout), bias `[C]`.
    pub linears: Vec<(String, burn::tensor::TensorData, Option<burn::tensor::TensorData>)>,
    /// Plain matrices to write: name in the file, values.
    pub matrices: Vec<(String, burn::tensor::TensorData)>,
    /// Number of further parameters that inference needs but an exported file cannot contain: those of heads that are not
    /// linear.
    pub unwritten: usize,
}

/// A rule of any kind.
#[derive(Debug)]
pub struct AnyRule(Box<dyn Rule>);

impl AnyRule {
    /// Wraps a rule.
    pub fn new(rule: impl Rule + 'static) -> Self {
        Self(Box::new(rule))
    }

    /// See [`Rule::after_step`].
    pub fn after_step(&mut self, network: Network, context: StepContext) -> Network {
        self.0.after_step(network, context)
    }

    /// See [`Rule::set_label_smoothing`].
    pub fn set_label_smoothing(&mut self, smoothing: f64) -> bool {
        self.0.set_label_smoothing(smoothing)
    }

    /// See [`Rule::set_readout_blocks`].
    pub fn set_readout_blocks(&mut self, blocks: BlockRange) {
        self.0.set_readout_blocks(blocks);
    }
}

impl Clone for AnyRule {
    fn clone(&self) -> Self {
        Self(self.0.clone_rule())
    }
}

impl Deref for AnyRule {
    type Target = dyn Rule;
    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl fmt::Display for AnyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

erased_module!(AnyRule);
