//! Products of sparse matrices on the flex backend, with their gradients.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{self, Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};

use super::compressed::Compressed;
use super::matrix::Sparse;
use super::sums::{ROWS, RowSum};
use crate::flex::{by_rows, numbers, tensor, unary};

/// Backends with products of sparse matrices.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait SparseProduct: Backend {
    /// `S x` for `x` `[M, d]`; see [`Sparse::product`].
    fn sparse_product(x: FloatTensor<Self>, matrix: Arc<Sparse>) -> FloatTensor<Self>;
}

impl SparseProduct for Flex {
    fn sparse_product(x: FlexTensor, matrix: Arc<Sparse>) -> FlexTensor {
        multiply(&matrix.rows, &x)
    }
}

impl<C: CheckpointStrategy> SparseProduct for Autodiff<Flex, C> {
    fn sparse_product(x: FloatTensor<Self>, matrix: Arc<Sparse>) -> FloatTensor<Self> {
        unary::<C, _>(x, Product, |x| (multiply(&matrix.rows, &x), matrix))
    }
}

/// `dx = S^T dy`.
#[derive(Debug)]
struct Product;

impl Backward<Flex, 1> for Product {
    type State = Arc<Sparse>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let matrix = ops.state;
        ops::unary::<Flex, _>(ops.parents, ops.node, gradients, |dy| multiply(matrix.by_column(), &dy));
    }
}

/// `S x`.
fn multiply(s: &Compressed, x: &FlexTensor) -> FlexTensor {
    let (n, width) = (s.offsets.len() - 1, x.shape()[1]);
    let sum = RowSum { s, x: &numbers(x), width, factors: &s.values, first_entry: 0, heads: 1 };
    let (values, _) = by_rows(n, width, ROWS, |first, out| sum.rows(first, out));
    tensor(values, [n, width])
}
