//! Feedback alignment: the error travels down layer by layer through separate feedback weights.
//!
//! Lillicrap, Cownden, Tweed and Akerman 2016, arXiv 1411.0247. Layer `l` computes `z_l = N(x_{l-1}) W_l + b_l` and from it
//! `x_l = f_l(z_l)` `[B, d_l]`, where `f_l` is everything after the linear map: batch normalisation, activation, pool. With
//! the class scores `O = x_L M + c` `[B, C]`, targets `T` and `E = (softmax(O) - T) / B`, from the top down:
//!
//! - output layer: its true gradient, `dM = x_L^T E`, and `delta_L = E B_{L+1}^T`, where `B_{L+1}` `[d_L, C]` has the shape
//!   of `M`;
//! - layer `l`: `dz_l`, the gradient of `<f_l(z_l), delta_l>` with respect to `z_l`, and from it the true gradient of `W_l`
//!   and `b_l`; parameters within `f_l` also get the gradient of `<f_l(z_l), delta_l>`;
//! - `delta_{l-1}`, the gradient of `<N(x_{l-1}) B_l, dz_l>` with respect to `x_{l-1}`. This is the one of back-propagation,
//!   with feedback weights `B_l`, which have the shape of `W_l`, in place of `W_l`. For a convolution it is the transposed
//!   convolution.
//!
//! | `feedback` | `B_l` | |
//! |---|---|---|
//! | `random` | fixed | Lillicrap et al. 2016 |
//! | `usf` | `s sign(W_l)` | Liao, Leibo and Poggio 2016, arXiv 1510.05067 |
//! | `brsf` | `abs(R) sign(W_l)`, `R` drawn for every batch | the same |
//! | `frsf` | `abs(R) sign(W_l)`, `R` fixed | the same |
//! | `kolen-pollack` | learns: its gradient is that of `W_l` | Kolen and Pollack 1994; Akrout et al. 2019, arXiv 1904.05391 |
//!
//! Random values are uniform on `+-sqrt(6/(fan_in + fan_out))`, and `s` is their standard deviation (Glorot and Bengio 2010).
//! With `kolen-pollack` the optimiser makes the same update to both weights, so `B_l - W_l` shrinks by the decay of both.
//! This requires weight decay, with `sgd` (without decay the difference stays constant) or `adamw` (in `adam` the decay
//! passes through moments, which are different).
//!
//! What we do differently: the error enters after the activation function, as in [direct feedback alignment](super::Dfa), so
//! that it passes a pool or a batch normalisation before the next layer by the true local gradient. The graph of every block
//! is kept until the error arrives, as in back-propagation, and so are the outputs of the linear maps with feedback weights.

mod weights;

use burn::module::{Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Gradients, Tensor, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use weights::{Replace, Shapes, Teach, as_matrix};

use super::dfa::{output_layer, output_scores};
use super::local_classifiers::export_heads;
use super::{
    AnyHead, AnyRule, BlockRange, HeadReadout, Pass, Reach, ReadoutExport, Rule, RuleSpec, Scores, Signal, StepContext,
};
use crate::activation::{Activation, AnyActivation};
use crate::block::Trace;
use crate::data::Batch;
use crate::device::autodiff_leaf;
use crate::error::InBlock;
use crate::init::{Init, fixed};
use crate::local::LocalLoss;
use crate::network::{AnyLayer, Chain, Network, Partition};
use crate::optim::{OptimizerConfig, OptimizerName};
use crate::pieces::label::one_hot;
use crate::pieces::projection::ProjectedCrossEntropy;
use crate::random::{Rng, Seed};
use crate::rules::Context;
use crate::tape::{Labels, Score, Tape};
use crate::{ConfigError, Error, Result, require};

/// Kind of the feedback weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FeedbackKind {
    /// Random and fixed.
    #[default]
    Random,
    /// The signs of the weights, all with the same magnitude.
    Usf,
    /// The signs of the weights, with magnitudes drawn for every batch.
    Brsf,
    /// The signs of the weights, with fixed random magnitudes.
    Frsf,
    /// Random, and trained with the gradients of the weights.
    KolenPollack,
}

