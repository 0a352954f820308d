//! Direct feedback alignment: the output error reaches every hidden block through a fixed random matrix.
//!
//! Nokland 2016, arXiv 1609.01596. With `O = h_L M + c` `[B, C]`, targets `T` and `E = softmax(O) - T`:
//!
//! - output layer: its true gradient, `dM = h_L^T E / B`;
//! - hidden block `l`: `E B_l` `[B, d_l]`, `B_l` `[C, d_l]` fixed, replaces the gradient with respect to its output;
//!   everything within the block is differentiated locally.
//!
//! What we do differently: the signal is injected after the activation of a block, not before it. For a dense layer this is
//! equivalent, and it generalises to any block (Launay et al. 2020). The output error exists only after a forward pass of the
//! whole network, so the graphs of all blocks are kept until then: unlike other local rules, the activation memory of this
//! one grows with depth, as in back-propagation.

use burn::module::Module;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use super::local_classifiers::export_heads;
use super::{
    AnyHead, AnyRule, BlockRange, HeadReadout, Pass, Reach, ReadoutExport, Rule, RuleSpec, Scores, StepContext,
};
use crate::Result;
use crate::activation::{Activation, AnyActivation};
use crate::block::{Block, Trace};
use crate::data::Batch;
use crate::local::LocalLoss;
use crate::network::{Chain, Network};
use crate::pieces::feedback::{OutputSignal, ProjectedFeedback};
use crate::pieces::label::one_hot;
use crate::pieces::projection::ProjectedCrossEntropy;
use crate::random::Seed;
use crate::tape::{Labels, Tape};

/// Settings of `dfa`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `bias` | true | | whether the output layer has a bias |
/// | `sign` | false | | send only the sign of the error (sDFA) |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DfaConfig {
    /// Whether the output layer has a bias.
    pub bias: bool,
    /// Send only the sign of the error.
    pub sign: bool,
}

impl Default for DfaConfig {
    fn default() -> Self {
        Self { bias: true, sign: false }
    }
}

impl RuleSpec for DfaConfig {
    fn reach(&self) -> Reach {
        Reach::Network("the output error")
    }

    fn greedy(&self) -> Result<(), String> {
        Err("direct feedback alignment needs the output error of the whole network for every block".into())
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        let widths = network.blocks().iter().map(|block| Chain::output(block).len());
        Ok(AnyRule::new(Dfa {
            feedback: feedback(network, widths, classes, seed)?,
            output: output_layer(network, classes, self.bias, seed)?,
            sign: self.sign,
        }))
    }
}

/// One fixed matrix per block, whose number of columns is in `widths`, from the stream `feedback` of `seed`.
pub(super) fn feedback(
    network: &Network,
    widths: impl Iterator<Item = usize>,
    classes: usize,
    seed: Seed,
) -> Result<Vec<ProjectedFeedback>> {
    let device = network.device();
    let matrix = |(i, width)| ProjectedFeedback::new(width, classes, &mut seed.stream("feedback", &[i]), &device);
    (0u64..).zip(widths).map(matrix).collect()
}

/// The classifier on the last block.
pub(super) fn output_layer(network: &Network, classes: usize, bias: bool, seed: Seed) -> Result<ProjectedCrossEntropy> {
    let width = network.blocks().last().map_or(0, |b| b.output().len());
    let device = network.device();
    ProjectedCrossEntropy::new(width, classes, bias, &mut seed.stream("output", &[]), &device)
}

/// The signal `E` `[B, C]`.
const ERROR: &str = "output error";
/// The graph of every block from the forward pass.
const GRAPHS: &str = "forward pass";

/// Fixed feedback to every hidden block and a classifier on the last.
#[derive(Module, Debug)]
pub struct Dfa {
    feedback: Vec<ProjectedFeedback>,
    output: ProjectedCrossEntropy,
    sign: bool,
}

impl Rule for Dfa {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, network: &Network, batch: &Batch, _: StepContext, tape: &mut Tape) -> Pass {
        let mut pass = Pass::of(batch);
        let mut x = batch.inputs.clone();
        let mut graphs = Vec::with_capacity(network.len());
        for block in network.blocks() {
            x = block.forward(x.detach());
            graphs.push(Trace::from(x.clone()));
        }
        pass.signals.put(GRAPHS, graphs);
        let trace = Trace::from(x.detach());
        let score = self.output.score(&trace, &Labels(pass.labels.clone()));
        tape.backward(&score.loss, &self.output);
        if let Some(logits) = score.logits {
            let logits = logits.without_autodiff();
            let error = softmax(logits.clone(), 1) - one_hot(&pass.labels, batch.classes).without_autodiff();
            pass.signals.put(ERROR, if self.sign { error.sign() } else { error });
            pass.logits = Some(logits);
        }
        pass
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        if let (Some(trace), Some(error)) = (pass.signals.take_block(GRAPHS, index), pass.signals.rows(ERROR).cloned())
        {
            let score = self.feedback[index].score(&trace, &OutputSignal(error));
            tape.backward(&score.loss, block);
            tape.record(index, score);
            pass.streams = vec![trace.output.detach()];
        }
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        output_scores(network, &self.output, inputs)
    }

    fn output_head(&self) -> Option<ProjectedCrossEntropy> {
        Some(self.output.clone())
    }

    fn export(&self, _: &Network) -> ReadoutExport {
        export_heads(&[AnyHead::new(self.output.clone())], HeadReadout::Last, BlockRange::all(1))
    }
}

/// Scores of a network whose hidden blocks have no readout.
pub(super) fn output_scores(network: &Network, output: &ProjectedCrossEntropy, inputs: AnyActivation) -> Scores {
    let logits = output.scores(&network.forward(inputs));
    let mut blocks = vec![None; network.len()];
    if let Some(last) = blocks.last_mut() {
        *last = Some(logits.clone());
    }
    Scores { blocks, readouts: vec![("output", logits)], primary: 0 }
}
