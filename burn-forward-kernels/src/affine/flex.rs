//! Affine maps on the flex backend, with their gradients.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use rayon::prelude::*;

use crate::flex::{alone, by_rows, dims, numbers, tensor, total};
use crate::gemm::{Strides, multiply};

/// Number of floats in a block of rows: half of a core's nearest cache.
const BLOCK: usize = 1 << 15;

/// Number of parts into which the gradients of weights and biases are split. It is the same on every machine.
const PARTS: usize = 8;

/// Minimal number of rows per row of `W` for which the partial gradients of `W` are smaller than the matrices they are computed
/// from.
const TALL: usize = 2 * PARTS;

fn block_of(width: usize) -> usize {
    (BLOCK / width.max(1)).max(16)
}

/// Whether `x` `[N, k]` has enough rows for a map to `m` columns.
pub(super) fn is_tall(rows: usize, [k, m]: [usize; 2]) -> bool {
    rows >= TALL * k.max(m) && k > 0 && m > 0
}

/// Backends with the affine maps of this crate.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait AffineMap: Backend {
    /// `x W + b` for `x` `[N, k]`, `w` `[k, m]` and `b` `[m]`, optionally followed by ReLU.
    fn affine_map(x: FloatTensor<Self>, w: FloatTensor<Self>, b: FloatTensor<Self>, rectify: bool)
    -> FloatTensor<Self>;

    /// `z + b` for `z` `[N, m]` and `b` `[m]`, optionally followed by ReLU; in place if `z` is not used elsewhere.
    fn shift_by(z: FloatTensor<Self>, b: FloatTensor<Self>, rectify: bool) -> FloatTensor<Self>;
}

impl AffineMap for Flex {
    fn affine_map(x: FlexTensor, w: FlexTensor, b: FlexTensor, rectify: bool) -> FlexTensor {
        map(&x, &w, &b, rectify)
    }

    fn shift_by(z: FlexTensor, b: FlexTensor, rectify: bool) -> FlexTensor {
        shifted(z, &b, rectify)
    }
}

impl<C: CheckpointStrategy> AffineMap for Autodiff<Flex, C> {
    fn affine_map(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        rectify: bool,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w.node(), b.node()];
        let (of_x, of_w) = (x.is_tracked(), w.is_tracked());
        let [x, w, b] = [x, w, b].map(|t| t.into_primitive());
        let h = map(&x, &w, &b, rectify);
        match Affine.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                // Tensors are not kept if no gradient needs them: the input of the first layer after a block border, and the
                // weights of frozen layers.
                let sizes = dims(&w);
                let kept = Kept { sizes, h: rectify.then(|| h.clone()), w: of_x.then_some(w), x: of_w.then_some(x) };
                prep.finish(kept, h)
            }
            OpsKind::UnTracked(prep) => prep.finish(h),
        }
    }

    fn shift_by(z: FloatTensor<Self>, b: FloatTensor<Self>, rectify: bool) -> FloatTensor<Self> {
        let nodes = [z.node(), b.node()];
        let h = shifted(z.into_primitive(), b.primitive(), rectify);
        match Shift.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(rectify.then(|| h.clone()), h),
            OpsKind::UnTracked(prep) => prep.finish(h),
        }
    }
}

/// The tensors that a map keeps for its gradients.
#[derive(Debug, Clone)]
struct Kept {
    /// `[k, m]`.
    sizes: [usize; 2],
    /// The output, if there is a ReLU.
    h: Option<FlexTensor>,
    /// The weights, if the input requires a gradient.
    w: Option<FlexTensor>,
    /// The input, if the weights require a gradient.
    x: Option<FlexTensor>,
}

/// `x W + b`, optionally followed by ReLU.
fn map(x: &FlexTensor, w: &FlexTensor, b: &FlexTensor, rectify: bool) -> FlexTensor {
    let ([n, _], [k, m]) = (dims(x), dims(w));
    let (x, w, b) = (numbers(x), numbers(w), numbers(b));
    let (h, _) = by_rows(n, m, block_of(k.max(m)), |first, h| {
        let rows = h.len() / m;
        let x = &x[first * k..][..rows * k];
        multiply([rows, k, m], (x, Strides::rows(k)), (&w, Strides::rows(m)), (h, Strides::rows(m)), false);
        shift_rows(h, &b, rectify);
    });
    tensor(h, [n, m])
}

fn shift_rows(z: &mut [f32], b: &[f32], rectify: bool) {
    for row in z.chunks_exact_mut(b.len()) {
        for (z, b) in row.iter_mut().zip(b) {
            let shifted = *z + b;
            // NaN stays NaN.
            *z = if rectify && shifted < 0.0 { 0.0 } else { shifted };
        }
    }
}

