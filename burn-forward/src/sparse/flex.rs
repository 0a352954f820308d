//! Sparse products on the flex backend, with their gradients.

use std::borrow::Cow;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{BalancedCheckpointing, CheckpointStrategy, NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, DispatchKindConversion, DispatchTensor, Flex, TensorMetadata};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::{Compressed, Sparse};

/// Rows that a thread takes at least: below, handing them out costs more than computing them.
const ROWS: usize = 256;

/// Whether a device is one of flex.
pub(super) fn is_here(device: &Device) -> bool {
    Tensor::<1>::zeros([1], &device.clone().inner()).try_into_primitive::<Flex>().is_ok()
}

/// See [`Sparse::product`].
pub(super) fn product(matrix: &Arc<Sparse>, x: &Tensor<2>) -> Option<Tensor<2>> {
    if let Ok(x) = x.clone().try_into_primitive::<Flex>() {
        return Some(Tensor::from_primitive::<Flex>(multiply(&matrix.rows, &x)));
    }
    tracked_product::<NoCheckpointing>(matrix, x).or_else(|| tracked_product::<BalancedCheckpointing>(matrix, x))
}

fn tracked_product<C: CheckpointStrategy>(matrix: &Arc<Sparse>, x: &Tensor<2>) -> Option<Tensor<2>>
where
    DispatchTensor: DispatchKindConversion<Autodiff<Flex, C>>,
{
    let x = x.clone().try_into_primitive::<Autodiff<Flex, C>>().ok()?;
    let output = multiply(&matrix.rows, x.primitive());
    let y = match Product.prepare::<C>([x.node()]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(matrix.clone(), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Some(Tensor::from_primitive::<Autodiff<Flex, C>>(y))
}

/// `dx = S^T dy`.
#[derive(Debug)]
struct Product;

impl Backward<Flex, 1> for Product {
    type State = Arc<Sparse>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let matrix = ops.state;
        unary::<Flex, _>(ops.parents, ops.node, gradients, |dy| multiply(matrix.by_column(), &dy));
    }
}

/// See [`Sparse::weighted_product`].
pub(super) fn weighted_product(matrix: &Arc<Sparse>, weights: &Tensor<2>, x: &Tensor<2>) -> Option<Tensor<2>> {
    if let (Ok(w), Ok(x)) = (weights.clone().try_into_primitive::<Flex>(), x.clone().try_into_primitive::<Flex>()) {
        return Some(Tensor::from_primitive::<Flex>(multiply_weighted(&matrix.rows, &w, &x)));
    }
    tracked_weighted_product::<NoCheckpointing>(matrix, weights, x)
        .or_else(|| tracked_weighted_product::<BalancedCheckpointing>(matrix, weights, x))
}

fn tracked_weighted_product<C: CheckpointStrategy>(
    matrix: &Arc<Sparse>,
    weights: &Tensor<2>,
    x: &Tensor<2>,
) -> Option<Tensor<2>>
where
    DispatchTensor: DispatchKindConversion<Autodiff<Flex, C>>,
{
    let weights = weights.clone().try_into_primitive::<Autodiff<Flex, C>>().ok()?;
    let x = x.clone().try_into_primitive::<Autodiff<Flex, C>>().ok()?;
    let output = multiply_weighted(&matrix.rows, weights.primitive(), x.primitive());
    let nodes = [weights.node(), x.node()];
    let y = match WeightedProduct.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((matrix.clone(), weights.into_primitive(), x.into_primitive()), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Some(Tensor::from_primitive::<Autodiff<Flex, C>>(y))
}

/// `de_ij = <dy_i, x_j>` by head, `dx_j = sum_i e_ij dy_i`.
#[derive(Debug)]
struct WeightedProduct;

impl Backward<Flex, 2> for WeightedProduct {
    type State = (Arc<Sparse>, FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (matrix, weights, x) = ops.state;
        let dy = gradients.consume::<Flex>(&ops.node);
        let [of_weights, of_x] = ops.parents;
        if let Some(node) = of_weights {
            gradients.register::<Flex>(node.id, dot_products(&matrix.rows, &dy, &x, weights.shape()[1]));
        }
        if let Some(node) = of_x {
            gradients.register::<Flex>(node.id, multiply_weighted(matrix.by_column(), &weights, &dy));
        }
    }
}

/// The numbers of a tensor in row-major order, without a copy where they lie so.
fn numbers(x: &FlexTensor) -> Cow<'_, [f32]> {
    match x.as_slice::<f32>() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(x.clone().into_data().iter::<f32>().collect()),
    }
}

fn tensor(values: Vec<f32>, shape: [usize; 2]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Calls `row` with every row of an `[n, width]` matrix of zeros.
fn by_row(n: usize, width: usize, row: impl Fn(usize, &mut [f32]) + Send + Sync) -> FlexTensor {
    let mut values = vec![0.0; n * width];
    values.par_chunks_mut(width.max(1)).with_min_len(ROWS).enumerate().for_each(|(i, out)| row(i, out));
    tensor(values, [n, width])
}

/// `S x`.
fn multiply(s: &Compressed, x: &FlexTensor) -> FlexTensor {
    let width = x.shape()[1];
    let x = numbers(x);
    by_row(s.offsets.len() - 1, width, |i, out| {
        for k in s.offsets[i]..s.offsets[i + 1] {
            add_scaled(out, s.values[k], &x[s.places[k] as usize * width..][..width]);
        }
    })
}

/// `sum_j e_ij x_j` by head.
fn multiply_weighted(s: &Compressed, weights: &FlexTensor, x: &FlexTensor) -> FlexTensor {
    let (width, heads) = (x.shape()[1], weights.shape()[1].max(1));
    let (x, weights) = (numbers(x), numbers(weights));
    let head = (width / heads).max(1);
    by_row(s.offsets.len() - 1, width, |i, out| {
        for k in s.offsets[i]..s.offsets[i + 1] {
            let entry = s.origins.get(k).map_or(k, |o| *o as usize);
            let x = &x[s.places[k] as usize * width..][..width];
            let weights = &weights[entry * heads..][..heads];
            for ((out, x), weight) in out.chunks_exact_mut(head).zip(x.chunks_exact(head)).zip(weights) {
                add_scaled(out, *weight, x);
            }
        }
    })
}

/// `<dy_i, x_j>` by head, for every entry.
fn dot_products(s: &Compressed, dy: &FlexTensor, x: &FlexTensor, heads: usize) -> FlexTensor {
    let width = x.shape()[1];
    let (dy, x) = (numbers(dy), numbers(x));
    let head = (width / heads.max(1)).max(1);
    let mut rows = vec![0u32; s.places.len()];
    for (row, ends) in s.offsets.windows(2).enumerate() {
        rows[ends[0]..ends[1]].fill(row as u32);
    }
    by_row(s.places.len(), heads, |k, out| {
        let dy = &dy[rows[k] as usize * width..][..width];
        let x = &x[s.places[k] as usize * width..][..width];
        for ((out, dy), x) in out.iter_mut().zip(dy.chunks_exact(head)).zip(x.chunks_exact(head)) {
            *out = dot(dy, x);
        }
    })
}

fn add_scaled(out: &mut [f32], factor: f32, x: &[f32]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out += factor * x);
}

/// A sum in eight parts: one after the other would wait for each addition.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
    }
    sums.iter().sum::<f32>() + rest
}
