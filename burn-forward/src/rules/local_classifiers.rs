//! Local classifiers: a head on every block, each of which trains with its block and nothing else.
//!
//! Most local rules have this form and differ only in their heads: in one forward pass, every block learns from the loss of
//! its own head and passes its detached output on. [Deep supervision](super::DeepSupervisionConfig) is the same without
//! detaching.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::module::adaptive_avg_pool2d;

use super::head::head_of;
use super::{AnyHead, BlockRange, HeadReadout, HeadTargets, Pass, ReadoutExport, Rule, Scores, StepContext};
use crate::Result;
use crate::activation::{Activation, AnyActivation, RequiredRows};
use crate::block::{Block, Trace};
use crate::data::Batch;
use crate::error::InBlock;
use crate::local::learn;
use crate::network::{Chain, Network};
use crate::parameters::parameters;
use crate::pieces::normalisation::Normalisation;
use crate::pieces::projection::{HeadPool, ProjectedCrossEntropy};
use crate::random::Seed;
use crate::tape::{Labels, Score, Tape};

/// The operation on a block's detached output before it enters the next block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InterBlockNorm {
    /// The normaliser.
    pub normaliser: Normalisation,
    /// Number of contiguous groups of features (of channels, for maps) that are normalised separately. If it does not divide
    /// the number of features, all are normalised together.
    pub groups: usize,
}

impl InterBlockNorm {
    /// Applies the normalisation.
    pub fn forward(self, h: AnyActivation) -> AnyActivation {
        if self.normaliser == Normalisation::None {
            return h;
        }
        let x = h.features();
        let [rows, d] = x.dims();
        let channels = if let AnyActivation::Maps(maps) = &h { maps.dims()[1] } else { d };
        let groups = self.groups.max(1);
        let groups = if channels.is_multiple_of(groups) { groups } else { 1 };
        let normalised = self.normaliser.forward(x.reshape([rows * groups, d / groups]));
        h.with_features(normalised.reshape([rows, d]))
    }
}

/// How local classifiers are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassifierSettings {
    /// The blocks whose scores make the prediction.
    pub readout: HeadReadout,
    /// The operation between blocks.
    pub between: InterBlockNorm,
    /// Whether a block's input is added to its output, after conversion to the same shape without parameters.
    pub shortcut: bool,
    /// Whether heads receive the images.
    pub image: bool,
    /// Whether nothing is detached between blocks, so that every head's loss reaches all blocks below it (deep supervision).
    pub without_detach: bool,
}

impl ClassifierSettings {
    /// The input of the next block, from the input and the output of a block.
    fn next(self, input: Option<AnyActivation>, output: AnyActivation) -> AnyActivation {
        let output = self.between.forward(output);
        match input {
            Some(input) => add_shortcut(input, output),
            None => output,
        }
    }

    /// The input of a block, if it is needed after the block.
    fn kept(self, input: &AnyActivation) -> Option<AnyActivation> {
        self.shortcut.then(|| input.clone())
    }
}

/// The sum of `output` and `input`, whose maps are averaged over the output's grid and whose missing channels are zero.
fn add_shortcut(input: AnyActivation, output: AnyActivation) -> AnyActivation {
    match (input, output) {
        (AnyActivation::Maps(x), AnyActivation::Maps(y)) => {
            let [rows, channels, height, width] = y.dims();
            let x = adaptive_avg_pool2d(x, [height, width]);
            let present = x.dims()[1].min(channels);
            let sum = y.clone().narrow(1, 0, present) + x.narrow(1, 0, present);
            AnyActivation::Maps(match present == channels {
                true => sum,
                false => {
                    let rest = y.slice([0..rows, present..channels, 0..height, 0..width]);
                    Tensor::cat(vec![sum, rest], 1)
                }
            })
        }
        // Features have no grid to which the input could be averaged.
        (_, output) => output,
    }
}

/// A head on every block.
#[derive(Module, Debug)]
pub struct LocalClassifiers {
    heads: Vec<AnyHead>,
    #[module(skip)]
    settings: ClassifierSettings,
    #[module(skip)]
    smoothing: f64,
    /// The blocks that the readout of chosen blocks uses.
    #[module(skip)]
    chosen: BlockRange,
}

impl LocalClassifiers {
    /// One projection per block, with weights from the streams `head` and `output` of `seed`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if a block has no output features or `classes` is 0.
    pub fn new(
        network: &Network,
        classes: usize,
        bias: bool,
        pool: HeadPool,
        readout: HeadReadout,
        seed: Seed,
    ) -> Result<Self> {
        let heads = linear_heads(network, classes, bias, pool, seed)?.into_iter().map(AnyHead::new).collect();
        Ok(Self::of(heads, ClassifierSettings { readout, ..ClassifierSettings::default() }))
    }

