//! A head on top of its own layers.

use burn::module::Module;
use burn::tensor::Tensor;
use burn_forward::activation::AnyActivation;
use burn_forward::block::{Block, Trace};
use burn_forward::network::{AnyLayer, Chain};
use burn_forward::rules::{AnyHead, Head, HeadTargets};
use burn_forward::tape::Score;

/// Any head, applied to the output of an auxiliary network: layers on top of the block that are trained together with the head.
#[derive(Module, Debug)]
pub struct StackedHead {
    layers: Chain,
    head: AnyHead,
}

/// `head` on top of `layers`, or `head` itself if there are none.
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
