//! Learning rules: how one mini-batch becomes a tape, and how the trained network predicts.
//!
//! A rule never knows the architecture. It sees blocks that map activations to activations, and it is put together
//! from pieces that know neither: a [goodness](crate::pieces::goodness), a [pair loss](crate::pieces::pair_loss),
//! [negatives](crate::pieces::negatives), a [label input](crate::pieces::label), a [projection](crate::pieces::projection), a
//! [projected feedback](crate::pieces::feedback). A teaching signal reaches a block by one of four routes, and each has its
//! place in a [`Pass`]: another forward pass, a projected signal, negatives (its `signals`, by name), a local objective (its
//! `labels`), an energy or a probe (states or losses in its `signals`).

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

/// Where a step is in the run.
#[derive(Debug, Clone, Copy)]
pub struct StepContext {
    /// Root of the run's random streams.
    pub seed: Seed,
    /// Address of the batch.
    pub key: BatchKey,
}

/// One batch on its way through the blocks.
#[derive(Debug, Clone)]
pub struct Pass {
    /// Address of the batch, for what a block draws while it learns.
    pub key: BatchKey,
    /// What enters the next block: one activation per stream (positive and negative samples are two).
    pub streams: Vec<AnyActivation>,
    /// Class indices `[B]`.
    pub labels: Tensor<1, Int>,
    /// What teaches the blocks beside the labels, by name.
    pub signals: Signals,
    /// The network's prediction during training `[B, C]`, where the rule has one at no extra cost.
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

    /// The same values off the autodiff device, for blocks that run as at inference. Graphs among the signals are gone.
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

/// A learning rule with the parameters that only teach: heads, feedback matrices, label embeddings.
///
/// A step is [`begin`](Self::begin), then [`learn_block`](Self::learn_block) for every block in the [order](Self::order), then
/// [`end`](Self::end). Schedules, measurements and resumed runs rely on what a rule leaves in its [`Pass`] and on the tape:
///
/// - **streams**: `begin` puts what enters the first block into `pass.streams`, and `learn_block` and [`advance`](Self::advance)
///   replace every stream by what the block makes of it, detached. Both leave the same streams, since a schedule may move a pass
///   through finished blocks without learning;
/// - **scores**: `learn_block` leaves one record for its block on the tape, by [`learn`](crate::local::learn),
///   [`learn_from_trace`](crate::local::learn_from_trace) or [`Tape::record`]; a step without records has no loss and is refused;
/// - **gradients**: `learn_block` adds to the tape the gradients of its own block and of what the rule has for it, and of nothing
///   else, unless the rule's [`reach`](RuleSpec::reach) says so;
/// - **signals**: whatever else a later block reads is in `pass.signals` by its name, row by row, so that it can be kept and
///   shuffled with the samples. Nothing is kept in the rule between blocks;
/// - **prediction**: where the step makes one at no extra cost, the last block or `end` puts the class scores into `pass.logits`,
///   without autodiff; training accuracy comes from there;
/// - **random numbers** come from streams of the run's seed at the batch's [key](Pass::key), never from a generator that the rule
///   keeps: then a resumed run draws what an uninterrupted one does.
///
/// The laws of `burn-forward-testing` try most of these on a rule of yours.
pub trait Rule: ErasedModule {
    /// A boxed copy.
    fn clone_rule(&self) -> Box<dyn Rule>;

    /// What happens before the first block learns: choosing negatives, a pass of the whole network, an output error.
    fn begin(&self, network: &Network, batch: &Batch, context: StepContext, tape: &mut Tape) -> Pass;

    /// The order in which so many blocks learn: each once, by default from below.
    fn order(&self, blocks: usize) -> Vec<usize> {
        (0..blocks).collect()
    }

    /// Block `index` learns from `pass` and moves it on: `pass.streams` are then its detached outputs.
    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape);

    /// Moves `pass` through block `index` without learning, for a greedy schedule whose earlier blocks are done. By default
    /// every stream goes through the block.
    fn advance(&self, index: usize, block: &Chain, pass: &mut Pass) {
        let _ = index;
        for stream in &mut pass.streams {
            *stream = block.forward(stream.clone()).detach();
        }
    }

    /// What happens after the last block has learned. A greedy schedule, in which one block learns at a time, does not call it.
    fn end(&self, _network: &Network, _pass: &mut Pass, _tape: &mut Tape) {}

    /// Optimiser steps that are taken on one pass: the rule begins it once, and [learns](Self::learn) from it so many times, with
    /// the weights of the step before. Above 1 only where the training loop is ours: Burn's own takes one step on a batch.
    fn rounds(&self) -> usize {
        1
    }

    /// What the rule does to weights after an optimiser step, where a gradient cannot say it: keeps the weights of the network
    /// orthonormal, or has feedback weights follow those that they stand for. `context` is that of the batch. Only called where
    /// [`acts_after_steps`](Self::acts_after_steps) says so.
    fn after_step(&mut self, network: Network, context: StepContext) -> Network {
        let _ = context;
        network
    }