    /// Arbitrary heads, one per block.
    pub fn of(heads: Vec<AnyHead>, settings: ClassifierSettings) -> Self {
        let chosen = BlockRange::all(heads.len());
        Self { heads, settings, smoothing: 0.0, chosen }
    }

    /// The same heads without detaching between blocks.
    #[must_use]
    pub fn without_detach(mut self) -> Self {
        self.settings.without_detach = true;
        self
    }

    /// One backward pass of the sum of all heads' losses through the whole network.
    fn learn_together(&self, network: &Network, pass: &mut Pass, tape: &mut Tape) {
        let mut streams = std::mem::take(&mut pass.streams).into_iter();
        let Some(mut x) = streams.next() else { return };
        let image = streams.next();
        let targets = self.targets(pass, image.clone());
        let mut scores: Vec<Score> = Vec::with_capacity(network.len());
        for (index, block) in network.blocks().iter().enumerate() {
            let _in_block = InBlock::new(index);
            let kept = self.settings.kept(&x);
            let trace = Trace::from(block.forward(x));
            scores.push(head_of(&self.heads, index).score(&trace, &targets));
            x = self.settings.next(kept, trace.output);
        }
        if let Some(total) = scores.iter().map(|score| score.loss.clone()).reduce(|sum, loss| sum + loss) {
            tape.backward_pair(&total, network, &self.heads);
        }
        for (index, score) in scores.into_iter().enumerate() {
            tape.record(index, score);
        }
        pass.streams = std::iter::once(x.detach()).chain(image).collect();
        pass.logits = tape.records().last().and_then(|r| r.score.logits.clone());
    }

    fn targets(&self, pass: &Pass, image: Option<AnyActivation>) -> HeadTargets {
        HeadTargets { labels: Labels(pass.labels.clone()), image, smoothing: self.smoothing }
    }
}

/// One projection per block, on the device of the network.
///
/// # Errors
/// [`crate::Error::Argument`] if a block has no output features or `classes` is 0.
pub(super) fn linear_heads(
    network: &Network,
    classes: usize,
    bias: bool,
    pool: HeadPool,
    seed: Seed,
) -> Result<Vec<ProjectedCrossEntropy>> {
    (0..network.len()).map(|i| linear_head(network, i, classes, bias, pool, seed)).collect()
}

/// The projection of block `index`. That of the last block is the output layer of the network under every rule. It uses maps
/// without pooling and is drawn from a separate stream, so that back-propagation and local rules start from the same output
/// layer.
///
/// # Errors
/// [`crate::Error::Argument`] if the block has no output features or `classes` is 0.
pub fn linear_head(
    network: &Network,
    index: usize,
    classes: usize,
    bias: bool,
    pool: HeadPool,
    seed: Seed,
) -> Result<ProjectedCrossEntropy> {
    let device = network.device();
    let last = index + 1 == network.len();
    let (pool, mut rng) = match last {
        true => (HeadPool::FULL, seed.stream("output", &[])),
        false => (pool, seed.stream("head", &[index as u64])),
    };
    ProjectedCrossEntropy::of(network.blocks()[index].output(), pool, classes, bias, &mut rng, &device)
}

