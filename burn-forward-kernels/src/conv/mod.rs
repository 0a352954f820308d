//! Convolution, batch normalisation and average pools of maps `[B, C, H, W]`.
//!
//! Burn computes the gradient of a convolution's weights as a convolution with a kernel as large as the maps, which on flex
//! results in products with only a few columns. It computes a batch normalisation in a dozen passes with six temporary tensors
//! of the size of the maps. Here, convolutions are products of matrices with a few hundred columns or, for the common kernels
//! of side 3 on processors with AVX-512 or AVX2, sums directly from the maps. A normalisation with its activation function
//! takes two passes forward and two backward. A step of ResNet-18 takes 0.3 of the time and, if the network learns block by
//! block, a fifth less memory (`results/benchmarks/steps-cnn.md`).
//!
//! The operations accept Burn's modules and are [Burn backend extensions](burn::backend::backend_extension), so Burn's autodiff
//! and checkpointing work as usual. Burn's own operations are used on other backends and for number types other than single
//! precision; the functions document further cases.

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

/// The forward pass of a Burn convolution, equal to [`Conv2d::forward`] up to rounding:
/// `y_(b,o,i,j) = sum_(c,u,v) w_(o,c,u,v) x_(b, c, i s + u - p, j s + v - p)`, plus the bias of channel `o`, with stride `s`
/// and padding `p`; `c` runs over the channels of the group of `o`.
///
/// Burn's own operation is used for dilated kernels, and for a stride or padding that depends on the direction.
///
/// # Shapes
/// - `x`: `[B, C_in, H, W]`; returns `[B, C_out, H', W']`.
///
/// # Panics
/// If the number of channels or the length of the bias differs from that of the weights, or if the kernel is larger than the
/// maps.
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

/// The forward pass of a Burn batch normalisation of maps, including the update of the running statistics, followed by an
/// activation function `f`. It equals [`BatchNorm::forward`] and [`FusedActivation::forward`] up to rounding:
/// `y = f(gamma (x - m) / sqrt(v + eps) + beta)` with the mean `m` and biased variance `v` of every channel (Ioffe and Szegedy
/// 2015, arXiv 1502.03167).
///
/// Burn's own operation is used in inference, with running statistics.
///
/// # Shapes
/// - `x`: `[B, C, H, W]`; returns the same shape.
///
/// # Panics
/// If the number of channels differs from that of the normalisation.
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

/// The forward pass of a Burn average pool, equal to [`AvgPool2d::forward`] up to rounding: the mean of every window.
///
/// Burn's own operation is used unless the windows are squares that cover the maps without overlap or padding.
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

/// Means over all positions of every map, equal to [`adaptive_avg_pool2d`] to one position up to rounding. Burn's own operation
/// is used for maps that are not square.
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
