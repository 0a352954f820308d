//! Constant sparse matrices, and their products `S x` with dense ones, whose cost is proportional to the number of entries.
//!
//! The features of nodes (such as the words in a paper) and the adjacency of a graph are such matrices. Burn has no sparse
//! tensors, but supports operations from other crates: on the flex backend, a product is one pass over the entries, with its
//! own gradient. Gradients flow to the dense factor only. [`Sparse::attention`] is a product with learned weights.
//!
//! On other backends, and for number types other than single precision, products return `None`, and the caller uses Burn's own
//! operations on [`Sparse::dense`] or on messages. Sums are computed in the order of the entries, so every run gives the same
//! result.

#[cfg(feature = "flex")]
mod attention;
mod compressed;
mod matrix;
#[cfg(feature = "flex")]
mod product;
#[cfg(feature = "flex")]
pub(crate) mod sums;
#[cfg(test)]
mod tests;

pub use self::compressed::sum_repeated;
pub use self::matrix::Sparse;

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::Tensor;
#[cfg(feature = "flex")]
use burn::{backend::Dispatch, tensor::DType};

#[cfg(feature = "flex")]
use self::{attention::GraphAttention, product::SparseProduct};
#[cfg(feature = "flex")]
use crate::device::is_flex;
use crate::shape;

impl Sparse {
    /// `S x`; `None` on a backend, or for a number type, without this operation.
    ///
    /// # Shapes
    /// - `x`: `[M, d]`; returns `[N, d]`.
    ///
    /// # Panics
    /// If the number of rows differs.
    pub fn product(self: &Arc<Self>, x: &Tensor<2>) -> Option<Tensor<2>> {
        shape::check("sparse product", "dense factor", x.dims(), [Some(self.columns), None]);
        #[cfg(feature = "flex")]
        if x.dtype() == DType::F32 && is_flex(&x.device()) {
            let product = <Dispatch as SparseProduct>::sparse_product(x.clone().into_dispatch(), self.clone());
            return Some(Tensor::from_dispatch(product));
        }
        None
    }

    /// Graph attention over the entries of a square `S`, whose values are not used (Velickovic et al. 2018, arXiv 1710.10903).
    /// Per head, with `e_st = leaky_relu(<source, g_s> + <target, g_t>)`, whose slope below 0 is `slope`, and with `alpha_st`,
    /// the softmax of `e_st` over `t` itself and the columns `s` of row `t`: `h_t = sum_s alpha_st g_s`.
    ///
    /// Nothing of the size of the entries is kept between the passes, and `g` is replaced by its gradient if it is not used
    /// elsewhere. Returns `Break` with the output, or `Continue` with `g` on a backend, or for a number type, without this
    /// operation, and if there are no nodes or no features.
    ///
    /// # Shapes
    /// - `g`: `[N, h d]`, with adjacent heads; `source`, `target`: `[h, d]`; returns `[N, h d]`.
    ///
    /// # Panics
    /// If the shapes do not match, or the matrix is not square.
    pub fn attention(
        self: &Arc<Self>,
        g: Tensor<2>,
        source: &Tensor<2>,
        target: &Tensor<2>,
        slope: f32,
    ) -> ControlFlow<Tensor<2>, Tensor<2>> {
        let ([_, nodes], [heads, of_head]) = (self.shape(), source.dims());
        shape::check("graph attention", "matrix", self.shape(), [Some(nodes); 2]);
        shape::check("graph attention", "node features", g.dims(), [Some(nodes), Some(heads * of_head)]);
        shape::check("graph attention", "vectors of the targets", target.dims(), [Some(heads), Some(of_head)]);
        #[cfg(feature = "flex")]
        if nodes * heads * of_head > 0
            && [g.dtype(), source.dtype(), target.dtype()] == [DType::F32; 3]
            && is_flex(&g.device())
        {
            let [g, source, target] = [g, source.clone(), target.clone()].map(Tensor::into_dispatch);
            let h = <Dispatch as GraphAttention>::graph_attention(g, source, target, self.clone(), slope);
            return ControlFlow::Break(Tensor::from_dispatch(h));
        }
        #[cfg(not(feature = "flex"))]
        let _ = slope;
        ControlFlow::Continue(g)
    }
}
