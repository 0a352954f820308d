//! Blocks: the parts of a network between which no gradient flows.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::activation::Activation;

/// What a block's forward pass leaves for its local loss.
#[derive(Debug, Clone)]
pub struct Trace<A> {
    /// The block's output `h`.
    pub output: A,
    /// The last pre-activation `z`, with `h = f(z)` up to dropout and pooling, for losses that need it (peer
    /// normalisation does). `None` where a block has no such thing.
    pub pre_activation: Option<Tensor<2>>,
}

impl<A> From<A> for Trace<A> {
    fn from(output: A) -> Self {
        Self { output, pre_activation: None }
    }
}

/// A module from activations to activations, trained by ordinary autodiff *within* and by nothing from without.
///
/// A block may be one layer, one residual block, a stage, or a whole network; the whole network as one block is
/// back-propagation.
pub trait Block: Module {
    /// What goes in.
    type Input: Activation;
    /// What comes out.
    type Output: Activation;

    /// The forward pass.
    fn forward(&self, input: Self::Input) -> Self::Output;

    /// The forward pass with what a local loss may want to see of it.
    fn trace(&self, input: Self::Input) -> Trace<Self::Output> {
        self.forward(input).into()
    }
}

/// A linear layer as it is, for the output layer of a network.
impl Block for Linear {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        Linear::forward(self, input)
    }
}