impl FeedbackKind {
    /// Whether values are drawn once and stored as parameters.
    fn is_stored(self) -> bool {
        matches!(self, Self::Random | Self::Frsf | Self::KolenPollack)
    }
}

/// Settings of `feedback-alignment`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `bias` | true | | whether the output layer has a bias |
/// | `feedback` | random | random, usf, brsf, frsf, kolen-pollack | the feedback weights through which the error travels down; `kolen-pollack` needs `optimizer.weight-decay` with sgd or adamw |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FeedbackAlignmentConfig {
    /// Whether the output layer has a bias.
    pub bias: bool,
    /// The feedback weights through which the error travels down.
    pub feedback: FeedbackKind,
}

impl Default for FeedbackAlignmentConfig {
    fn default() -> Self {
        Self { bias: true, feedback: FeedbackKind::default() }
    }
}

const HALVES: &str = "layers that are a linear map followed by a function (mlp, conv-stack, vgg), each of them a block";

impl RuleSpec for FeedbackAlignmentConfig {
    fn check(&self, context: &Context) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let layers = context.network.outline();
        if let Some(place) = layers.iter().position(|layer| !layer.affine && !layer.with_previous) {
            let given = format!("'{}' has an unsuitable layer at position {}", context.network_name, place + 1);
            errors.push(ConfigError::new("$.network", format!("{given}; needed for 'feedback-alignment': {HALVES}")));
        }
        // Weight decay brings both weights together, and the optimiser has to turn equal gradients into equal updates.
        let brings_together = |optimizer: &OptimizerConfig| {
            matches!(optimizer.name, OptimizerName::Sgd | OptimizerName::AdamW) && optimizer.weight_decay > 0.0
        };
        if self.feedback == FeedbackKind::KolenPollack && !context.optimizer.is_none_or(brings_together) {
            errors.push(ConfigError::new(
                "$.rule.feedback",
                "\"kolen-pollack\" requires weight decay to align feedback and forward weights, and this $.optimizer has none; \
                 needed: \"sgd\" or \"adamw\" with a \"weight-decay\" above 0",
            ));
        }
        errors
    }

    fn partition(&self) -> Option<Partition> {
        Some(Partition::LAYER)
    }

    fn reach(&self) -> Reach {
        Reach::Above("an error through feedback weights")
    }

    fn greedy(&self) -> Result<(), String> {
        Err("under 'feedback-alignment' the error reaches a block through all blocks above it".into())
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        for (index, block) in network.blocks().iter().enumerate() {
            if halves(block).is_none() {
                let what = format!("block {index}");
                return Err(Error::argument("feedback-alignment", what, block.describe(), HALVES));
            }
        }
        let output = output_layer(network, classes, self.bias, seed)?;
        let device = network.device();
        let draw = |place: usize, shapes: Shapes| -> Result<Vec<Param<Tensor<2>>>> {
            let mut rng = seed.stream("feedback", &[place as u64]);
            let matrix = |(shape, bound)| Ok(fixed(Init::Uniform(bound).draw(shape, &mut rng, &device)?));
            shapes.0.into_iter().map(matrix).collect()
        };
        let mut feedback = vec![Vec::new(); network.len()];
        let mut output_feedback = None;
        if self.feedback.is_stored() {
            // Below the first block there is nothing for an error to go to.
            for (index, block) in network.blocks().iter().enumerate().skip(1) {
                feedback[index] = draw(index, Shapes::of(block))?;
            }
            output_feedback = draw(network.len(), Shapes::of(&output))?.pop();
        }
        Ok(AnyRule::new(FeedbackAlignment { feedback, output_feedback, output, kind: self.feedback }))
    }
}

