//! Deep supervision: the local heads' losses with nothing detached.
//!
//! Lee, Xie, Gallagher, Zhang and Tu 2015, arXiv 1409.5185. The same auxiliary classifiers as a local rule, but the sum of
//! their losses is back-propagated through the whole network. It is the honest upper baseline of local learning: it has
//! everything a local rule has, and the gradients across block borders too.

use burn::module::{Module, ModuleDisplay};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::head::head_of;
use super::local_classifiers::{export_heads, linear_heads};
use super::{
    AnyHead, AnyRule, BlockRange, HeadReadout, Pass, ReadoutExport, Rule, RuleSpec, Scores, StepContext, Teaching,
};
use crate::Result;
use crate::activation::{Activation, AnyActivation};
use crate::block::Block;
use crate::data::Batch;
use crate::network::{Chain, Network};
use crate::projection::{HeadPool, ProjectedCrossEntropy};
use crate::random::Seed;
use crate::tape::{Labels, Score, Tape};

/// Settings of `deep-supervision`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `readout` | last | last, sum, mean, weighted, sip | which blocks' scores make the prediction, see [`HeadReadout`] |
/// | `bias` | false | | whether the heads have a bias, as for `mono-forward` |
/// | `pool` | 4 | full, 1 to 64 | side of the grid that maps are averaged over before a head, as for `mono-forward` |
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeepSupervisionConfig {
    /// Which blocks' scores make the prediction.
    #[serde(default)]
    pub readout: HeadReadout,
    /// Whether the heads have a bias.
    #[serde(default)]
    pub bias: bool,
    /// Side of the grid that maps are averaged over before a head.
    #[serde(default)]
    pub pool: HeadPool,
}

impl RuleSpec for DeepSupervisionConfig {
    fn is_local(&self) -> bool {
        false
    }

    fn greedy(&self) -> Result<(), String> {
        Err("deep supervision sends gradients through all blocks, so they cannot be trained one after the other".into())
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        let heads = linear_heads(network, classes, self.bias, self.pool, seed)?;
        Ok(AnyRule::new(DeepSupervision::new(heads.into_iter().map(AnyHead::new).collect(), self.readout)))
    }
}

/// A classifier on every block; all losses reach all blocks below.
#[derive(Module, Debug)]
pub struct DeepSupervision {
    heads: Vec<AnyHead>,
    #[module(skip)]
    readout: HeadReadout,
    #[module(skip)]
    smoothing: f64,
    /// What the readout of chosen blocks reads.
    #[module(skip)]
    chosen: BlockRange,
}

impl DeepSupervision {
    /// Any heads, one per block.
    pub fn new(heads: Vec<AnyHead>, readout: HeadReadout) -> Self {
        let chosen = BlockRange::all(heads.len());
        Self { heads, readout, smoothing: 0.0, chosen }
    }

    fn teaching(&self, pass: &Pass) -> Teaching {
        Teaching { smoothing: self.smoothing, ..Teaching::new(Labels(pass.labels.clone())) }
    }
}

/// Both modules whose gradients one backward pass gives.
fn together<M: Module + ModuleDisplay, N: Module + ModuleDisplay>(a: &M, b: &N) -> (M, N) {
    (a.clone(), b.clone())
}

impl Rule for DeepSupervision {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, _: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        Pass::of(batch)
    }

    /// A single block with its head; [`step`](Rule::step) is what trains.
    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let labels = self.teaching(pass);
        for stream in &mut pass.streams {
            *stream = crate::local::learn(block, head_of(&self.heads, index), index, stream.clone(), &labels, tape);
        }
    }

    fn advance(&self, _: usize, block: &Chain, pass: &mut Pass) {
        for stream in &mut pass.streams {
            *stream = block.forward(stream.clone()).detach();
        }
    }

    fn step(&self, network: &Network, batch: &Batch, context: StepContext, tape: &mut Tape) -> Pass {
        let mut pass = self.begin(network, batch, context, tape);
        let labels = self.teaching(&pass);
        let mut x = batch.inputs.clone();
        let mut scores: Vec<Score> = Vec::with_capacity(network.len());
        for (index, block) in network.blocks().iter().enumerate() {
            let trace = block.trace(x);
            scores.push(head_of(&self.heads, index).score(&trace, &labels));
            x = trace.output;
        }
        let total = scores.iter().skip(1).fold(scores[0].loss.clone(), |sum, s| sum + s.loss.clone());
        tape.backward(&total, &together(network, &self.heads));
        pass.streams = vec![x.detach()];
        for (index, score) in scores.into_iter().enumerate() {
            tape.record(index, score);
        }
        pass.logits = tape.records().last().and_then(|r| r.score.logits.clone());
        pass
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        let mut x = inputs;
        let mut all = Vec::with_capacity(network.len());
        for (index, block) in network.blocks().iter().enumerate() {
            x = block.forward(x);
            all.push(head_of(&self.heads, index).scores(&x));
        }
        Scores::of_heads(all, self.readout, self.chosen)
    }

    fn set_label_smoothing(&mut self, smoothing: f64) -> bool {
        self.smoothing = smoothing;
        true
    }

    fn readout_blocks(&self) -> Option<BlockRange> {
        (self.readout == HeadReadout::Sip).then_some(self.chosen)
    }

    fn set_readout_blocks(&mut self, blocks: BlockRange) {
        self.chosen = blocks.within(self.heads.len());
    }

    fn normalised_values_per_row(&self) -> Option<usize> {
        self.heads.iter().filter_map(|head| head.normalised_values_per_row()).min()
    }

    fn output_head(&self) -> Option<ProjectedCrossEntropy> {
        self.heads.last().and_then(|head| head.linear())
    }

    fn export(&self, network: &Network) -> ReadoutExport {
        export_heads(&self.heads[..network.len()], self.readout, self.chosen)
    }
}
