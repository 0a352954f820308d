//! Direct random target projection: hidden blocks learn from the projected targets, before any output exists.
//!
//! Frenkel, Lefebvre and Bol 2021, arXiv 1909.01311. It is [direct feedback alignment](super::Dfa) with the targets `T` in
//! place of the error: block `l` receives `-T B_l` `[B, d_l]` as the gradient with respect to its activities after the
//! activation function and before pooling and dropout (for maps, `d_l = C H W`). The output layer gets its true gradient.
//! Since the teaching signal never vanishes, the activation function has to saturate: tanh. With ReLU the rule loses about 20
//! points on MNIST, and such a config is rejected.
//!
//! On feature maps the signal is injected after the activation and before the pool, as in the authors' program. A separate
//! random signal for every position is a weak teaching signal: small convolutional networks learn less from it than from one
//! after the pool.
//!
//! What we do differently: softmax cross-entropy at the output, where the paper has sigmoids and binary cross-entropy.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::dfa::{feedback, output_layer, output_scores};
use super::local_classifiers::export_heads;
use super::{AnyHead, AnyRule, BlockRange, HeadReadout, Pass, ReadoutExport, Rule, RuleSpec, Scores, StepContext};
use crate::activation::{Activation, AnyActivation};
use crate::block::{Block, Trace};
use crate::data::Batch;
use crate::error::InBlock;
use crate::local::LocalLoss;
use crate::network::{Chain, Network};
use crate::pieces::feedback::{OutputSignal, ProjectedFeedback};
use crate::pieces::label::one_hot;
use crate::pieces::projection::ProjectedCrossEntropy;
use crate::random::Seed;
use crate::rules::Context;
use crate::tape::{Labels, Tape};
use crate::{ConfigError, Result};

/// Settings of `drtp`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `bias` | true | | whether the output layer has a bias |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DrtpConfig {
    /// Whether the output layer has a bias.
    pub bias: bool,
}

impl Default for DrtpConfig {
    fn default() -> Self {
        Self { bias: true }
    }
}

impl RuleSpec for DrtpConfig {
    fn check(&self, context: &Context) -> Vec<ConfigError> {
        if context.network.saturates() != Some(false) {
            return Vec::new();
        }
        vec![ConfigError::new(
            "$.network",
            "has an activation function that does not saturate, but 'drtp' needs one that does; needed: \"activation\": \
             \"tanh\", in a network that has this setting",
        )]
    }

    fn greedy(&self) -> Result<(), String> {
        Err("under 'drtp' hidden blocks have no readout that could tell when a block is finished".into())
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        let widths = network.blocks().iter().map(|block| block.units().unwrap_or_else(|| Chain::output(block)).len());
        Ok(AnyRule::new(Drtp {
            feedback: feedback(network, widths, classes, seed)?,
            output: output_layer(network, classes, self.bias, seed)?,
        }))
    }
}

/// Fixed projections of the targets to every hidden block and a classifier on the last.
#[derive(Module, Debug)]
pub struct Drtp {
    feedback: Vec<ProjectedFeedback>,
    output: ProjectedCrossEntropy,
}

impl Rule for Drtp {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, _: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        Pass::of(batch)
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let signal = OutputSignal(one_hot(&pass.labels, self.feedback[index].feedback.dims()[0]).neg());
        for stream in &mut pass.streams {
            let _in_block = InBlock::new(index);
            let Trace { output, units } = block.trace(stream.clone().detach());
            let taught = units.map_or_else(|| output.clone(), |units| units.activity);
            let score = self.feedback[index].score(&Trace::from(taught), &signal);
            tape.backward(&score.loss, block);
            tape.record(index, score);
            *stream = output.detach();
        }
        if index + 1 == self.feedback.len() {
            let trace = Trace::from(pass.streams[0].clone());
            let score = self.output.score(&trace, &Labels(pass.labels.clone()));
            tape.backward(&score.loss, &self.output);
            pass.logits = score.logits.map(|l| l.without_autodiff());
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