/// The layer of a block that has two halves, and the layers without parameters after it.
fn halves(block: &Chain) -> Option<(&AnyLayer, &[AnyLayer])> {
    let (first, behind) = block.layers().split_first()?;
    let fits = first.outline().affine && behind.iter().all(|layer| layer.outline().with_previous);
    fits.then_some((first, behind))
}

/// The graph of every block in the forward pass, without its inputs.
const GRAPHS: &str = "forward pass";
/// Zeros `[B, d]` that were added to the output `z` of every block's linear map; their gradient is that of `z`.
const ENTRIES: &str = "where the error enters";
/// The graph of every linear map with feedback weights, in which only the inputs get gradients.
const FEEDBACK: &str = "feedback pass";
/// The gradient `delta_l` `[B, d_l]` of the mean loss with respect to the output of the next block to learn.
const ERROR: &str = "error";

/// Feedback weights of every block but the first, and a classifier on the last block with its own feedback weights. While the
/// error travels down, [`Pass::streams`] contains the input of the next block, followed by the inputs of those below.
#[derive(Module, Debug)]
pub struct FeedbackAlignment {
    feedback: Vec<Vec<Param<Tensor<2>>>>,
    output_feedback: Option<Param<Tensor<2>>>,
    output: ProjectedCrossEntropy,
    #[module(skip)]
    kind: FeedbackKind,
}

impl FeedbackAlignment {
    /// Feedback weights in place of `weight`; if they are drawn for every batch, `rng` draws them.
    fn in_place_of(
        &self,
        weight: Tensor<2>,
        bound: f64,
        stored: Option<&Param<Tensor<2>>>,
        rng: &mut Rng,
    ) -> Tensor<2> {
        let stored = stored.map(|stored| stored.val().detach());
        match (self.kind, stored) {
            (FeedbackKind::Random | FeedbackKind::KolenPollack, Some(stored)) => stored,
            (FeedbackKind::Frsf, Some(stored)) => stored.abs() * weight.sign(),
            (FeedbackKind::Brsf, _) => {
                let shape = weight.shape();
                let magnitudes = (0..shape.num_elements()).map(|_| rng.random_range(0.0..=bound) as f32).collect();
                Tensor::from_data(TensorData::new(magnitudes, shape), &weight.device()) * weight.sign()
            }
            // The standard deviation of the uniform distribution up to the bound.
            _ => weight.sign() * (bound / 3f64.sqrt()),
        }
    }

    /// The stream from which the weights at index `place` are drawn for a batch.
    fn rng(place: usize, context: StepContext) -> Rng {
        context.seed.stream("feedback", &[place as u64, context.key.epoch, context.key.index])
    }

    /// The layer with feedback weights.
    fn twin(&self, index: usize, layer: &AnyLayer, context: StepContext) -> AnyLayer {
        let (mut stored, mut rng) = (self.feedback[index].iter(), Self::rng(index, context));
        layer.clone().map(&mut Replace(|weight, bound| self.in_place_of(weight, bound, stored.next(), &mut rng)))
    }

    /// Lets the output layer learn. Returns the class scores and the error at the output of the last block.
    fn learn_output(&self, x: AnyActivation, pass: &mut Pass, context: StepContext, tape: &mut Tape) {
        let score = self.output.score(&Trace::from(x.detach()), &Labels(pass.labels.clone()));
        tape.backward(&score.loss, &self.output);
        if self.kind == FeedbackKind::KolenPollack {
            self.output.visit(&mut Teach { feedback: self.output_feedback.iter(), tape });
        }
        let Some(logits) = score.logits else { return };
        let logits = logits.detach();
        let [rows, classes] = logits.dims();
        let error = (softmax(logits.clone(), 1) - one_hot(&pass.labels, classes)) / rows as f64;
        let weight = self.output.projection.weight.val().detach();
        let ((_, bound), place) = (as_matrix(weight.dims()), self.feedback.len());
        let feedback = self.in_place_of(weight, bound, self.output_feedback.as_ref(), &mut Self::rng(place, context));
        pass.signals.put(ERROR, error.matmul(feedback.transpose()).detach());
        pass.logits = Some(logits.without_autodiff());
    }
}

