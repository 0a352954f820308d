//! Compares a rule's updates with back-propagation, and tells whether they are local.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use burn_forward::Result;
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::network::{Chain, Network};
use burn_forward::rules::BackpropConfig;
use burn_forward::tape::Tape;

/// A block's update compared with the back-propagation gradient of the same batch and the same weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// Index of the block, from 0.
    pub index: usize,
    /// Angle between the two in degrees, from 0 to 180, with all parameters of the block as one vector. Unrelated
    /// directions have an angle of 90 degrees. `None` if one of the two is zero.
    pub angle_degrees: Option<f64>,
    /// Norm of the local update divided by that of the gradient; `None` if the gradient is zero.
    pub norm_ratio: Option<f64>,
}

/// Compares the update of every block with the back-propagation gradient of the same batch. For a rule that takes
/// several optimiser steps per batch, the update is that of the first step in which every block learns, at the current
/// weights.
///
/// The gradient is that of the cross-entropy after the rule's own [pass](burn_forward::rules::Rule::activities). It
/// thus includes whatever the rule adds to the inputs or between blocks. The dropout masks are those of the rule's step
/// if both pass the same rows through the network. The classifier is the
/// [rule's own](burn_forward::rules::Rule::classify); a rule without one gets a new output layer, initialised as at the
/// start of a run with back-propagation.
///
/// # Errors
/// [`burn_forward::Error::Argument`] if no output layer fits the network.
pub fn audit(model: &LocalModel, batch: &Batch, seed: burn_forward::random::Seed) -> Result<Vec<Alignment>> {
    let context = model.context(batch);
    let entered = model.forward_frozen_batch(batch);
    let mut tape = Tape::new(());
    let mut pass = model.rule.begin(&model.network, &entered, context, &mut tape);
    let mut steps = Vec::new();
    for _ in 0..model.rule.rounds().max(1) {
        model.rule.learn(&model.network, &mut pass, context, &mut tape);
        steps.push(std::mem::replace(&mut tape, Tape::new(())).into_parts().0);
    }
    drop(pass);

    // Reset the device so that it draws the masks of the step again.
    model.context(batch);
    let outputs = model.rule.activities(&model.network, &entered);
    let output = outputs.last().unwrap_or(&entered.inputs);
    let scores = match model.rule.classify(output) {
        Some(scores) => scores,
        None => {
            let width = model.network.blocks().last().map_or(0, |b| Chain::output(b).len());
            let device = batch.targets.device();
            let bias = BackpropConfig::default().bias;
            let rng = &mut seed.stream("output", &[]);
            burn_forward::ProjectedCrossEntropy::new(width, batch.classes, bias, rng, &device)?.scores(output)
        }
    };
    let mut gradients = burn_forward::pieces::pair_loss::cross_entropy(scores, batch.targets.clone()).backward();
    let global = GradientsParams::from_module(&mut gradients, &model.network);

    let compared = steps.iter().map(|local| compare(&model.network, local, &global));
    let mut compared: Vec<Vec<Alignment>> = compared.collect();
    let step = compared.iter().position(|blocks| blocks.iter().all(|block| block.angle_degrees.is_some()));
    Ok(compared.swap_remove(step.unwrap_or(0)))
}

/// Compares the update of every block with the gradient.
fn compare(network: &Network, local: &GradientsParams, global: &GradientsParams) -> Vec<Alignment> {
    let of_block = |(index, block): (usize, &Chain)| {
        let mut products = Products { local, global, dot: 0.0, local2: 0.0, global2: 0.0 };
        block.visit(&mut products);
        let (l, g) = (products.local2.sqrt(), products.global2.sqrt());
        // NaN stays NaN: zero would look like a result.
        let angle = || (products.dot / (l * g)).clamp(-1.0, 1.0).acos().to_degrees();
        Alignment { index, angle_degrees: (l != 0.0 && g != 0.0).then(angle), norm_ratio: (g != 0.0).then(|| l / g) }
    };
    network.blocks().iter().enumerate().map(of_block).collect()
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