/// The gradient of the input of a ReLU: `dh` where `h` is above 0.
fn rectified(dh: &[f32], h: Option<&[f32]>, dz: &mut [f32]) {
    match h {
        Some(h) => dz.iter_mut().zip(dh).zip(h).for_each(|((dz, dh), h)| *dz = if *h > 0.0 { *dh } else { 0.0 }),
        None => dz.copy_from_slice(dh),
    }
}

fn add_rows(dz: &[f32], sums: &mut [f32]) {
    for row in dz.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, dz)| *sum += dz);
    }
}

/// With the gradient `dz` of the input of the ReLU: `dx = dz W^T`, `dW = x^T dz`, and `db` is the sum of the rows of `dz`.
#[derive(Debug)]
struct Affine;

impl Backward<Flex, 3> for Affine {
    type State = Kept;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Kept { sizes: [k, m], h, w, x } = ops.state;
        let dh = gradients.consume::<Flex>(&ops.node);
        let [n, _] = dims(&dh);
        let dh = numbers(&dh);
        let h = h.as_ref().map(numbers);
        let [x, w] = [&x, &w].map(|t| t.as_ref().map(numbers));
        let part = |first: usize, rows: usize, dx: &mut [f32]| {
            let mut dw = vec![0.0; if x.is_some() { k * m } else { 0 }];
            let mut db = vec![0.0; m];
            let block = block_of(k.max(m));
            let mut dz = vec![0.0; block.min(rows) * m];
            for start in (first..first + rows).step_by(block) {
                let rows = block.min(first + rows - start);
                let dz = &mut dz[..rows * m];
                let h = h.as_ref().map(|h| &h[start * m..][..rows * m]);
                rectified(&dh[start * m..][..rows * m], h, dz);
                add_rows(dz, &mut db);
                if let Some(x) = &x {
                    let x = &x[start * k..][..rows * k];
                    let (a, c) = ((x, Strides::transposed(k)), (&mut *dw, Strides::rows(m)));
                    multiply([k, rows, m], a, (dz, Strides::rows(m)), c, true);
                }
                if let Some(w) = &w {
                    let dx = &mut dx[(start - first) * k..][..rows * k];
                    let (a, b) = ((&*dz, Strides::rows(m)), (&**w, Strides::transposed(m)));
                    multiply([rows, m, k], a, b, (dx, Strides::rows(k)), false);
                }
            }
            (dw, db)
        };
        let rows_of_part = n.div_ceil(PARTS).max(1);
        let [of_x, of_w, of_b] = ops.parents;
        let parts = if w.is_some() {
            let (dx, parts) = by_rows(n, k, rows_of_part, |first, dx| part(first, dx.len() / k, dx));
            if let Some(node) = of_x {
                gradients.register::<Flex>(node.id, tensor(dx, [n, k]));
            }
            parts
        } else {
            let starts: Vec<usize> = (0..n).step_by(rows_of_part).collect();
            starts.into_par_iter().map(|first| part(first, rows_of_part.min(n - first), &mut [])).collect()
        };
        let (dw, db): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        if let Some(node) = of_w {
            gradients.register::<Flex>(node.id, tensor(total(dw), [k, m]));
        }
        if let Some(node) = of_b {
            gradients.register::<Flex>(node.id, tensor(total(db), [m]));
        }
    }
}

/// `z + b`, optionally followed by ReLU; in place if `z` is not used elsewhere.
fn shifted(z: FlexTensor, b: &FlexTensor, rectify: bool) -> FlexTensor {
    let (mut z, b) = (alone(z), numbers(b));
    let block = block_of(b.len()) * b.len();
    z.storage_mut::<f32>().par_chunks_mut(block).for_each(|z| shift_rows(z, &b, rectify));
    z
}

/// `dz` is the gradient of the input of the ReLU, and `db` is the sum of its rows.
#[derive(Debug)]
struct Shift;

impl Backward<Flex, 2> for Shift {
    type State = Option<FlexTensor>;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut dz = alone(gradients.consume::<Flex>(&ops.node));
        let [n, m] = dims(&dz);
        let h = ops.state.as_ref().map(numbers);
        let rows_of_part = n.div_ceil(PARTS).max(1);
        let parts = dz.storage_mut::<f32>().par_chunks_mut(rows_of_part * m).enumerate();
        let db = parts.map(|(i, dz)| {
            if let Some(h) = &h {
                let h = &h[i * rows_of_part * m..][..dz.len()];
                dz.iter_mut().zip(h).for_each(|(dz, h)| *dz = if *h > 0.0 { *dz } else { 0.0 });
            }
            let mut sums = vec![0.0; m];
            add_rows(dz, &mut sums);
            sums
        });
        let db = total(db.collect::<Vec<_>>());
        let [of_z, of_b] = ops.parents;
        if let Some(node) = of_b {
            gradients.register::<Flex>(node.id, tensor(db, [m]));
        }
        if let Some(node) = of_z {
            gradients.register::<Flex>(node.id, dz);
        }
    }
}
