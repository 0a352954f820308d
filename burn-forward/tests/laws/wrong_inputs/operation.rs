//! An operation on invalid inputs, and small inputs to build one from.

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_forward::ProjectedCrossEntropy;
use burn_forward::network::Chain;
use burn_forward::pieces::feedback::ProjectedFeedback;
use burn_forward::random::Rng;
use burn_forward_testing::panics::panic_of;

use super::super::toy::{INPUT, mlp, seed};

/// The message of a panic.
pub(super) fn refusal<T>(operation: impl FnOnce() -> T) -> Option<String> {
    panic_of(|| drop(operation()))
}

pub(super) fn matrix(shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::full(shape, 0.5, device)
}

pub(super) fn ints<const N: usize>(values: [i64; N], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::from(values), device)
}

pub(super) fn vector(length: usize, device: &Device) -> Tensor<1> {
    Tensor::full([length], 0.5, device)
}

pub(super) fn rng() -> Rng {
    seed().stream("any", &[])
}

/// A projection of 5 features to 3 classes.
pub(super) fn projection(device: &Device) -> ProjectedCrossEntropy {
    ProjectedCrossEntropy::new(5, 3, false, &mut rng(), device).unwrap()
}

pub(super) fn feedback(device: &Device) -> ProjectedFeedback {
    ProjectedFeedback::new(5, 3, &mut rng(), device).unwrap()
}

/// A dense layer of 4 units on 16 features.
pub(super) fn block(device: &Device) -> Chain {
    Chain::new(mlp(&[4]).layers(INPUT, seed(), device).unwrap())
}

pub(super) type Operation = (&'static str, Box<dyn Fn(&Device)>, &'static [&'static str]);

/// An operation, and what its error message has to contain.
pub(super) fn case<T>(
    name: &'static str,
    operation: impl Fn(&Device) -> T + 'static,
    said: &'static [&'static str],
) -> Operation {
    (name, Box::new(move |device| drop(operation(device))), said)
}
