//! Operations of our own on the flex backend: how they enter the autodiff graph, and how they read tensors.

use std::borrow::Cow;
use std::ops::ControlFlow;

use burn::backend::autodiff::checkpoint::strategy::{BalancedCheckpointing, CheckpointStrategy, NoCheckpointing};
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::{Device, Tensor, TensorData};

/// Whether a device is one of flex.
pub(crate) fn is_here(device: &Device) -> bool {
    Tensor::<1>::zeros([1], &device.clone().inner()).try_into_primitive::<Flex>().is_ok()
}

/// `run` on a tensor, which makes the output and what `operation` needs on the way back; `None` for a tensor that is not of
/// flex.
pub(crate) fn unary<const D: usize, O: Backward<Flex, 1> + Copy>(
    x: &Tensor<D>,
    operation: O,
    run: impl Fn(FlexTensor) -> (FlexTensor, O::State),
) -> Option<Tensor<D>> {
    match x.clone().try_into_primitive::<Flex>() {
        Ok(plain) => Some(Tensor::from_primitive::<Flex>(run(plain).0)),
        Err(_) => match tracked::<NoCheckpointing, D, O>(x.clone(), operation, &run) {
            ControlFlow::Break(y) => Some(y),
            ControlFlow::Continue(x) => tracked::<BalancedCheckpointing, D, O>(x, operation, &run).break_value(),
        },
    }
}

/// As [`unary`], for tensors of one kind of autodiff: `Break` with the output, `Continue` with a tensor of another kind.
/// `run` may work in place on a tensor that nobody else holds.
pub(crate) fn tracked<C: CheckpointStrategy, const D: usize, O: Backward<Flex, 1>>(
    x: Tensor<D>,
    operation: O,
    run: impl Fn(FlexTensor) -> (FlexTensor, O::State),
) -> ControlFlow<Tensor<D>, Tensor<D>>
where
    DispatchTensor: DispatchKindConversion<Autodiff<Flex, C>>,
{
    let same = x.clone();
    let Ok(x) = x.try_into_primitive::<Autodiff<Flex, C>>() else { return ControlFlow::Continue(same) };
    drop(same);
    let prepared = operation.prepare::<C>([x.node()]).compute_bound().stateful();
    let (output, state) = run(x.into_primitive());
    let y = match prepared {
        OpsKind::Tracked(prep) => prep.finish(state, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    ControlFlow::Break(Tensor::from_primitive::<Autodiff<Flex, C>>(y))
}

/// The numbers of a tensor in row-major order, without a copy where they lie so.
pub(crate) fn numbers(x: &FlexTensor) -> Cow<'_, [f32]> {
    match x.as_slice::<f32>() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(x.clone().into_data().iter::<f32>().collect()),
    }
}

/// A tensor of `values` in row-major order.
pub(crate) fn tensor(values: Vec<f32>, shape: [usize; 2]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
