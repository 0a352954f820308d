//! Trifecta: Forward-Forward for feature maps, with three changes that make it work in deep networks.
//!
//! Dooms, Tsang and Oramas 2023, arXiv 2311.18130. The label enters as an additional channel of the image, with a learned map
//! per class. The goodness of a block is `g = mean h^2` over all its features. Positive and negative samples are the same
//! images with their true and with a wrong label. The three changes are the SymBa loss `softplus(-alpha (g+ - g-))` (arXiv
//! 2303.08418), batch normalisation in the network, and overlapping local updates: pairs of neighbouring blocks share a
//! gradient, and the pairs alternate from step to step, so that gradients cross every block border in one of two steps.
//!
//! The prediction is the label with the highest goodness in the last block, after one pass per label.
//!
//! What we do differently: batch normalisation is where the network has it (after the convolution in ours); wrong labels are
//! drawn uniformly.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::{Block, Trace};
use burn_forward::data::Batch;
use burn_forward::init::Init;
use burn_forward::local::{LocalLoss, learn_from_trace};
use burn_forward::network::{Chain, Network};
use burn_forward::pieces::goodness::Goodness;
use burn_forward::pieces::label::one_hot;
use burn_forward::pieces::negatives;
use burn_forward::pieces::pair_loss::PairLoss;
use burn_forward::random::Seed;
use burn_forward::rules::{AnyRule, Pass, Reach, ReadoutExport, Rule, RuleSpec, Scores, StepContext};
use burn_forward::tape::{Score, Tape};
use burn_forward::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `trifecta`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `alpha` | 4 | > 0 | slope of the SymBa loss |
/// | `overlap` | true | | overlapping local updates; without them, no gradient crosses a block border |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TrifectaConfig {
    /// Slope of the SymBa loss.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub alpha: f64,
    /// Whether local updates overlap.
    pub overlap: bool,
}

impl Default for TrifectaConfig {
    fn default() -> Self {
        Self { alpha: 4.0, overlap: true }
    }
}

impl RuleSpec for TrifectaConfig {
    fn reach(&self) -> Reach {
        if self.overlap { Reach::Gradients } else { Reach::Nothing }
    }

    fn greedy(&self) -> Result<(), String> {
        match self.overlap {
            true => Err("overlapping updates train neighbouring blocks together; set $.rule.overlap to false".into()),
            false => Ok(()),
        }
    }

    fn cacheable(&self) -> Result<(), String> {
        Err(negatives::NEGATIVES_DRAWN_ANEW.into())
    }

    fn input(&self, images: RowShape) -> RowShape {
        match images {
            RowShape::Maps { channels, height, width } => RowShape::Maps { channels: channels + 1, height, width },
            other => other,
        }
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        let Some(RowShape::Maps { height, width, .. }) = network.input() else {
            return Err(Error::argument(
                "trifecta",
                "input of the network",
                "not an image",
                "images: the label is a channel",
            ));
        };
        if classes < 2 {
            return Err(Error::argument(
                "trifecta",
                "number of classes",
                classes,
                ">= 2, since otherwise no label is wrong",
            ));
        }
        let device = network.device();
        let labels = Init::Normal(1.0).draw([classes, height * width], &mut seed.stream("label", &[]), &device)?;
        let head = |label| GoodnessHead { label, alpha: self.alpha };
        let first = head(Some(Param::from_tensor(labels)));
        let heads = std::iter::once(first).chain((1..network.len()).map(|_| head(None))).collect();
        Ok(AnyRule::new(Trifecta { heads, classes, overlap: self.overlap }))
    }
}

/// The goodness of a block. The head of the first block contains the label maps, which learn with it.
#[derive(Module, Debug)]
struct GoodnessHead {
    /// One map per class `[C, H W]`.
    label: Option<Param<Tensor<2>>>,
    #[module(skip)]
    alpha: f64,
}

impl LocalLoss<(), AnyActivation> for GoodnessHead {
    /// The first half of the rows are positive samples, and the second half are their negatives in the same order.
    fn score(&self, trace: &Trace<AnyActivation>, _: &()) -> Score {
        let h = trace.output.features();
        let rows = h.rows();
        let g = Goodness::MeanSquares.of(h);
        let (positive, negative) = (g.clone().narrow(0, 0, rows / 2), g.narrow(0, rows / 2, rows / 2));
        let loss = PairLoss::Symba { alpha: self.alpha }.forward(positive.clone(), negative.clone(), 1.0);
        Score { goodness_positive: Some(positive), goodness_negative: Some(negative), ..Score::from(loss) }
    }
}

/// The goodness of every block, with the label maps.
#[derive(Module, Debug)]
struct Trifecta {
    heads: Vec<GoodnessHead>,
    #[module(skip)]
    classes: usize,
    #[module(skip)]
    overlap: bool,
}

impl Trifecta {
    /// Adds the maps of the labels, given as one-hot rows `[B, classes]`, to images `[B, C, H, W]` as an additional channel.
    fn inject(&self, images: &AnyActivation, labels: Tensor<2>) -> AnyActivation {
        match (images, self.heads.first().and_then(|head| head.label.as_ref())) {
            (AnyActivation::Maps(x), Some(maps)) => {
                let [rows, _, height, width] = x.dims();
                let channel = labels.matmul(maps.val()).reshape([rows, 1, height, width]);
                AnyActivation::Maps(Tensor::cat(vec![x.clone(), channel], 1))
            }
            _ => images.clone(),
        }
    }

