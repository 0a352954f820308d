//! Operations of our own on the flex backend: how they enter the autodiff graph, and how they read tensors.

use std::borrow::Cow;
use std::ops::ControlFlow;

use burn::backend::autodiff::checkpoint::strategy::{BalancedCheckpointing, CheckpointStrategy, NoCheckpointing};
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, DispatchKindConversion, DispatchTensor, Flex, TensorMetadata};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

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

/// The tensor, with numbers in row-major order and no others beside them.
pub(crate) fn alone(x: FlexTensor) -> FlexTensor {
    let sizes = [x.shape()[0], x.shape()[1]];
    let whole = x.as_slice::<f32>().is_some_and(|numbers| numbers.len() == x.storage::<f32>().len());
    if whole { x } else { tensor(numbers(&x).into_owned(), sizes) }
}

/// A vector of `values`.
pub(crate) fn vector(values: Vec<f32>) -> FlexTensor {
    let length = values.len();
    FlexTensor::from_data(TensorData::new(values, [length]))
}

/// Sums of parts, in their order.
pub(crate) fn total(parts: impl IntoIterator<Item = Vec<f32>>) -> Vec<f32> {
    let sum = |mut sum: Vec<f32>, part: Vec<f32>| {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        sum
    };
    parts.into_iter().reduce(sum).unwrap_or_default()
}

/// `rows` rows of `width` numbers, written by `write` in blocks of `block` rows side by side in all threads: it gets the number
/// of the block's first row and the block, which is all zeros. Returns the numbers, and what `write` returned, in order.
///
/// Nothing touches the numbers before: a block is cleared by the thread that fills it, while it is in its cache.
pub(crate) fn by_rows<R: Send>(
    rows: usize,
    width: usize,
    block: usize,
    write: impl Fn(usize, &mut [f32]) -> R + Send + Sync,
) -> (Vec<f32>, Vec<R>) {
    let mut values: Vec<f32> = Vec::with_capacity(rows * width);
    let free = &mut values.spare_capacity_mut()[..rows * width];
    let block_rows = block.max(1);
    let blocks = free.par_chunks_mut((block_rows * width).max(1)).enumerate();
    let results = blocks.map(|(i, free)| {
        free.iter_mut().for_each(|number| {
            number.write(0.0);
        });
        #[allow(unsafe_code, reason = "a vector of zeros would be written once more, by one thread")]
        // SAFETY: every number of the block has just been written; both types are laid out the same.
        let block = unsafe { &mut *(std::ptr::from_mut(free) as *mut [f32]) };
        write(i * block_rows, block)
    });
    let results = results.collect();
    #[allow(unsafe_code, reason = "see above")]
    // SAFETY: the blocks are all of the first `rows * width` numbers, and each has been written.
    unsafe {
        values.set_len(rows * width);
    }
    (values, results)
}