impl Rule for LocalClassifiers {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, _: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        let mut pass = Pass::of(batch);
        if self.settings.image {
            pass.streams.push(batch.inputs.clone());
        }
        pass
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let mut streams = std::mem::take(&mut pass.streams).into_iter();
        let Some(input) = streams.next() else { return };
        let image = streams.next();
        let targets = self.targets(pass, image.clone());
        let kept = self.settings.kept(&input);
        let output = learn(block, head_of(&self.heads, index), index, input, &targets, tape);
        pass.streams = std::iter::once(self.settings.next(kept, output)).chain(image).collect();
        pass.logits = tape.records().last().and_then(|r| r.score.logits.clone());
    }

    fn learn(&self, network: &Network, pass: &mut Pass, _: StepContext, tape: &mut Tape) {
        if self.settings.without_detach {
            return self.learn_together(network, pass, tape);
        }
        for (index, block) in network.blocks().iter().enumerate() {
            self.learn_block(index, block, pass, tape);
        }
    }

    fn advance(&self, _: usize, block: &Chain, pass: &mut Pass) {
        if let Some(stream) = pass.streams.first_mut() {
            let kept = self.settings.kept(stream);
            *stream = self.settings.next(kept, block.forward(stream.clone()).detach());
        }
    }

    fn required_rows(&self, stream: &AnyActivation) -> Option<RequiredRows> {
        stream.labelled_rows().map(|rows| RequiredRows::new(rows, []))
    }

    /// Runs block by block, so that no more than one block's output is held in memory.
    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        let mut x = inputs;
        let mut all: Vec<Tensor<2>> = Vec::with_capacity(network.len());
        for (index, block) in network.blocks().iter().enumerate() {
            let kept = self.settings.kept(&x);
            let h = block.forward(x);
            all.push(head_of(&self.heads, index).scores(&h));
            x = self.settings.next(kept, h);
        }
        Scores::of_heads(all, self.settings.readout, self.chosen)
    }

    fn activities(&self, network: &Network, batch: &Batch) -> Vec<AnyActivation> {
        let mut x = batch.inputs.clone();
        let mut outputs = Vec::with_capacity(network.len());
        for block in network.blocks() {
            let kept = self.settings.kept(&x);
            let h = block.forward(x);
            outputs.push(h.clone());
            x = self.settings.next(kept, h);
        }
        outputs
    }

    fn set_label_smoothing(&mut self, smoothing: f64) -> bool {
        self.smoothing = smoothing;
        true
    }

    fn readout_blocks(&self) -> Option<BlockRange> {
        (self.settings.readout == HeadReadout::Sip).then_some(self.chosen)
    }

    fn set_readout_blocks(&mut self, blocks: BlockRange) {
        self.chosen = blocks.clamped_to(self.heads.len());
    }

    fn normalised_values_per_row(&self) -> Option<usize> {
        self.heads.iter().filter_map(|head| head.normalised_values_per_row()).min()
    }

    fn output_head(&self) -> Option<ProjectedCrossEntropy> {
        self.heads.last().and_then(|head| head.linear())
    }

    fn export(&self, network: &Network) -> ReadoutExport {
        export_heads(&self.heads[..network.len().min(self.heads.len())], self.settings.readout, self.chosen)
    }
}

/// The heads that inference needs: the last one, all of them, or those of `chosen` blocks. Heads that are not linear cannot
/// be exported.
pub(super) fn export_heads(heads: &[AnyHead], readout: HeadReadout, chosen: BlockRange) -> ReadoutExport {
    let BlockRange { first, last } = match readout {
        HeadReadout::Sip => chosen.clamped_to(heads.len()),
        _ => BlockRange::all(heads.len()),
    };
    let heads = &heads[first..=last];
    // In a network that ends with it, a single chosen block is the last one.
    let readout = if readout == HeadReadout::Sip && first == last { HeadReadout::Last } else { readout };
    let linear: Vec<Option<ProjectedCrossEntropy>> = heads.iter().map(|h| h.linear()).collect();
    let pool = |h: &ProjectedCrossEntropy| serde_json::to_value(h.pool()).unwrap_or_default();
    let entry = |name: &str, h: &ProjectedCrossEntropy| {
        let bias = h.projection.bias.as_ref().map(|b| b.val().into_data());
        (name.to_string(), h.projection.weight.val().into_data(), bias)
    };
    let (description, linears) = match (readout, linear.iter().cloned().collect::<Option<Vec<_>>>()) {
        (HeadReadout::Last, _) => match linear.last() {
            Some(Some(head)) => {
                let mut description = serde_json::json!({"kind": "linear", "name": "head"});
                if head.pool() != HeadPool::FULL {
                    description["pool"] = pool(head);
                }
                (description, vec![entry("head", head)])
            }
            _ => (serde_json::json!({"kind": "none"}), Vec::new()),
        },
        (_, Some(all)) => {
            let names: Vec<String> = (first..=last).map(|i| format!("heads.{i}")).collect();
            let pools: Vec<_> = all.iter().map(pool).collect();
            let linears = names.iter().zip(&all).map(|(name, head)| entry(name, head)).collect();
            let kind = match readout {
                HeadReadout::Weighted => "weighted-linear",
                HeadReadout::Mean | HeadReadout::Sip => "mean-linear",
                _ => "sum-linear",
            };
            let mut description = serde_json::json!({"kind": kind, "names": names});
            if first > 0 {
                description["first_block"] = first.into();
            }
            if all.iter().any(|head| head.pool() != HeadPool::FULL) {
                description["pools"] = pools.into();
            }
            (description, linears)
        }
        (_, None) => (serde_json::json!({"kind": "none"}), Vec::new()),
    };
    let read = if readout == HeadReadout::Last { &heads[heads.len() - 1..] } else { heads };
    let unwritten = if linears.is_empty() { read.iter().map(parameters).sum() } else { 0 };
    ReadoutExport { description, linears, matrices: Vec::new(), unwritten }
}
