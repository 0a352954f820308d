//! The block table: what a config's network looks like before it is trained.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::model::LocalModel;
use crate::erased::ErasedModule;

/// One block of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockPlan {
    /// Index, from 0.
    pub index: usize,
    /// Its layers.
    pub name: String,
    /// Shape of an output row.
    pub output: String,
    /// Parameters of the block.
    pub parameters: usize,
    /// Parameters of the rule that belong to this block.
    pub head_parameters: usize,
    /// Multiplications and additions of one sample's forward pass, counted as pairs.
    pub macs: usize,
    /// Bytes of activations that a batch leaves in this block while it learns.
    pub activation_bytes: usize,
}

/// The table for batches of `batch_size`.
pub fn plan(model: &LocalModel, batch_size: usize) -> Vec<BlockPlan> {
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
            parameters: block.num_params(),
            head_parameters: heads.get(index).copied().unwrap_or(0),
            macs: block.macs_per_row(),
            activation_bytes: block.activation_bytes_per_row() * batch_size,
        })
        .collect()
}

/// Parameters of a rule by block: those under `heads.<k>` and `feedback.<k>`; what belongs to no block (an output layer)
/// counts for the last.
fn head_parameters(model: &LocalModel) -> Vec<usize> {
    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::Tensor;
    struct Count {
        path: Vec<String>,
        blocks: Vec<usize>,
    }
    impl ModuleVisitor for Count {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let of_block = match self.path.first().map(String::as_str) {
                Some("heads" | "feedback") => self.path.get(1).and_then(|k| k.parse::<usize>().ok()),
                _ => None,
            };
            let last = self.blocks.len() - 1;
            self.blocks[of_block.unwrap_or(last).min(last)] += param.lazy_shape().num_elements();
        }
    }
    let mut count = Count { path: Vec::new(), blocks: vec![0; model.network.len()] };
    model.rule.erased_visit(&mut crate::erased::GenericVisitor(&mut count));
    count.blocks
}
