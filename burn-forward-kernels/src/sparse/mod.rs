//! Constant sparse matrices, and their products `S x` with dense ones at the cost of the entries that are there.
//!
//! The features of nodes (which words a paper has) and who sends to whom are such matrices. Burn has no sparse tensors, but
//! takes operations of others: on the flex backend a product here is one pass over the entries, with its gradient. A gradient
//! flows to the dense factor alone. [`Sparse::attention`] is a product with weights that are learned.
//!
//! On other backends, and for number types other than single precision, products are `None`, and the caller uses Burn's own
//! operations on [`Sparse::dense`] or on messages. Sums are in the order of the entries, so that every run gives the same.

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
    /// `S x`; `None` on a backend, or for a number type, for which there is no such operation.
    ///
    /// # Shapes
    /// - `x`: `[M, d]`; returns `[N, d]`.
    ///
    /// # Panics
    /// With another number of rows.
    pub fn product(self: &Arc<Self>, x: &Tensor<2>) -> Option<Tensor<2>> {
        shape::check("sparse product", "dense factor", x.dims(), [Some(self.columns), None]);
        #[cfg(feature = "flex")]
        if x.dtype() == DType::F32 && is_flex(&x.device()) {
            let product = <Dispatch as SparseProduct>::sparse_product(x.clone().into_dispatch(), self.clone());
            return Some(Tensor::from_dispatch(product));
        }
        None
    }

    /// Graph attention over the places of the entries of a square `S`, whose values play no part (Velickovic et al. 2018,
    /// arXiv 1710.10903): with `e_st = leaky_relu(<source, g_s> + <target, g_t>)` per head, which has `slope` below 0, and
    /// `alpha_st` the softmax of `e_st` over `t` itself and the columns `s` of row `t`, `h_t = sum_s alpha_st g_s`.
    ///
    /// Nothing of the size of the entries is held between the passes, and `g` becomes its own gradient where nobody else holds
    /// it. `Break` with the output; `Continue` with `g` on a backend, or for a number type, for which there is no such operation,
    /// and where there are no nodes or no features.
    ///
    /// # Shapes
    /// - `g`: `[N, h d]`, heads side by side; `source`, `target`: `[h, d]`; returns `[N, h d]`.
    ///
    /// # Panics
    /// With other shapes, and with a matrix that is not square.
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
