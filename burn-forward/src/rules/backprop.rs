//! Back-propagation: the whole network is one block.
//!
//! Rumelhart, Hinton and Williams 1986. There is no separate training engine for it. The rule uses the partition without
//! borders at which a gradient could stop, that is, one block with one classifier on its output and cross-entropy. It trains
//! the network as a whole whatever partition the config states.
//!
//! With `output` `network`, the last layer of the architecture itself gives the class scores, as is usual in published graph
//! networks and others. It then has one output per class, whatever width the config gives.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{AnyRule, HeadReadout, LocalClassifiers, Pass, ReadoutExport, Rule, RuleSpec, Scores, StepContext};
use crate::activation::{Activation, AnyActivation};
use crate::data::Batch;
use crate::local::learn;
use crate::network::{Chain, LayerRequest, Network, Partition};
use crate::pieces::projection::{CrossEntropy, HeadPool};
use crate::random::Seed;
use crate::tape::{Labels, Tape};
use crate::{Error, Result};

/// The source of the class scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OutputLayer {
    /// A linear layer after the network.
    #[default]
    Linear,
    /// The network's own last layer.
    Network,
}

/// Settings of `backprop`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `output` | linear | linear, network | a linear layer after the network, or its own last layer |
/// | `bias` | true | | whether the linear output layer has a bias |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BackpropConfig {
    /// The source of the class scores.
    pub output: OutputLayer,
    /// Whether the linear output layer has a bias.
    pub bias: bool,
}

impl Default for BackpropConfig {
    fn default() -> Self {
        Self { output: OutputLayer::Linear, bias: true }
    }
}

impl RuleSpec for BackpropConfig {
    fn partition(&self) -> Option<Partition> {
        Some(Partition::WHOLE)
    }

    fn greedy(&self) -> Result<(), String> {
        Err("back-propagation has one block, so there is no order of blocks to train greedily".into())
    }

    fn layer_request(&self, classes: usize) -> LayerRequest {
        LayerRequest { classifies: self.output == OutputLayer::Network, ..LayerRequest::plain(classes) }
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        if self.output == OutputLayer::Linear {
            return Ok(AnyRule::new(LocalClassifiers::new(
                network,
                classes,
                self.bias,
                HeadPool::FULL,
                HeadReadout::Last,
                seed,
            )?));
        }
        let width = network.blocks().last().map_or(0, |b| Chain::output(b).len());
        if width != classes {
            return Err(Error::argument(
                "backprop",
                "outputs of the last layer",
                width,
                format!("{classes}, one per class"),
            ));
        }
        Ok(AnyRule::new(OutputClassifier { loss: CrossEntropy }))
    }
}

/// Cross-entropy for a network whose last layer gives the class scores; without parameters.
#[derive(Module, Debug)]
pub struct OutputClassifier {
    loss: CrossEntropy,
}

impl Rule for OutputClassifier {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, _: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        Pass::of(batch)
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let labels = Labels(pass.labels.clone());
        for stream in &mut pass.streams {
            *stream = learn(block, &self.loss, index, stream.clone(), &labels, tape);
        }
        pass.logits = tape.records().last().and_then(|r| r.score.logits.clone());
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        let logits = network.forward(inputs).labelled();
        let mut blocks = vec![None; network.len()];
        if let Some(last) = blocks.last_mut() {
            *last = Some(logits.clone());
        }
        Scores { blocks, readouts: vec![("output", logits)], primary: 0 }
    }

    fn classify(&self, output: &AnyActivation) -> Option<Tensor<2>> {
        Some(output.labelled())
    }

    fn export(&self, _: &Network) -> ReadoutExport {
        ReadoutExport { description: serde_json::json!({"kind": "output"}), ..ReadoutExport::default() }
    }
}
