//! Convolution, batch normalisation and average pools on Burn's flex backend.
//!
//! Burn computes the gradient of a convolution's weights as a convolution with a kernel as large as the maps, which on flex
//! comes down to products of a handful of columns, and a batch normalisation out of a dozen passes with six temporary
//! tensors of the maps' size. Here convolutions are products of matrices of some hundred columns or, on processors with
//! AVX-512 or AVX2 and for the usual kernels of side 3, sums straight from the maps, and a normalisation with its activation is two
//! passes each way: a step of ResNet-18 takes 0.3 of the time and, learned block by block, a fifth less memory
//! (`results/benchmarks/steps-cnn.md`). They are [Burn backend extensions](burn::backend::backend_extension): Burn's own
//! autodiff, checkpointing and modules work on unchanged. Every other backend, and every number type but `f32`, is Burn's.

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

use burn::nn::BatchNorm;
use burn::nn::conv::Conv2d;
use burn::nn::pool::AvgPool2d;
use burn::tensor::Tensor;
use burn::tensor::module::adaptive_avg_pool2d;

use crate::nonlinearity::Nonlinearity;

/// The forward pass of a Burn convolution.
///
/// Equal to [`Conv2d::forward`] up to rounding.
///
/// # Shapes
/// - `x`: `[B, C_in, H, W]`; returns `[B, C_out, H', W']`.
pub fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
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

/// The forward pass of a Burn batch normalisation of maps, with its update of the running statistics, and an activation.
///
/// Equal to [`BatchNorm::forward`] and [`Nonlinearity::forward`] up to rounding.
///
/// # Shapes
/// - `x`: `[B, C, H, W]`; returns the same.
pub fn batch_norm(norm: &BatchNorm, x: Tensor<4>, then: Nonlinearity) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if flex::trains(norm, &x) {
        let device = x.device();
        let fused = norm::Then::of(then);
        let (y, mean, variance) = flex::normalise(norm, x, fused.unwrap_or(norm::Then::Nothing));
        for (running, batch) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
            let before = running.value_sync().to_device(&device);
            running.update((before * (1.0 - norm.momentum) + batch.detach() * norm.momentum).detach());
        }
        return if fused.is_some() { y } else { then.forward(y) };
    }
    then.forward(norm.forward(x))
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
