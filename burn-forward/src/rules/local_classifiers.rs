//! Local classifiers: a head on every block, each trained with its block and on nothing else.
//!
//! The rule that most local rules are, with the head as the only difference between them: one forward pass; every block
//! learns from its own head's loss and passes its detached output on.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{AnyHead, HeadReadout, Pass, ReadoutExport, Rule, Scores, StepContext, Teaching};
use crate::Result;
use crate::activation::{Activation, AnyActivation};
use crate::block::Block;
use crate::data::Batch;
use crate::local::learn;
use crate::network::{Chain, Network};
use crate::normalise::Normaliser;
use crate::projection::{HeadPool, ProjectedCrossEntropy};
use crate::random::Seed;
use crate::tape::{Labels, Tape};

/// What is done to a block's detached output before the next block reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Between {
    /// The normaliser.
    pub normaliser: Normaliser,
    /// Contiguous groups of features (of channels, for maps) that are normalised each for itself; 0 and 1: all together.
    pub groups: usize,
}

impl Between {
    /// Applies it.
    pub fn forward(self, h: AnyActivation) -> AnyActivation {
        if self.normaliser == Normaliser::None {
            return h;
        }
        let x = h.features();
        let [rows, d] = x.dims();
        let groups = self.groups.max(1);
        let normalised = self.normaliser.forward(x.reshape([rows * groups, d / groups]));
        h.with_features(normalised.reshape([rows, d]))
    }
}

/// How local classifiers work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassifierSettings {
    /// Which blocks' scores make the prediction.
    pub readout: HeadReadout,
    /// What is done between blocks.
    pub between: Between,
    /// Whether heads are given the images.
    pub image: bool,
}

/// A head on every block.
#[derive(Module, Debug)]
pub struct LocalClassifiers {
    heads: Vec<AnyHead>,
    #[module(skip)]
    settings: ClassifierSettings,
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

    /// Any heads, one per block.
    pub fn of(heads: Vec<AnyHead>, settings: ClassifierSettings) -> Self {
        Self { heads, settings }
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

/// The projection of block `index`. The last block's is the output layer of the network under every rule: it reads maps
/// as they are, and is drawn from a stream of its own, so that back-propagation and local rules start from the same one.
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
    let device = super::registry::device_of(network);
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
        let teaching = Teaching { labels: Labels(pass.labels.clone()), image: image.clone() };
        let output = learn(block, &self.heads[index], index, input, &teaching, tape);
        pass.streams = std::iter::once(self.settings.between.forward(output)).chain(image).collect();
        pass.logits = tape.records().last().and_then(|r| r.score.logits.clone());
    }

    fn advance(&self, _: usize, block: &Chain, pass: &mut Pass) {
        if let Some(stream) = pass.streams.first_mut() {
            *stream = self.settings.between.forward(block.forward(stream.clone()).detach());
        }
    }

    /// Block by block, so that no more than one block's output is held.
    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        let mut x = inputs;
        let mut all: Vec<Tensor<2>> = Vec::with_capacity(network.len());
        for (block, head) in network.blocks().iter().zip(&self.heads) {
            let h = block.forward(x);
            all.push(head.scores(&h));
            x = self.settings.between.forward(h);
        }
        Scores::of_heads(all, self.settings.readout)
    }

    fn activities(&self, network: &Network, batch: &Batch) -> Vec<AnyActivation> {
        let mut x = batch.inputs.clone();
        let mut outputs = Vec::with_capacity(network.len());
        for block in network.blocks() {
            let h = block.forward(x);
            outputs.push(h.clone());
            x = self.settings.between.forward(h);
        }
        outputs
    }

    fn output_head(&self) -> Option<ProjectedCrossEntropy> {
        self.heads.last().and_then(|head| head.linear())
    }

    fn export(&self, network: &Network) -> ReadoutExport {
        export_heads(&self.heads[..network.len().min(self.heads.len())], self.settings.readout)
    }
}

/// The heads that inference needs: the last one, or all. Heads that are not linear have no place in an exported file.
pub(super) fn export_heads(heads: &[AnyHead], readout: HeadReadout) -> ReadoutExport {
    let linear: Vec<Option<ProjectedCrossEntropy>> = heads.iter().map(|h| h.linear()).collect();
    let pool = |h: &ProjectedCrossEntropy| serde_json::to_value(h.pool()).unwrap_or_default();
    let entry = |name: &str, h: &ProjectedCrossEntropy| {
        let bias = h.projection.bias.as_ref().map(|b| b.val().into_data());
        (name.to_string(), h.projection.weight.val().into_data(), bias)
    };
    let (description, linears) = match (readout, linear.iter().cloned().collect::<Option<Vec<_>>>()) {
        (HeadReadout::Last, _) => match linear.last() {
            Some(Some(head)) => {
                let description = serde_json::json!({"kind": "linear", "name": "head", "pool": pool(head)});
                (description, vec![entry("head", head)])
            }
            _ => (serde_json::json!({"kind": "none"}), Vec::new()),
        },
        (_, Some(all)) => {
            let names: Vec<String> = (0..all.len()).map(|i| format!("heads.{i}")).collect();
            let pools: Vec<_> = all.iter().map(pool).collect();
            let linears = names.iter().zip(&all).map(|(name, head)| entry(name, head)).collect();
            let kind = match readout {
                HeadReadout::Weighted => "weighted-linear",
                HeadReadout::Mean => "mean-linear",
                _ => "sum-linear",
            };
            (serde_json::json!({"kind": kind, "names": names, "pools": pools}), linears)
        }
        (_, None) => (serde_json::json!({"kind": "none"}), Vec::new()),
    };
    ReadoutExport { description, linears, matrices: Vec::new() }
}
