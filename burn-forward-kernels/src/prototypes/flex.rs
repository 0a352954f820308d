//! Scores of all rows against the last ones on the flex backend, with their gradient: one pass over the rows forward and one
//! backward.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{self, Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use rayon::prelude::*;

use crate::flex::{by_rows, dims, numbers, tensor, unary};
use crate::sparse::sums::dot;

/// Number of parts into which the gradient of the last rows is split. It is the same on every machine.
const PARTS: usize = 8;

/// The rows, the number of last rows that they are compared with, and the inverse temperature.
#[derive(Debug, Clone)]
struct Compared {
    h: FlexTensor,
    last: usize,
    scale: f32,
}

/// Backends with scores against the last rows.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait LastRowScores: Backend {
    /// `scale <h_i, r_k>`, where `r` are the `last` last rows of `h` `[N, d]`; returns `[N, last]`.
    fn last_row_scores(h: FloatTensor<Self>, last: usize, scale: f32) -> FloatTensor<Self>;
}

impl LastRowScores for Flex {
    fn last_row_scores(h: FlexTensor, last: usize, scale: f32) -> FlexTensor {
        Compared { h, last, scale }.scores()
    }
}

impl<C: CheckpointStrategy> LastRowScores for Autodiff<Flex, C> {
    fn last_row_scores(h: FloatTensor<Self>, last: usize, scale: f32) -> FloatTensor<Self> {
        unary::<C, _>(h, ScoresOfLast, |h| {
            let compared = Compared { h, last, scale };
            (compared.scores(), compared)
        })
    }
}

/// `dh_i = sum_k ds_ik r_k`; for the last rows, `dr_k = sum_i ds_ik h_i` is added.
#[derive(Debug)]
struct ScoresOfLast;

impl Backward<Flex, 1> for ScoresOfLast {
    type State = Compared;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let compared = ops.state;
        ops::unary::<Flex, _>(ops.parents, ops.node, gradients, |ds| compared.gradient(&ds));
    }
}

impl Compared {
    fn scores(&self) -> FlexTensor {
        let [rows, width] = dims(&self.h);
        let h = numbers(&self.h);
        let last = &h[(rows - self.last) * width..];
        let mut scores = vec![0.0; rows * self.last];
        scores.par_chunks_mut(self.last.max(1)).with_min_len(256).enumerate().for_each(|(i, scores)| {
            let row = &h[i * width..][..width];
            for (score, r) in scores.iter_mut().zip(last.chunks_exact(width.max(1))) {
                *score = self.scale * dot(row, r);
            }
        });
        tensor(scores, [rows, self.last])
    }

    fn gradient(&self, ds: &FlexTensor) -> FlexTensor {
        let [rows, width] = dims(&self.h);
        let (h, ds) = (numbers(&self.h), numbers(ds));
        let own = (rows - self.last) * width;
        let (mut gradient, of_last) = by_rows(rows, width, rows.div_ceil(PARTS), |first, gradient| {
            let mut sums = vec![0.0; self.last * width];
            for (i, gradient) in (first..).zip(gradient.chunks_exact_mut(width.max(1))) {
                let row = &h[i * width..][..width];
                let last = h[own..].chunks_exact(width.max(1)).zip(sums.chunks_exact_mut(width.max(1)));
                for ((r, sums), ds) in last.zip(&ds[i * self.last..]) {
                    let ds = self.scale * ds;
                    gradient.iter_mut().zip(r).for_each(|(g, r)| *g += ds * r);
                    sums.iter_mut().zip(row).for_each(|(s, h)| *s += ds * h);
                }
            }
            sums
        });
        for sums in of_last {
            gradient[own..].iter_mut().zip(sums).for_each(|(g, s)| *g += s);
        }
        tensor(gradient, [rows, width])
    }
}
