//! Our operations on the flex backend: how they enter the autodiff graph, and how they access tensors.

use std::borrow::Cow;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Bytes, DType, Shape};
use rayon::prelude::*;

/// Adds an operation with one input tensor to the graph: `run` computes the output and the state that `operation` needs in the
/// backward pass. It may work in place on a tensor that is not used elsewhere.
pub(crate) fn unary<C: CheckpointStrategy, O: Backward<Flex, 1>>(
    x: FloatTensor<Autodiff<Flex, C>>,
    operation: O,
    run: impl FnOnce(FlexTensor) -> (FlexTensor, O::State),
) -> FloatTensor<Autodiff<Flex, C>> {
    let prepared = operation.prepare::<C>([x.node()]).compute_bound().stateful();
    let (output, state) = run(x.into_primitive());
    match prepared {
        OpsKind::Tracked(prep) => prep.finish(state, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

/// The sizes of a tensor along its axes.
pub(crate) fn dims<const D: usize>(x: &FlexTensor) -> [usize; D] {
    x.layout().shape().dims()
}

/// The numbers of a tensor in row-major order, without a copy if they are already stored that way.
pub(crate) fn numbers(x: &FlexTensor) -> Cow<'_, [f32]> {
    match x.as_slice::<f32>() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(x.clone().into_data().iter::<f32>().collect()),
    }
}

/// A tensor of `values` in row-major order.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::from(shape)), DType::F32)
}

/// A tensor of zeros with the shape of `x`. Its memory is not touched before it is first written.
#[cfg(feature = "optim")]
pub(crate) fn zeros_like(x: &FlexTensor) -> FlexTensor {
    let shape = x.layout().shape().clone();
    let zeros = vec![0.0f32; shape.num_elements()];
    FlexTensor::new(Bytes::from_elems(zeros), Layout::contiguous(shape), DType::F32)
}

/// The tensor with its numbers in row-major order, and no other numbers in its storage.
pub(crate) fn alone(x: FlexTensor) -> FlexTensor {
    let whole = x.as_slice::<f32>().is_some_and(|numbers| numbers.len() == x.storage::<f32>().len());
    if whole { x } else { tensor(numbers(&x).into_owned(), dims::<2>(&x)) }
}

/// Sums parts in their order.
pub(crate) fn total(parts: impl IntoIterator<Item = Vec<f32>>) -> Vec<f32> {
    let sum = |mut sum: Vec<f32>, part: Vec<f32>| {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        sum
    };
    parts.into_iter().reduce(sum).unwrap_or_default()
}

/// Computes `rows` rows of `width` numbers. `write` fills them on all threads, in blocks of `block` rows: it is called with the
/// number of the block's first row, and the block, which contains zeros. Returns the numbers, and the results of `write` in
/// order.
///
/// The memory is not touched before: each block is cleared by the thread that fills it, while it is in that thread's cache.
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
        #[allow(unsafe_code, reason = "a vector of zeros would be written an additional time, by one thread")]
        // SAFETY: every number of the block has just been written; both types have the same layout.
        let block = unsafe { &mut *(std::ptr::from_mut(free) as *mut [f32]) };
        write(i * block_rows, block)
    });
    let results = results.collect();
    #[allow(unsafe_code, reason = "see above")]
    // SAFETY: the blocks consist of the first `rows * width` numbers, each of which has been written.
    unsafe {
        values.set_len(rows * width);
    }
    (values, results)
}
