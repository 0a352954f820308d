//! Blocks: the parts of a network that exchange no gradients.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::activation::Activation;

/// The result of a block's forward pass that its local loss uses.
#[derive(Debug, Clone)]
pub struct Trace<A> {
    /// The block's output `h`.
    pub output: A,
    /// The units of the last layer in the block that has any, for losses that
    /// [need them](crate::local::LocalLoss::needs_units) (such as peer normalisation). `None` if they were not requested, or
    /// if the block has none.
    pub units: Option<Units<A>>,
}

/// The units of a layer in one pass, before pooling and dropout: features `[B, d]`, or maps `[B, C, H, W]`.
#[derive(Debug, Clone)]
pub struct Units<A> {
    /// Pre-activations `z`.
    pub pre_activation: A,
    /// Activities `f(z)`.
    pub activity: A,
}

impl<A> Units<A> {
    /// The same units as another kind of activation.
    pub fn map<B>(self, change: impl Fn(A) -> B) -> Units<B> {
        Units { pre_activation: change(self.pre_activation), activity: change(self.activity) }
    }
}

impl<A> Trace<A> {
    /// The same trace with every activation converted.
    pub fn map<B>(self, change: impl Fn(A) -> B) -> Trace<B> {
        let units = self.units.map(|units| units.map(&change));
        Trace { output: change(self.output), units }
    }
}

impl<A> From<A> for Trace<A> {
    fn from(output: A) -> Self {
        Self { output, units: None }
    }
}

/// A module from activations to activations that is trained by ordinary autodiff *within* it, and by no gradient from
/// outside.
///
/// A block may be one layer, one residual block, a stage, or a whole network. With the whole network as one block, training
/// is back-propagation.
pub trait Block: Module {
    /// Type of the input.
    type Input: Activation;
    /// Type of the output.
    type Output: Activation;

    /// The forward pass.
    fn forward(&self, input: Self::Input) -> Self::Output;

    /// The forward pass with everything that a local loss may need. It may keep more in memory than
    /// [`forward`](Self::forward).
    fn trace(&self, input: Self::Input) -> Trace<Self::Output> {
        self.forward(input).into()
    }

    /// The forward pass of a block that does not learn, within a training step. The block runs in inference mode (batch
    /// normalisation uses its running statistics, dropout is off), whatever device the input is on, and nothing is kept for a
    /// backward pass.
    fn forward_frozen(&self, input: Self::Input) -> Self::Output {
        let device = input.device();
        if !device.is_autodiff() {
            return self.forward(input);
        }
        self.valid().forward(input.without_autodiff()).with_autodiff(&device)
    }
}

/// A plain linear layer, for the output layer of a network.
impl Block for Linear {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        Linear::forward(self, input)
    }
}
