//! Convolution, batch normalisation and average pools on Burn's flex backend.
//!
//! Burn computes the gradient of a convolution's weights as a convolution with a kernel as large as the maps, which on flex
//! comes down to products of a handful of columns, and a batch normalisation out of a dozen passes with six temporary
//! tensors of the maps' size. Here convolutions are products of matrices of some hundred columns or, on processors with
//! AVX-512 or AVX2 and for the usual kernels of side 3, sums straight from the maps, and a normalisation with its activation is two
//! passes each way: a step of ResNet-18 takes 0.3 of the time and, learned block by block, a fifth less memory
//! (`results/benchmarks/steps-cnn.md`). They are [Burn backend extensions](burn::backend::backend_extension): Burn's own
//! autodiff, checkpointing and modules work on unchanged. Every other backend, and every number type but `f32`, is Burn's.

mod activation;
#[cfg(feature = "flex")]
mod columns;
#[cfg(feature = "flex")]
mod depthwise;
#[cfg(all(feature = "flex", target_arch = "x86_64"))]
mod direct;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod geometry;
#[cfg(feature = "flex")]
mod norm;
#[cfg(feature = "flex")]
mod pool;

use burn::nn::conv::Conv2d;
use burn::nn::pool::AvgPool2d;
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::module::adaptive_avg_pool2d;

pub use self::activation::FusedActivation;
use crate::shape;

/// The forward pass of a Burn convolution.
///
/// Equal to [`Conv2d::forward`] up to rounding.
///
/// # Shapes
/// - `x`: `[B, C_in, H, W]`; returns `[B, C_out, H', W']`.
///
/// # Panics
/// With other channels than those of the weights, a bias of another length, and maps that the kernel is larger than.
pub fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    check_convolution(conv, &x);
    #[cfg(feature = "flex")]
    if let Some(geometry) = flex::geometry(conv, &x) {
        let y = flex::convolve(x, conv.weight.val(), geometry);
        return match &conv.bias {
            Some(bias) => y + bias.val().reshape([1, -1, 1, 1]),
            None => y,
        };
    }
    conv.forward(x)
}

fn check_convolution(conv: &Conv2d, x: &Tensor<4>) {
    const PLACE: &str = "conv2d";
    let [made, read, kernel @ ..] = conv.weight.dims();
    let [_, _, sides @ ..] = x.dims();
    shape::check(PLACE, "input", x.dims(), [None, Some(read * conv.groups), None, None]);
    shape::ensure(made.is_multiple_of(conv.groups), PLACE, || {
        format!("The output channels need to be a multiple of the groups. got: {made}, groups: {}", conv.groups)
    });
    if let Some(bias) = &conv.bias {
        shape::check(PLACE, "bias", bias.dims(), [Some(made)]);
    }
    let zeros = match conv.padding {
        PaddingConfig2d::Valid => [0; 2],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [top + bottom, left + right],
        PaddingConfig2d::Same => return,
    };
    let reach = |axis: usize| conv.dilation[axis] * kernel[axis].saturating_sub(1) + 1;
    shape::ensure((0..2).all(|axis| sides[axis] + zeros[axis] >= reach(axis)), PLACE, || {
        let padded = [sides[0] + zeros[0], sides[1] + zeros[1]];
        format!(
            "The kernel is larger than the padded maps. got: {padded:?}, expected at least: {:?}",
            [reach(0), reach(1)]
        )
    });
}

/// The forward pass of a Burn batch normalisation of maps, with its update of the running statistics, and an activation.
///
/// Equal to [`BatchNorm::forward`] and [`FusedActivation::forward`] up to rounding.
///
/// # Shapes
/// - `x`: `[B, C, H, W]`; returns the same.
///
/// # Panics
/// With other channels than those of the normalisation.
pub fn batch_norm(norm: &BatchNorm, x: Tensor<4>, then: FusedActivation) -> Tensor<4> {
    check_normalisation(norm, &x);
    #[cfg(feature = "flex")]
    if flex::trains(norm, &x) {
        let device = x.device();
        let (y, mean, variance) = flex::normalise(norm, x, then);
        for (running, batch) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
            let before = running.value_sync().to_device(&device);
            running.update((before * (1.0 - norm.momentum) + batch.detach() * norm.momentum).detach());
        }
        return y;
    }
    then.forward(norm.forward(x))
}

fn check_normalisation(norm: &BatchNorm, x: &Tensor<4>) {
    const PLACE: &str = "batch_norm";
    let [channels] = norm.gamma.dims();
    shape::check(PLACE, "input", x.dims(), [None, Some(channels), None, None]);
    let vectors = [norm.beta.dims(), norm.running_mean.value().dims(), norm.running_var.value().dims()];
    for (name, given) in ["shift", "running mean", "running variance"].into_iter().zip(vectors) {
        shape::check(PLACE, name, given, [Some(channels)]);
    }
}

/// The forward pass of a Burn average pool.
///
/// Equal to [`AvgPool2d::forward`] up to rounding.
///
/// # Shapes
/// - `x`: `[B, C, H, W]`; returns `[B, C, H', W']`.
pub fn average_pool(pool: &AvgPool2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if flex::covers(pool, &x) {
        return flex::average(x, pool.kernel_size[0]);
    }
    pool.forward(x)
}

/// Means over all positions.
///
/// # Shapes
/// - `x`: `[B, C, H, W]`; returns `[B, C, 1, 1]`.
pub fn global_average_pool(x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if flex::is_ours(&x) && x.dims()[2] == x.dims()[3] {
        let side = x.dims()[2];
        return flex::average(x, side);
    }
    adaptive_avg_pool2d(x, [1, 1])
}
