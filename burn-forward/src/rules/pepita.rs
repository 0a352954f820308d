//! PEPITA: the output error changes the input, and every block learns from how this changes its activities.
//!
//! Dellaferrera and Kreiman 2022, arXiv 2201.11665; the Hebbian form is that of Srinivasan et al. 2024, arXiv 2302.05440. The
//! network runs twice, with the same weights and the same dropout masks. The first pass, from the input `x` `[B, n]`, gives
//! activities `h_l` `[B, d_l]`, scores `o` `[B, C]`, `Y = softmax(o)` and the error `E = Y - T` relative to the targets `T`.
//! The second pass starts from
//!
//! `x~ = x - E F`, `F` `[C, n]` fixed,
//!
//! and gives `h~_l` and `o~`. With `h_0 = x` and the weights of block `l` in `z_l = h_{l-1} W_l + b_l`, `h_l = f(z_l)`, the
//! updates that replace gradients are, times `1/B`:
//!
//! | | `difference`, `modulated-error` | `standard-error` | `hebbian` |
//! |---|---|---|---|
//! | block `l` | `h~_{l-1}^T (h_l - h~_l)` | | `h_{l-1}^T h_l - h~_{l-1}^T h~_l` |
//! | output | `h~_L^T (softmax(o~) - T)` | `h~_L^T E` | `h_L^T Y - h~_L^T T` |
//!
//! None of them contains the derivative of the activation function: the loss of a block is `<z~_l, sg(h_l - h~_l)>/B`. To
//! first order, `h_l - h~_l` is the error multiplied by the feedback matrix `F W_1 ... W_l`, which aligns with the transposed
//! weights as they learn.
//!
//! What we do differently: biases learn from the same loss as well. The sign of `F` is that of Srinivasan et al.; the authors
//! of 2022 add `E F`, which is the same rule with another draw of `F`. In a layer with a pool, the activities before the pool
//! are compared. For maps, updates are means over positions, as in the authors' program. Parameters after the linear map (of
//! batch normalisation) do not learn, and each pass is normalised by its own statistics.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use super::dfa::{output_layer, output_scores};
use super::local_classifiers::export_heads;
use super::{
    AnyHead, AnyRule, BlockRange, Context, HeadReadout, Pass, Reach, ReadoutExport, Rule, RuleSpec, Scores, StepContext,
};
use crate::activation::{Activation, AnyActivation, RowShape};
use crate::block::Trace;
use crate::data::Batch;
use crate::error::InBlock;
use crate::init::{Init, fixed};
use crate::network::{Chain, LayerOutline, Network, Partition};
use crate::pieces::dropout;
use crate::pieces::label::one_hot;
use crate::pieces::pair_loss::cross_entropy;
use crate::pieces::projection::ProjectedCrossEntropy;
use crate::random::Seed;
use crate::tape::Tape;
use crate::{ConfigError, Error, Result, require};

/// What a block learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PepitaUpdate {
    /// The difference of its activities between the two passes, times its input in the second pass.
    #[default]
    Difference,
    /// The products of its inputs and activities: those of the first pass increase, those of the second decrease.
    Hebbian,
}

/// What the output layer learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PepitaOutput {
    /// The error of the second pass: its true gradient there (Dellaferrera and Kreiman 2022).
    #[default]
    ModulatedError,
    /// The error of the first pass, at the activities of the second (Srinivasan et al. 2024).
    StandardError,
    /// Activities and predictions of the first pass increase, activities of the second pass and targets decrease.
    Hebbian,
}

/// Settings of `pepita`. PEPITA-Hebbian is `update` and `output` `hebbian`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `update` | difference | difference, hebbian | what blocks learn from |
/// | `output` | modulated-error | modulated-error, standard-error, hebbian | what the output layer learns from |
/// | `feedback-scale` | 0.05 | [0, 1000] | `F` is uniform on `+-feedback-scale sqrt(6/n)` for `n` input features |
/// | `bias` | false | | whether the output layer has a bias |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PepitaConfig {
    /// What blocks learn from.
    #[serde(default)]
    pub update: PepitaUpdate,
    /// What the output layer learns from.
    #[serde(default)]
    pub output: PepitaOutput,
    /// Size of the feedback matrix `F`, relative to He initialisation.
    #[serde(default = "twentieth")]
    #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 1000.0)))]
    pub feedback_scale: f64,
    /// Whether the output layer has a bias.
    #[serde(default)]
    pub bias: bool,
}

