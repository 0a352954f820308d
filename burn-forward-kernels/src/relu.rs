//! The rectifier `max(z, 0)`.
//!
//! Burn's own ReLU keeps `z` for the backward pass. The gradient needs only the sign of the output, which the next layer or a
//! local loss keeps anyway. This ReLU keeps the output if possible, so a layer keeps one tensor of the size of its output less:
//! `dz = dh` where `h > 0`, else 0. If `z` is not used elsewhere, it becomes the output in place.
//!
//! Burn's own ReLU is used without autodiff, on other backends, and if Burn's gradient checkpointing recomputes outputs.

use burn::tensor::{Tensor, activation};
#[cfg(feature = "flex")]
use burn::{backend::Dispatch, tensor::GradientCheckpointingStrategy};

#[cfg(feature = "flex")]
use self::flex::Rectifier;
#[cfg(feature = "flex")]
use crate::device::is_flex;

/// `max(z, 0)`, element by element; NaN stays NaN.
///
/// # Shapes
/// - `z`: any shape; returns the same shape.
pub fn relu<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    {
        let keeps_outputs = z.gradient_checkpointing_strategy() == Some(GradientCheckpointingStrategy::Disabled);
        if keeps_outputs && z.dtype().is_float() && is_flex(&z.device()) {
            return Tensor::from_dispatch(<Dispatch as Rectifier>::rectify(z.into_dispatch()));
        }
    }
    activation::relu(z)
}

#[cfg(feature = "flex")]
mod flex {
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{self, Backward, Ops};
    use burn::backend::flex::FlexTensor;
    use burn::backend::ops::ActivationOps;
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, Backend, Flex, backend_extension};

    use crate::flex::unary;

    /// Backends with the ReLU of this crate.
    #[backend_extension(Flex, Autodiff)]
    pub(crate) trait Rectifier: Backend {
        /// `max(z, 0)`.
        fn rectify(z: FloatTensor<Self>) -> FloatTensor<Self>;
    }

    impl Rectifier for Flex {
        fn rectify(z: FlexTensor) -> FlexTensor {
            Flex::relu(z)
        }
    }

    impl<C: CheckpointStrategy> Rectifier for Autodiff<Flex, C> {
        fn rectify(z: FloatTensor<Self>) -> FloatTensor<Self> {
            unary::<C, _>(z, Relu, |z| {
                let h = Flex::relu(z);
                (h.clone(), h)
            })
        }
    }

    /// `dz = dh` where `h` is above 0.
    #[derive(Debug)]
    struct Relu;

    impl Backward<Flex, 1> for Relu {
        type State = FlexTensor;

        fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
            ops::unary::<Flex, _>(ops.parents, ops.node, gradients, |dh| Flex::relu_backward(ops.state, dh));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn values_and_gradients_are_burns_to_the_bit() {
        let numbers: Vec<f32> =
            (0..600).map(|i| (1.3 * i as f32 * i as f32).sin() - 0.1).chain([0.0, -0.0, 1e-40]).collect();
        let length = numbers.len();
        for device in [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()] {
            let bits = |f: fn(Tensor<1>) -> Tensor<1>| {
                let z = Tensor::<1>::from_data(TensorData::new(numbers.clone(), [length]), &device).require_grad();
                // Twice, where the input is used once more afterwards.
                let h = f(f(z.clone() * 2.0) - 0.2);
                let gradients = (h.clone().square() * z.clone()).sum().backward();
                let of = |t: Tensor<1>| t.into_data().iter::<f32>().map(f32::to_bits).collect::<Vec<_>>();
                (of(h), of(z.grad(&gradients).unwrap()))
            };
            let ours = bits(relu);
            assert!(ours == bits(activation::relu));
            assert!(ours.1.iter().any(|g| *g != 0));
        }
    }
}