impl Rule for FeedbackAlignment {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, network: &Network, batch: &Batch, context: StepContext, tape: &mut Tape) -> Pass {
        let (mut pass, mut x) = (Pass::of(batch), batch.inputs.clone());
        let (mut inputs, mut graphs, mut entries, mut feedback) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (index, block) in network.blocks().iter().enumerate() {
            let _in_block = InBlock::new(index);
            let input = leaf(x.clone());
            let halves =
                halves(block).and_then(|(layer, rest)| Some((layer, rest, layer.affine(input.clone().detach())?)));
            require(halves.is_some(), || Error::argument("feedback-alignment", "layers", block.describe(), HALVES));
            let Some((layer, rest, z)) = halves else { break };
            let entry = Tensor::zeros(z.features().shape(), &z.device()).require_grad();
            let h = layer.activate(z.with_features(z.features() + entry.clone())).output;
            x = rest.iter().fold(h, |x, layer| layer.forward(x));
            graphs.push(Trace::from(x.clone()));
            entries.push(Trace::from(AnyActivation::Features(entry)));
            // Below the first block there is nothing for an error to go to.
            let back = (index > 0).then(|| self.twin(index, layer, context).affine(input.clone())).flatten();
            feedback.push(back.map(Trace::from));
            inputs.push(input);
        }
        pass.signals.put(GRAPHS, graphs);
        pass.signals.put(ENTRIES, entries);
        pass.signals.put(FEEDBACK, Signal::Blocks(feedback));
        self.learn_output(x, &mut pass, context, tape);
        pass.streams = inputs.into_iter().rev().collect();
        pass
    }

    fn order(&self, blocks: usize) -> Vec<usize> {
        (0..blocks).rev().collect()
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let _in_block = InBlock::new(index);
        let [graph, entry, back] = [GRAPHS, ENTRIES, FEEDBACK].map(|name| pass.signals.take_block(name, index));
        let (Some(graph), Some(error)) = (graph, pass.signals.rows(ERROR).cloned()) else { return };
        let loss = (graph.output.features() * error).sum();
        let gradients = tape.backward(&loss, block);
        if self.kind == FeedbackKind::KolenPollack {
            block.visit(&mut Teach { feedback: self.feedback[index].iter(), tape });
        }
        tape.record(index, Score::from(loss));
        let input = pass.streams.remove(0);
        let dz = entry.and_then(|entry| gradient(&entry.output, &gradients));
        if let (Some(back), Some(dz)) = (back, dz) {
            let gradients = (back.output.features() * dz).sum().backward();
            if let Some(error) = gradient(&input, &gradients) {
                pass.signals.put(ERROR, error);
            }
        }
    }

    /// The error travels down in any case.
    fn advance(&self, index: usize, block: &Chain, pass: &mut Pass) {
        self.learn_block(index, block, pass, &mut Tape::new(()));
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

/// The same values as the start of a new graph that keeps their gradient.
fn leaf(x: AnyActivation) -> AnyActivation {
    match x.detach() {
        AnyActivation::Features(x) => AnyActivation::Features(x.require_grad()),
        AnyActivation::Maps(x) => AnyActivation::Maps(x.require_grad()),
        nodes @ AnyActivation::Nodes(_) => nodes,
    }
}

/// The gradient `[B, d]` of a [`leaf`], for use in another graph.
fn gradient(leaf: &AnyActivation, gradients: &Gradients) -> Option<Tensor<2>> {
    let gradient = match leaf {
        AnyActivation::Features(x) => x.grad(gradients)?,
        AnyActivation::Maps(x) => x.grad(gradients)?.features(),
        AnyActivation::Nodes(_) => return None,
    };
    Some(autodiff_leaf(gradient, &leaf.device()))
}

#[cfg(test)]
mod tests;