fn twentieth() -> f64 {
    0.05
}

impl Default for PepitaConfig {
    fn default() -> Self {
        Self {
            update: PepitaUpdate::default(),
            output: PepitaOutput::default(),
            feedback_scale: twentieth(),
            bias: false,
        }
    }
}

/// The requirement on layers, for error messages.
const NEEDED: &str = "layers that are a linear map followed by a function (dense, convolution), or another rule";

impl RuleSpec for PepitaConfig {
    fn check(&self, context: &Context) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        if let Some(RowShape::Nodes(_)) = context.input {
            errors.push(ConfigError::new(
                "$.rule.name",
                "\"pepita\" changes every sample's input by its own error, but here all nodes of a graph are one input; \
                 needed: another rule",
            ));
        }
        let is_another = |layer: &LayerOutline| !layer.affine && !layer.with_previous;
        if let Some(place) = context.network.outline().iter().position(is_another) {
            let given = format!("'{}' has an unsuitable layer at position {}", context.network_name, place + 1);
            errors.push(ConfigError::new("$.network", format!("{given}; needed for 'pepita': {NEEDED}")));
        }
        errors
    }

    /// One learning layer per block.
    fn partition(&self) -> Option<Partition> {
        Some(Partition::LAYER)
    }

    fn reach(&self) -> Reach {
        Reach::Network("the output error, through the input")
    }

    fn greedy(&self) -> Result<(), String> {
        Err("'pepita' needs the output error of the whole network for its second pass".into())
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        for (index, block) in network.blocks().iter().enumerate() {
            let learning = block.layers().iter().filter(|layer| !layer.outline().with_previous).count();
            if learning != 1 {
                let what = format!("layers that learn in block {index}");
                return Err(Error::argument("pepita", what, learning, "1: partition \"layer\""));
            }
        }
        let input = network.input().ok_or_else(|| {
            Error::argument("pepita", "shape of the network's input", "not given", "set, by Network::with_input")
        })?;
        let n = input.len();
        let init = Init::Uniform(self.feedback_scale * (6.0 / n.max(1) as f64).sqrt());
        let feedback = init.draw([classes, n], &mut seed.stream("feedback", &[]), &network.device())?;
        Ok(AnyRule::new(Pepita {
            feedback: fixed(feedback),
            output: output_layer(network, classes, self.bias, seed)?,
            update: self.update,
            learns: self.output,
        }))
    }
}

/// The activities of every block in the first pass, which are compared.
const FIRST: &str = "first pass";
/// The input of every block in the first pass.
const ENTERED: &str = "first pass, inputs";
/// `E` `[B, C]`.
const ERROR: &str = "output error";
/// `Y` `[B, C]`.
const PREDICTION: &str = "prediction";
/// The input of the output layer in the first pass `[B, d]`.
const TOP: &str = "first pass, output";

/// A fixed matrix from the output error to the input, and a classifier on the last block.
#[derive(Module, Debug)]
pub struct Pepita {
    /// `F` `[C, n]`.
    feedback: Param<Tensor<2>>,
    output: ProjectedCrossEntropy,
    #[module(skip)]
    update: PepitaUpdate,
    #[module(skip)]
    learns: PepitaOutput,
}

/// The result of running a block on an input.
struct Made {
    /// The output `z` of its linear map, with its graph.
    z: AnyActivation,
    /// Its activities, detached, in the shape of `z`.
    activity: AnyActivation,
    /// Its output, detached.
    output: AnyActivation,
}

/// The output of a block's linear map.
fn linear_map(block: &Chain, input: AnyActivation) -> AnyActivation {
    let input = input.detach();
    let z = block.layers().first().and_then(|layer| layer.affine(input.clone()));
    require(z.is_some(), || Error::argument("pepita", "layers of a block", block.describe(), NEEDED));
    z.unwrap_or(input)
}

