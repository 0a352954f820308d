//! Scores of all rows against the last ones on the flex backend, with their gradient: one pass over the rows each way.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{self, Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::flex::{by_rows, numbers, tensor, unary};
use crate::sparse::flex::dot;

/// Parts in which the gradient of the last rows is added up, as many on every machine.
const PARTS: usize = 8;

/// Rows, how many of the last they are compared with, and the inverse temperature.
#[derive(Debug, Clone)]
struct Compared {
    h: FlexTensor,
    last: usize,
    scale: f32,
}

/// See [`scores_of_last_rows`](super::scores_of_last_rows); `None` for tensors of another backend.
pub(super) fn scores(h: &Tensor<2>, last: usize, scale: f32) -> Option<Tensor<2>> {
    let run = |h| {
        let compared = Compared { h, last, scale };
        (compared.scores(), Arc::new(compared))
    };
    unary(h, ScoresOfLast, run)
}

/// `dh_i = sum_k ds_ik r_k`, and for the last rows `dr_k = sum_i ds_ik h_i` on top.
#[derive(Debug, Clone, Copy)]
struct ScoresOfLast;

impl Backward<Flex, 1> for ScoresOfLast {
    type State = Arc<Compared>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let compared = ops.state;
        ops::unary::<Flex, _>(ops.parents, ops.node, gradients, |ds| compared.gradient(&ds));
    }
}

impl Compared {
    fn sizes(&self) -> [usize; 2] {
        let shape = self.h.shape();
        [shape[0], shape[1]]
    }

    fn scores(&self) -> FlexTensor {
        let [rows, width] = self.sizes();
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
        let [rows, width] = self.sizes();
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
