//! A single pass over the numbers of a parameter.

use std::array::from_fn;
use std::slice::ChunksMut;

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use crate::flex::zeros_like;
use crate::vectorised::vectorised;

/// How many numbers a thread processes at a time.
const CHUNK: usize = 1 << 14;

/// How many numbers a parameter must have to be processed on all threads.
const PARALLEL: usize = 1 << 16;

/// The update of one weight, from its gradient and its `M` moments.
pub(super) trait Update<const M: usize>: Copy + Send + Sync {
    /// The new weight, and the first moments.
    fn first(self, weight: f32, gradient: f32) -> (f32, [f32; M]);

    /// The new weight and the new moments.
    fn next(self, weight: f32, gradient: f32, moments: [f32; M]) -> (f32, [f32; M]);
}

/// The first step of a parameter.
pub(super) fn first<const M: usize, U: Update<M>>(
    weights: FlexTensor,
    gradient: &FlexTensor,
    update: U,
) -> (FlexTensor, [FlexTensor; M]) {
    let moments = from_fn(|_| zeros_like(&weights));
    run::<M, true, U>(weights, gradient, moments, update)
}

/// A later step of a parameter, which has moments.
pub(super) fn next<const M: usize, U: Update<M>>(
    weights: FlexTensor,
    gradient: &FlexTensor,
    moments: [FlexTensor; M],
    update: U,
) -> (FlexTensor, [FlexTensor; M]) {
    run::<M, false, U>(weights, gradient, moments, update)
}

/// All tensors have the same shape.
fn run<const M: usize, const FIRST: bool, U: Update<M>>(
    weights: FlexTensor,
    gradient: &FlexTensor,
    moments: [FlexTensor; M],
    update: U,
) -> (FlexTensor, [FlexTensor; M]) {
    let (mut weights, gradient) = (in_rows(weights), in_rows(gradient.clone()));
    let mut moments = moments.map(in_rows);
    let (w, g) = (numbers_mut(&mut weights), gradient.as_slice().unwrap_or_default());
    let m = moments.each_mut().map(numbers_mut);
    if w.len() < PARALLEL {
        work::<M, FIRST, U>(w, g, m, update);
    } else {
        let mut of_moments = m.map(|m| m.chunks_mut(CHUNK));
        let chunks = w.chunks_mut(CHUNK).zip(g.chunks(CHUNK));
        let chunks: Vec<_> = chunks.map(|(w, g)| (w, g, of_moments.each_mut().map(next_chunk))).collect();
        chunks.into_par_iter().for_each(|(w, g, m)| work::<M, FIRST, U>(w, g, m, update));
    }
    (weights, moments)
}

fn next_chunk<'a>(chunks: &mut ChunksMut<'a, f32>) -> &'a mut [f32] {
    chunks.next().unwrap_or_default()
}

/// The tensor with its numbers in row-major order.
fn in_rows(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() { x } else { x.to_contiguous() }
}

/// The numbers of a tensor in row-major order; they are copied first if they are used elsewhere.
fn numbers_mut(x: &mut FlexTensor) -> &mut [f32] {
    let (start, end) = x.layout().contiguous_offsets().unwrap_or_default();
    &mut x.storage_mut::<f32>()[start..end]
}

/// A step on slices of the same length.
fn work<const M: usize, const FIRST: bool, U: Update<M>>(
    weights: &mut [f32],
    gradient: &[f32],
    moments: [&mut [f32]; M],
    update: U,
) {
    vectorised(
        #[inline(always)]
        || {
            let n = weights.len();
            let gradient = &gradient[..n];
            let moments = moments.map(|moment| &mut moment[..n]);
            for i in 0..n {
                let (weight, new) = if FIRST {
                    update.first(weights[i], gradient[i])
                } else {
                    let old = from_fn(|k| moments[k][i]);
                    update.next(weights[i], gradient[i], old)
                };
                weights[i] = weight;
                for k in 0..M {
                    moments[k][i] = new[k];
                }
            }
        },
    );
}
