//! Heads for feature maps: classifiers on a block, each with its own loss. Any rule can use any of them on any block.

mod auxiliary;
mod class_groups;
mod class_maps;
mod pooled_maps;
mod reconstruction;
mod similarity;
mod stacked;

pub use auxiliary::{AuxiliaryKind, AuxiliaryNetwork};
pub use class_groups::{ClassGroups, GroupGoodness, GroupLoss};
pub use class_maps::{ClassLoss, ClassMaps};
pub use pooled_maps::PooledMaps;
pub use reconstruction::Reconstruction;
pub use similarity::{LocalErrorKind, LocalErrors};
pub use stacked::{StackedHead, stacked_head};

use burn::tensor::Tensor;
use burn_forward::activation::{Activation, AnyActivation};

/// The maps of an activation; features become maps with one pixel.
fn maps_of(h: &AnyActivation) -> Tensor<4> {
    match h {
        AnyActivation::Maps(x) => x.clone(),
        other => {
            let x = other.labelled();
            let [rows, features] = x.dims();
            x.reshape([rows, features, 1, 1])
        }
    }
}

/// Reference sums for the tests of the heads.
#[cfg(test)]
mod reference {
    use burn::nn::conv::Conv2d;
    use burn::tensor::{Device, Tensor, TensorData};

    /// `[rows][channels][pixels]`.
    pub(super) type Maps = Vec<Vec<Vec<f32>>>;

    pub(super) fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().iter::<f32>().collect()
    }

    /// Maps `[rows, channels, height, width]` of irregular values in [-1, 1].
    pub(super) fn maps(rows: usize, [channels, height, width]: [usize; 3], device: &Device) -> Tensor<4> {
        let values: Vec<f32> =
            (0..rows * channels * height * width).map(|i| (1.7 * i as f32 * i as f32).sin()).collect();
        Tensor::from_data(TensorData::new(values, [rows, channels, height, width]), device)
    }

    /// A convolution with an odd kernel, stride 1, and a padding of zeros that keeps the size.
    pub(super) fn convolved(h: &Tensor<4>, conv: &Conv2d, bias: &[f32]) -> Maps {
        let [rows, inputs, height, width] = h.dims();
        let [outputs, _, kernel, _] = conv.weight.val().dims();
        let (h, weight) = (numbers(h.clone()), numbers(conv.weight.val()));
        let at = |row: usize, channel: usize, y: usize, x: usize| -> f32 {
            let inside =
                (kernel / 2..height + kernel / 2).contains(&y) && (kernel / 2..width + kernel / 2).contains(&x);
            let place = (row * inputs + channel) * height * width;
            if inside { h[place + (y - kernel / 2) * width + x - kernel / 2] } else { 0.0 }
        };
        let value = |row: usize, output: usize, y: usize, x: usize| {
            let mut sum = bias[output];
            for input in 0..inputs {
                for dy in 0..kernel {
                    for dx in 0..kernel {
                        let w = weight[((output * inputs + input) * kernel + dy) * kernel + dx];
                        sum += w * at(row, input, y + dy, x + dx);
                    }
                }
            }
            sum
        };
        let pixels = |row, output| (0..height * width).map(|p| value(row, output, p / width, p % width)).collect();
        (0..rows).map(|row| (0..outputs).map(|output| pixels(row, output)).collect()).collect()
    }
}
