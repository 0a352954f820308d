//! The weights of any layer as matrices, and their replacements.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::init::fixed;
use crate::tape::Tape;

/// A weight as a matrix whose rows are its first dimension, and the bound of its random values. The weight is `[d_in, d_out]`
/// for a linear layer and `[C_out, C_in, k_h, k_w]` for a convolution.
pub(super) fn as_matrix<const D: usize>(dims: [usize; D]) -> ([usize; 2], f64) {
    let positions: usize = dims[2..].iter().product();
    let fans = (dims[0] + dims[1]) * positions;
    ([dims[0], dims[1] * positions], (6.0 / fans.max(1) as f64).sqrt())
}

/// The weights of a module, that is, its parameters with two or more dimensions, as matrices.
#[derive(Default)]
pub(super) struct Shapes(pub(super) Vec<([usize; 2], f64)>);

impl Shapes {
    pub(super) fn of(module: &impl Module) -> Self {
        let mut shapes = Self::default();
        module.visit(&mut shapes);
        shapes
    }
}

impl ModuleVisitor for Shapes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D >= 2 {
            self.0.push(as_matrix::<D>(param.lazy_shape().dims()));
        }
    }
}

/// Replaces the weights of a module by others, with other ids, that do not learn.
pub(super) struct Replace<F>(pub(super) F);

impl<F: FnMut(Tensor<2>, f64) -> Tensor<2>> ModuleMapper for Replace<F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D < 2 {
            return param;
        }
        let weight = param.val().detach();
        let dims: [usize; D] = weight.dims();
        let (shape, bound) = as_matrix(dims);
        fixed((self.0)(weight.reshape(shape), bound).detach().reshape(dims))
    }
}

/// Assigns the gradients of weights to their feedback weights.
pub(super) struct Teach<'a, I> {
    pub(super) feedback: I,
    pub(super) tape: &'a mut Tape,
}

impl<'a, I: Iterator<Item = &'a Param<Tensor<2>>>> ModuleVisitor for Teach<'_, I> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D < 2 {
            return;
        }
        if let (Some(feedback), Some(gradient)) = (self.feedback.next(), self.tape.gradients().get::<D>(param.id)) {
            self.tape.register(feedback.id, gradient.reshape(feedback.lazy_shape().dims::<2>()));
        }
    }
}