    /// Whether [`after_step`](Self::after_step) does anything. Only where the training loop is ours, and all blocks learn from
    /// every batch: Burn's own loop knows of no such step, and a greedy schedule leaves finished blocks alone.
    fn acts_after_steps(&self) -> bool {
        false
    }

    /// Whether a step leaves something in the rule that the next step reads and that is no parameter. A checkpoint does not hold
    /// it, so a run under such a rule is saved at the end of an epoch alone, where the rule has to start anew.
    fn carries_state(&self) -> bool {
        false
    }

    /// All blocks learn from `pass`, and the rule [ends](Self::end). Override it for a rule that is not local, or that needs no
    /// pass through the blocks.
    fn learn(&self, network: &Network, pass: &mut Pass, context: StepContext, tape: &mut Tape) {
        let _ = context;
        for index in self.order(network.len()) {
            self.learn_block(index, &network.blocks()[index], pass, tape);
        }
        self.end(network, pass, tape);
    }

    /// One whole step: the rule [begins](Self::begin), and all blocks [learn](Self::learn).
    fn step(&self, network: &Network, batch: &Batch, context: StepContext, tape: &mut Tape) -> Pass {
        let mut pass = self.begin(network, batch, context, tape);
        self.learn(network, &mut pass, context, tape);
        pass
    }

    /// Rows of a block's output that a step of this block reads, where those are not all: so much a layer of a graph
    /// network need not make while it alone learns. `stream` is what enters the block.
    fn required_rows(&self, stream: &AnyActivation) -> Option<RequiredRows> {
        let _ = stream;
        None
    }

    /// Class scores of every block's own readout and of every readout of the network.
    ///
    /// `network` may be a [prefix](Network::prefix) of the one the rule was built for.
    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores;

    /// As [`scores`](Self::scores), with `forward_all` in the place of [`Network::forward_all`]: for a caller who has kept what
    /// the first blocks make of some inputs. Rules that have no need of it run the blocks themselves.
    fn scores_with(
        &self,
        network: &Network,
        inputs: AnyActivation,
        forward_all: &dyn Fn(AnyActivation) -> Vec<AnyActivation>,
    ) -> Scores {
        let _ = forward_all;
        self.scores(network, inputs)
    }

    /// Output of every block in one pass with what the rule adds to the inputs (channels, features, virtual nodes) and
    /// between blocks; where a label is part of the input, it is the samples' own. Gradients flow through the whole pass.
    fn activities(&self, network: &Network, batch: &Batch) -> Vec<AnyActivation> {
        network.forward_all(batch.inputs.clone())
    }

    /// Has heads learn from labels that spread over all classes with probability `smoothing`; says whether this rule has
    /// heads that do.
    fn set_label_smoothing(&mut self, smoothing: f64) -> bool {
        let _ = smoothing;
        false
    }

    /// The blocks that the prediction is made of, for a readout that has them chosen on a validation set; all of them
    /// before they are. `None` for every other readout.
    fn readout_blocks(&self) -> Option<BlockRange> {
        None
    }

    /// Has the prediction made of these blocks from now on, where the readout has them chosen.
    fn set_readout_blocks(&mut self, blocks: BlockRange) {
        let _ = blocks;
    }

    /// Values per channel that one row gives to a batch normalisation of this rule's heads in training, of the one with the
    /// fewest; `None` if they have no batch normalisation.
    fn normalised_values_per_row(&self) -> Option<usize> {
        None
    }

    /// The linear classifier on the last block, for rules that have one.
    fn output_head(&self) -> Option<crate::ProjectedCrossEntropy> {
        None
    }

    /// Class scores `[B, C]` of the last block's output by the rule's own linear classifier, or by the output itself where
    /// the last layer gives the scores; `None` for rules with neither.
    fn classify(&self, output: &AnyActivation) -> Option<Tensor<2>> {
        self.output_head().map(|head| head.scores(output))
    }

    /// Parameters of this rule that stay for inference with the readout in force, by path inside the rule, with the
    /// description that goes into an exported file.
    fn export(&self, network: &Network) -> ReadoutExport;
}

/// What an exported file says about its readout.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadoutExport {
    /// JSON description, for whoever runs the file elsewhere.
    pub description: serde_json::Value,
    /// Linear readouts to write: name in the file, weight `[d, C]` (Burn's layout), bias `[C]`.
    pub linears: Vec<(String, burn::tensor::TensorData, Option<burn::tensor::TensorData>)>,
    /// Plain matrices to write: name in the file, values.
    pub matrices: Vec<(String, burn::tensor::TensorData)>,
    /// How many parameters inference needs besides, which have no place in an exported file: those of heads that are not
    /// linear.
    pub unwritten: usize,
}

/// A rule of any kind.
#[derive(Debug)]
pub struct AnyRule(Box<dyn Rule>);

impl AnyRule {
    /// Puts a rule behind a pointer.
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
