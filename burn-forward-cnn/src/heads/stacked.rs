//! A head on layers of its own.

use burn::module::Module;
use burn::tensor::Tensor;
use burn_forward::activation::AnyActivation;
use burn_forward::block::{Block, Trace};
use burn_forward::network::{AnyLayer, Chain};
use burn_forward::rules::{AnyHead, Head, HeadTargets};
use burn_forward::tape::Score;

/// Any head, on what layers that are trained with it, an auxiliary network, make of the block's output.
#[derive(Module, Debug)]
pub struct StackedHead {
    layers: Chain,
    head: AnyHead,
}

/// `head` after `layers`; where there are none, `head` itself.
pub fn stacked_head(layers: Vec<AnyLayer>, head: AnyHead) -> AnyHead {
    if layers.is_empty() { head } else { AnyHead::new(StackedHead { layers: Chain::new(layers), head }) }
}

impl Head for StackedHead {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, targets: &HeadTargets) -> Score {
        self.head.score(&self.layers.forward(trace.output.clone()).into(), targets)
    }

    fn scores(&self, h: &AnyActivation) -> Tensor<2> {
        self.head.scores(&self.layers.forward(h.clone()))
    }

    fn normalised_values_per_row(&self) -> Option<usize> {
        let of_both = [self.layers.normalised_values_per_row(), self.head.normalised_values_per_row()];
        of_both.into_iter().flatten().min()
    }
}