/// Runs a block through the two halves of its first layer. Both passes do so, so that equal inputs give activities that are
/// equal to the last bit.
fn run(block: &Chain, input: AnyActivation) -> Made {
    let z = linear_map(block, input);
    let Some((first, pools)) = block.layers().split_first() else {
        return Made { activity: z.clone().detach(), output: z.clone().detach(), z };
    };
    let Trace { output, units } = first.activate(z.clone().detach());
    // After dropout, whose masks are part of the activities; before a pool.
    let pooled = output.features().dims() != z.features().dims();
    let activity = units.filter(|_| pooled).map_or_else(|| output.clone(), |units| units.activity).detach();
    let (given, needed) = (activity.features().dims(), z.features().dims());
    require(given == needed, || {
        Error::argument("pepita", "shape of a layer's activities", format!("{given:?}"), format!("{needed:?}"))
    });
    let output = pools.iter().fold(output, |x, layer| layer.forward(x)).detach();
    Made { z, activity, output }
}

/// `<z, target>` with `target` constant, over rows and positions, `[1]`.
fn inner(z: &AnyActivation, target: Tensor<2>) -> Tensor<1> {
    let [rows, _, positions] = z.by_unit().dims();
    (z.features() * target.detach()).sum() / (rows * positions) as f64
}

impl Pepita {
    /// The loss of the output layer in the second pass, with the input `h` `[B, d]`.
    fn output_loss(&self, h: &AnyActivation, pass: &Pass) -> Option<Tensor<1>> {
        let scores = self.output.scores(h);
        let [rows, classes] = scores.dims();
        let product = |scores: Tensor<2>, target: Tensor<2>| (scores * target.detach()).sum() / rows as f64;
        match self.learns {
            PepitaOutput::ModulatedError => Some(cross_entropy(scores, pass.labels.clone())),
            PepitaOutput::StandardError => Some(product(scores, pass.signals.rows(ERROR)?.clone())),
            PepitaOutput::Hebbian => {
                let first = self.output.scores(pass.signals.rows(TOP)?);
                let up = product(first, pass.signals.rows(PREDICTION)?.clone());
                Some(up - product(scores, one_hot(&pass.labels, classes)))
            }
        }
    }

    /// Adds what the output layer needs from the first pass to the signals.
    fn teach_output(&self, top: &AnyActivation, prediction: Tensor<2>, error: Tensor<2>, pass: &mut Pass) {
        match self.learns {
            PepitaOutput::ModulatedError => {}
            PepitaOutput::StandardError => pass.signals.put(ERROR, error),
            PepitaOutput::Hebbian => {
                pass.signals.put(TOP, top.features());
                pass.signals.put(PREDICTION, prediction);
            }
        }
    }
}

impl Rule for Pepita {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, network: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        let mut pass = Pass::of(batch);
        let (mut entered, mut first) = (Vec::new(), Vec::new());
        let mut x = batch.inputs.clone().detach();
        for (index, block) in network.blocks().iter().enumerate() {
            let _in_block = InBlock::new(index);
            let made = run(block, x.clone());
            entered.push(Trace::from(x));
            first.push(Trace::from(made.activity));
            x = made.output;
        }
        let scores = self.output.scores(&x).detach();
        let prediction = softmax(scores.clone(), 1);
        let error = prediction.clone() - one_hot(&pass.labels, batch.classes);
        let change = error.clone().matmul(self.feedback.val());
        pass.streams = vec![batch.inputs.with_features(batch.inputs.features() - change).detach()];
        pass.signals.put(FIRST, first);
        if self.update == PepitaUpdate::Hebbian {
            pass.signals.put(ENTERED, entered);
        }
        self.teach_output(&x, prediction, error, &mut pass);
        pass.logits = Some(scores.without_autodiff());
        // With different masks, the difference of masks would hide that of activities.
        dropout::repeat();
        pass
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let _in_block = InBlock::new(index);
        let Some(first) = pass.signals.take_block(FIRST, index) else { return };
        let first = first.output.features();
        let made = run(block, pass.streams[0].clone());
        let second = made.activity.features();
        let loss = match (self.update, pass.signals.take_block(ENTERED, index)) {
            (PepitaUpdate::Hebbian, Some(entered)) => {
                inner(&linear_map(block, entered.output), first) - inner(&made.z, second)
            }
            _ => inner(&made.z, first - second),
        };
        tape.backward(&loss, block);
        tape.record(index, loss.into());
        pass.streams = vec![made.output];
    }

    fn end(&self, _: &Network, pass: &mut Pass, tape: &mut Tape) {
        if let Some(loss) = self.output_loss(&pass.streams[0], pass) {
            tape.backward(&loss, &self.output);
        }
    }

    fn advance(&self, _: usize, block: &Chain, pass: &mut Pass) {
        pass.streams = vec![run(block, pass.streams[0].clone()).output];
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
