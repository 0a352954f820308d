//! Mono-Forward: every block learns from its own error.
//!
//! Gong, Li and Abdulla 2025, arXiv 2501.09238 (v2: "Revisiting Forward-Forward through Objective-Locality
//! Decomposition"). For block `i` with input `a_{i-1}` `[B, d_{i-1}]`:
//!
//! - `a_i = f(sg(a_{i-1}) W_i + b_i)` `[B, d_i]`,
//! - `G_i = a_i M_i` `[B, C]`, `M_i` `[d_i, C]` learned,
//! - loss `CE(G_i, y)`; nothing goes to `a_{i-1}`.
//!
//! The prediction is `argmax G_L` (`last`, as in back-propagation) or `argmax sum_i G_i` (`sum`). With one hidden layer the
//! rule is back-propagation on that network.
//!
//! What we do differently: nothing for dense layers. `M` is stored as `[d, C]`, Burn's layout, where the paper writes
//! `[C, d]`.

use burn::module::Module;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeadReadout, Pass, ReadoutExport, Rule, RuleSpec, Scores, StepContext};
use crate::activation::{Activation, AnyActivation};
use crate::block::Block;
use crate::data::Batch;
use crate::local::learn;
use crate::network::{Chain, Network};
use crate::projection::ProjectedCrossEntropy;
use crate::random::Seed;
use crate::tape::{Labels, Tape};
use crate::{Result, rules::AnyRule};

/// Settings of `mono-forward`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `readout` | last | last, sum | prediction from the last block or from the sum of all |
/// | `bias` | false | | whether projections have a bias; the paper's have none |
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MonoForwardConfig {
    /// Prediction from the last block or from the sum of all.
    #[serde(default)]
    pub readout: HeadReadout,
    /// Whether projections have a bias.
    #[serde(default)]
    pub bias: bool,
}

impl RuleSpec for MonoForwardConfig {
    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        Ok(AnyRule::new(LocalClassifiers::new(network, classes, self.bias, self.readout, seed)?))
    }
}

/// A classifier on every block, each trained with its block and on nothing else.
#[derive(Module, Debug)]
pub struct LocalClassifiers {
    heads: Vec<ProjectedCrossEntropy>,
    #[module(skip)]
    readout: HeadReadout,
}

impl LocalClassifiers {
    /// One projection per block, with weights from the stream `head` of `seed`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if a block has no output features or `classes` is 0.
    pub fn new(network: &Network, classes: usize, bias: bool, readout: HeadReadout, seed: Seed) -> Result<Self> {
        Ok(Self { heads: heads(network, classes, bias, seed)?, readout })
    }
}

/// One projection per block, on the device of the network.
pub(super) fn heads(network: &Network, classes: usize, bias: bool, seed: Seed) -> Result<Vec<ProjectedCrossEntropy>> {
    let device = super::registry::device_of(network);
    network
        .blocks()
        .iter()
        .enumerate()
        .map(|(i, block)| {
            // The last block's head is the output layer of the network under every rule: drawn from a stream of its
            // own, so that back-propagation and local rules start from the same output layer.
            let mut rng =
                if i + 1 == network.len() { seed.stream("output", &[]) } else { seed.stream("head", &[i as u64]) };
            ProjectedCrossEntropy::new(block.output().len(), classes, bias, &mut rng, &device)
        })
        .collect()
}

impl Rule for LocalClassifiers {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, _: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        Pass::of(batch)
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let labels = Labels(pass.labels.clone());
        pass.streams = std::mem::take(&mut pass.streams)
            .into_iter()
            .map(|input| learn(block, &self.heads[index], index, input, &labels, tape))
            .collect();
        pass.logits = tape.records().last().and_then(|r| r.score.logits.clone());
    }

    fn advance(&self, _: usize, block: &Chain, pass: &mut Pass) {
        for stream in &mut pass.streams {
            *stream = block.forward(stream.clone()).detach();
        }
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        let outputs = network.forward_all(inputs);
        Scores::of_heads(outputs.iter().zip(&self.heads).map(|(h, head)| head.scores(h)).collect(), self.readout)
    }

    fn output_head(&self) -> Option<ProjectedCrossEntropy> {
        self.heads.last().cloned()
    }

    fn export(&self, network: &Network) -> ReadoutExport {
        export_heads(&self.heads[..network.len()], self.readout)
    }
}

/// The heads that inference needs: the last one, or all.
pub(super) fn export_heads(heads: &[ProjectedCrossEntropy], readout: HeadReadout) -> ReadoutExport {
    let data = |h: &ProjectedCrossEntropy| {
        (h.projection.weight.val().into_data(), h.projection.bias.as_ref().map(|b| b.val().into_data()))
    };
    let (description, linears) = match readout {
        HeadReadout::Last => {
            let linears = heads.last().map(|h| ("head".to_string(), data(h).0, data(h).1)).into_iter().collect();
            (serde_json::json!({"kind": "linear", "name": "head"}), linears)
        }
        HeadReadout::Sum => {
            let names: Vec<String> = (0..heads.len()).map(|i| format!("heads.{i}")).collect();
            let linears = heads.iter().zip(&names).map(|(h, n)| (n.clone(), data(h).0, data(h).1)).collect();
            (serde_json::json!({"kind": "sum-linear", "names": names}), linears)
        }
    };
    ReadoutExport { description, linears, matrices: Vec::new() }
}
