//! How a rule's updates compare with back-propagation, and whether they are local.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::data::Batch;
use crate::rules::BackpropConfig;
use crate::tape::Tape;
use crate::training::LocalModel;

/// A block's update beside the back-propagation gradient of the same batch at the same weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// Block, from 0.
    pub index: usize,
    /// Angle between the two, all parameters of the block as one vector; 90 degrees is unrelated.
    pub angle_degrees: f64,
    /// Length of the local update over that of the gradient.
    pub norm_ratio: f64,
}

/// Compares the update of every block with the back-propagation gradient of the same batch.
///
/// The comparison net is the model's own blocks with a fresh output layer of back-propagation's, drawn as at the start
/// of a run, except that a rule whose last head is a classifier lends it: then the angle of the last block is that
/// between a local and a global gradient of one loss.
///
/// # Errors
/// [`crate::Error::Argument`] if no output layer fits the network.
pub fn audit(model: &LocalModel, batch: &Batch, seed: crate::random::Seed) -> Result<Vec<Alignment>> {
    let context = model.context(batch);
    let batch = &model.enter_batch(batch);
    let mut local = Tape::new(());
    model.rule.step(&model.network, batch, context, &mut local);
    let (local, _) = local.into_parts();

    let teacher = match model.rule.output_head() {
        Some(head) => head,
        None => {
            let width = model.network.blocks().last().map_or(0, |b| crate::network::Chain::output(b).len());
            let device = batch.targets.device();
            let bias = BackpropConfig::default().bias;
            crate::ProjectedCrossEntropy::new(width, batch.classes, bias, &mut seed.stream("output", &[]), &device)?
        }
    };
    let output = model.network.forward(batch.inputs.clone());
    let loss = crate::pair_loss::cross_entropy(teacher.scores(&output), batch.targets.clone());
    let mut gradients = loss.backward();
    let global = GradientsParams::from_module(&mut gradients, &model.network);

    Ok(model
        .network
        .blocks()
        .iter()
        .enumerate()
        .map(|(index, block)| {
            let mut products = Products { local: &local, global: &global, dot: 0.0, local2: 0.0, global2: 0.0 };
            block.visit(&mut products);
            let (l, g) = (products.local2.sqrt(), products.global2.sqrt());
            // NaN stays NaN: unrelated would be a finding.
            let cosine = if l == 0.0 || g == 0.0 { 0.0 } else { (products.dot / (l * g)).clamp(-1.0, 1.0) };
            Alignment {
                index,
                angle_degrees: cosine.acos().to_degrees(),
                norm_ratio: if g > 0.0 { l / g } else { f64::NAN },
            }
        })
        .collect())
}

/// Inner products of two sets of gradients over one block.
struct Products<'a> {
    local: &'a GradientsParams,
    global: &'a GradientsParams,
    dot: f64,
    local2: f64,
    global2: f64,
}

impl ModuleVisitor for Products<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let (Some(l), Some(g)) = (self.local.get::<D>(param.id), self.global.get::<D>(param.id)) {
            self.dot += (l.clone() * g.clone()).sum().into_scalar::<f64>();
            self.local2 += l.square().sum().into_scalar::<f64>();
            self.global2 += g.square().sum().into_scalar::<f64>();
        }
    }
}
