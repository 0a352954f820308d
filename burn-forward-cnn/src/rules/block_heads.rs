//! The heads of a network, one per block.

use burn_forward::Result;
use burn_forward::activation::RowShape;
use burn_forward::network::Network;
use burn_forward::pieces::projection::HeadPool;
use burn_forward::random::Seed;
use burn_forward::rules::{AnyHead, linear_head};

use crate::module_init::ModuleInit;

/// One head per block, drawn from the stream `head`. `head` is called with the index of the block and the shape of its output.
/// If it returns none, the block gets the projection of Mono-Forward, which for the last block is the output layer of the
/// network.
pub(super) fn heads_of(
    network: &Network,
    classes: usize,
    seed: Seed,
    head: impl Fn(usize, RowShape, &mut ModuleInit<'_>) -> Result<Option<AnyHead>>,
) -> Result<Vec<AnyHead>> {
    let device = network.device();
    let mut heads = Vec::with_capacity(network.len());
    for (index, block) in network.blocks().iter().enumerate() {
        let mut init = ModuleInit::from(seed, "head", index as u64, &device);
        heads.push(match head(index, block.output(), &mut init)? {
            Some(head) => head,
            None => AnyHead::new(linear_head(network, index, classes, true, HeadPool::default(), seed)?),
        });
    }
    Ok(heads)
}
