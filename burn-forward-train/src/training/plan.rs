//! The block table: a config's network before it is trained.

use std::collections::BTreeMap;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use burn_forward::model::LocalModel;
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward::parameters::{Owner, each_parameter, parameters};

/// One row of the block table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockPlan {
    /// Index of the block, from 0.
    pub index: usize,
    /// Names of its layers.
    pub name: String,
    /// Shape of an output row.
    pub output: String,
    /// Parameters of the block.
    pub parameters: usize,
    /// Parameters of the block by the optimiser that updates them, if there are several optimisers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub optimizers: BTreeMap<String, usize>,
    /// Parameters of the rule that belong to this block.
    pub head_parameters: usize,
    /// Multiply-accumulate operations of the forward pass of one sample.
    pub macs: usize,
    /// Bytes of activations that a batch keeps in this block while it learns.
    pub activation_bytes: usize,
}

/// The block table for batches of `batch_size` samples.
pub fn plan(model: &LocalModel, optimizer: &OptimizerConfig, batch_size: usize) -> Vec<BlockPlan> {
    let heads = head_parameters(model);
    model
        .network
        .blocks()
        .iter()
        .enumerate()
        .map(|(index, block)| BlockPlan {
            index,
            name: block.describe(),
            output: block.output().to_string(),
            parameters: parameters(block),
            optimizers: optimizers(block, optimizer),
            head_parameters: heads.get(index).copied().unwrap_or(0),
            macs: block.macs_per_row(),
            activation_bytes: block.activation_bytes_per_row() * batch_size,
        })
        .collect()
}

/// Parameters of a block by optimiser; empty if one optimiser updates all.
fn optimizers(block: &impl Module, optimizer: &OptimizerConfig) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    if optimizer.name == OptimizerName::Muon {
        each_parameter(block, |path, elements| {
            *found.entry(optimizer.of_network(path).name().to_string()).or_default() += elements;
        });
    }
    found
}

/// Parameters of a rule by the block they [belong to](Owner). Those that belong to no block (an output layer) are
/// counted with the last one.
fn head_parameters(model: &LocalModel) -> Vec<usize> {
    let mut blocks = vec![0; model.network.len()];
    let last = blocks.len() - 1;
    each_parameter(&model.rule, |path, elements| {
        let owner = Owner::of(&format!("rule.{}", path.join(".")));
        blocks[owner.and_then(Owner::block).unwrap_or(last).min(last)] += elements;
    });
    blocks
}

/// Number of parameters that inference needs (network and readout), and of those used for training alone.
pub fn parameter_counts(model: &LocalModel) -> (usize, usize) {
    let all = parameters(model);
    let model = model.with_readout_blocks_only();
    let export = model.rule.export(&model.network);
    let elements = |d: &burn::tensor::TensorData| d.num_elements();
    let readout: usize = export
        .linears
        .iter()
        .map(|(_, w, b)| elements(w) + b.as_ref().map_or(0, elements))
        .chain(export.matrices.iter().map(|(_, m)| elements(m)))
        .sum();
    let inference = parameters(&model.frozen) + parameters(&model.network) + readout + export.unwritten;
    (inference, all.saturating_sub(inference))
}

/// Bytes of a model's weights.
pub fn weight_bytes(model: &LocalModel) -> u64 {
    (model.num_params() * size_of::<f32>()) as u64
}