    /// The input of block `index`; for the first block, images with right labels followed by images with wrong labels.
    fn entering(&self, index: usize, pass: &Pass) -> AnyActivation {
        let parts = pass.streams.iter().map(|stream| stream.features()).collect();
        let stream = pass.streams[0].with_features(Tensor::cat(parts, 0));
        match (index, pass.signals.classes(NEGATIVES)) {
            (0, Some(wrong)) => {
                let rows = stream.features();
                let both = stream.with_features(Tensor::cat(vec![rows.clone(), rows], 0)).detach();
                let labels = Tensor::cat(vec![pass.labels.clone(), wrong.clone()], 0);
                self.inject(&both, one_hot(&labels, self.classes))
            }
            _ => stream.detach(),
        }
    }
}

/// Splits positive and negative rows into two streams.
fn halves(both: &AnyActivation) -> Vec<AnyActivation> {
    let features = both.features();
    let rows = features.dims()[0] / 2;
    [0, rows].map(|start| both.with_features(features.clone().narrow(0, start, rows))).into()
}

/// The labels of the negative samples `[B]`.
const NEGATIVES: &str = "negatives";

impl Rule for Trifecta {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, _: &Network, batch: &Batch, context: StepContext, _: &mut Tape) -> Pass {
        let mut pass = Pass::of(batch);
        let labels: Vec<i64> = batch.targets.to_data().iter::<i64>().collect();
        let mut rng = context.seed.stream("negatives", &[context.key.epoch, context.key.index]);
        let wrong = negatives::wrong(&labels, self.classes, &mut rng);
        let rows = wrong.len();
        let wrong = Tensor::<1, Int>::from_data(TensorData::new(wrong, [rows]), &batch.targets.device());
        pass.signals.put(NEGATIVES, wrong);
        pass
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let trace = block.forward(self.entering(index, pass)).into();
        pass.streams = halves(&learn_from_trace(block, &self.heads[index], index, trace, &(), tape));
    }

    fn advance(&self, index: usize, block: &Chain, pass: &mut Pass) {
        pass.streams = halves(&block.forward(self.entering(index, pass)).detach());
    }

    /// With overlap, blocks learn in pairs: first and second, third and fourth, and so on in even steps; the first alone, then
    /// second and third, and so on in odd steps.
    fn learn(&self, network: &Network, pass: &mut Pass, context: StepContext, tape: &mut Tape) {
        let blocks = network.blocks();
        let mut index = 0;
        while index < blocks.len() {
            let alone = !self.overlap || (index == 0 && context.key.step % 2 == 1) || index + 1 == blocks.len();
            if alone {
                self.learn_block(index, &blocks[index], pass, tape);
                index += 1;
                continue;
            }
            let first = Trace::from(blocks[index].forward(self.entering(index, pass)));
            let own = self.heads[index].score(&first, &());
            let second = Trace::from(blocks[index + 1].forward(first.output));
            let next = self.heads[index + 1].score(&second, &());
            let pair = vec![blocks[index].clone(), blocks[index + 1].clone()];
            tape.backward_pair(&(own.loss.clone() + next.loss.clone()), &pair, &self.heads[index]);
            tape.record(index, own);
            tape.record(index + 1, next);
            pass.streams = halves(&second.output.detach());
            index += 2;
        }
    }

    /// Runs one pass per label, so that the maps of only one label are in memory at a time.
    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        let (rows, device) = (inputs.rows(), inputs.device());
        let mut blocks: Vec<Vec<Tensor<2>>> = vec![Vec::new(); network.len()];
        for class in 0..self.classes {
            let label = Tensor::<1, Int>::full([rows], class as i64, &device);
            let mut x = self.inject(&inputs, one_hot(&label, self.classes));
            for (block, goodness) in network.blocks().iter().zip(&mut blocks) {
                x = block.forward(x);
                goodness.push(Goodness::MeanSquares.of(x.features()).reshape([rows, 1]));
            }
        }
        let blocks: Vec<Tensor<2>> = blocks.into_iter().map(|parts| Tensor::cat(parts, 1)).collect();
        let sum = blocks.iter().skip(1).fold(blocks[0].clone(), |a, b| a + b.clone());
        let readouts = vec![("energy", blocks[blocks.len() - 1].clone()), ("energy-all", sum)];
        Scores { blocks: blocks.into_iter().map(Some).collect(), readouts, primary: 0 }
    }

    fn activities(&self, network: &Network, batch: &Batch) -> Vec<AnyActivation> {
        network.forward_all(self.inject(&batch.inputs, one_hot(&batch.targets, self.classes)))
    }

    fn export(&self, _: &Network) -> ReadoutExport {
        let maps = self.heads.first().and_then(|head| Some(head.label.as_ref()?.val().into_data()));
        let description = serde_json::json!({
            "kind": "energy",
            "classes": self.classes,
            "label": {"kind": "channel", "name": "labels.0"},
            "goodness": Goodness::MeanSquares,
            "first_layer": "last block",
        });
        let matrices = maps.map(|maps| ("labels.0".to_string(), maps)).into_iter().collect();
        ReadoutExport { description, matrices, ..ReadoutExport::default() }
    }
}
