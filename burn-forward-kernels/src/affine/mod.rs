//! Affine maps of many rows, optionally followed by ReLU: `x W + b` and `relu(x W + b)` for `x` `[N, k]`, `W` `[k, m]`, `b`
//! `[m]`; and `z + b` and `relu(z + b)` for `z` `[N, m]`, if the product is computed elsewhere.
//!
//! On flex, Burn's operations create and fill a tensor for the product, add the bias in a second pass, and apply ReLU in a
//! third, the last two on one thread. The backward pass takes four more. Since a local layer keeps little, such passes dominate
//! its step: a layer 128 -> 128 with 24,000 rows spent half of its time in them. Here, a block of rows is multiplied, shifted
//! and rectified while it is in a cache, and the backward pass needs no tensor in between either.
//!
//! Burn's own operations are used for matrices with few rows (fewer than 16 times the larger side of `W`), on other backends,
//! and for number types other than single precision.

#[cfg(feature = "flex")]
mod flex;

use burn::tensor::Tensor;
#[cfg(feature = "flex")]
use burn::{backend::Dispatch, tensor::DType};

#[cfg(feature = "flex")]
use self::flex::AffineMap;
#[cfg(feature = "flex")]
use crate::device::is_flex;
use crate::relu::relu;
use crate::shape;

/// `x W + b`.
///
/// # Shapes
/// - `x`: `[N, k]`; `weight`: `[k, m]`; `bias`: `[m]`; returns `[N, m]`.
///
/// # Panics
/// If the shapes do not match.
pub fn affine(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    map(x, weight, bias, false)
}

/// `relu(x W + b)`.
///
/// # Shapes
/// - `x`: `[N, k]`; `weight`: `[k, m]`; `bias`: `[m]`; returns `[N, m]`.
///
/// # Panics
/// If the shapes do not match.
pub fn affine_relu(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    map(x, weight, bias, true)
}

/// `z + b`, in place if `z` is not used elsewhere.
///
/// # Shapes
/// - `z`: `[N, m]`; `bias`: `[m]`; returns `[N, m]`.
///
/// # Panics
/// If the shapes do not match.
pub fn shift(z: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    shift_then(z, bias, false)
}

/// `relu(z + b)`, in place if `z` is not used elsewhere.
///
/// # Shapes
/// - `z`: `[N, m]`; `bias`: `[m]`; returns `[N, m]`.
///
/// # Panics
/// If the shapes do not match.
pub fn shift_relu(z: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    shift_then(z, bias, true)
}

fn map(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>, rectify: bool) -> Tensor<2> {
    let [k, m] = weight.dims();
    shape::check("affine map", "input", x.dims(), [None, Some(k)]);
    if let Some(bias) = &bias {
        shape::check("affine map", "bias", bias.dims(), [Some(m)]);
    }
    #[cfg(feature = "flex")]
    {
        let single = [x.dtype(), weight.dtype(), bias.as_ref().map_or(DType::F32, Tensor::dtype)] == [DType::F32; 3];
        if single && flex::is_tall(x.dims()[0], [k, m]) && is_flex(&x.device()) {
            let bias = bias.unwrap_or_else(|| Tensor::zeros([m], &weight.device()));
            let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
            return Tensor::from_dispatch(<Dispatch as AffineMap>::affine_map(x, weight, bias, rectify));
        }
    }
    shift_by_burn(x.matmul(weight), bias, rectify)
}

fn shift_then(z: Tensor<2>, bias: Option<Tensor<1>>, rectify: bool) -> Tensor<2> {
    let [_, m] = z.dims();
    if let Some(bias) = &bias {
        shape::check("shift by a bias", "bias", bias.dims(), [Some(m)]);
    }
    #[cfg(feature = "flex")]
    let bias = match bias {
        Some(bias) if is_ours(&z, &bias) => {
            let h = <Dispatch as AffineMap>::shift_by(z.into_dispatch(), bias.into_dispatch(), rectify);
            return Tensor::from_dispatch(h);
        }
        bias => bias,
    };
    shift_by_burn(z, bias, rectify)
}

/// Whether this crate computes the shift of these tensors.
#[cfg(feature = "flex")]
fn is_ours(z: &Tensor<2>, bias: &Tensor<1>) -> bool {
    [z.dtype(), bias.dtype()] == [DType::F32; 2] && z.dims().iter().all(|size| *size > 0) && is_flex(&z.device())
}

fn shift_by_burn(z: Tensor<2>, bias: Option<Tensor<1>>, rectify: bool) -> Tensor<2> {
    let z = match bias {
        Some(bias) => z + bias.unsqueeze(),
        None => z,
    };
    if rectify { relu(z) } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution, activation};

    type Affine = fn(Tensor<2>, Tensor<2>, Option<Tensor<1>>) -> Tensor<2>;
    type Shift = fn(Tensor<2>, Option<Tensor<1>>) -> Tensor<2>;

    /// Values, and the gradients of `x`, `W` and `b`.
    type Results = Vec<Vec<f32>>;

    fn results(
        device: &Device,
        [n, k, m]: [usize; 3],
        tracked: [bool; 3],
        f: impl Fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>,
    ) -> Results {
        // The same numbers every time; Burn's random tensors would differ.
        let numbers = |count: usize, step: f32| (0..count).map(|i| (step * i as f32).sin()).collect::<Vec<_>>();
        let track = |yes: bool, t: Tensor<2>| if yes { t.require_grad() } else { t };
        let matrix = |rows: usize, columns: usize, step| {
            let data = burn::tensor::TensorData::new(numbers(rows * columns, step), [rows, columns]);
            Tensor::<2>::from_data(data, device)
        };
        let x = track(tracked[0], matrix(n, k, 0.37));
        let w = track(tracked[1], matrix(k, m, 1.9));
        let b = Tensor::<1>::from_data(burn::tensor::TensorData::new(numbers(m, 0.7), [m]), device);
        let b = if tracked[2] { b.require_grad() } else { b };
        let h = f(x.clone(), w.clone(), b.clone());
        let gradients = (h.clone() * matrix(n, m, 0.11)).sum().backward();
        let list = |t: Option<Tensor<2>>| t.map_or_else(Vec::new, |t| t.into_data().iter::<f32>().collect());
        let of_bias = b.grad(&gradients).map(|g| g.unsqueeze());
        vec![list(Some(h.inner())), list(x.grad(&gradients)), list(w.grad(&gradients)), list(of_bias)]
    }

    fn assert_close(ours: &Results, theirs: &Results, what: &str) {
        for (part, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            assert_eq!(ours.len(), theirs.len(), "{what}, part {part}");
            let largest = theirs.iter().fold(1.0f32, |largest, v| largest.max(v.abs()));
            for (a, b) in ours.iter().zip(theirs) {
                assert!((a - b).abs() < 2e-5 * largest, "{what}, part {part}: {a}, Burn has {b}");
            }
        }
    }

    #[test]
    fn values_and_gradients_are_burns() {
        let sizes = [[5000, 7, 3], [2500, 128, 130], [2049, 1, 1], [4000, 20, 64]];
        let tracked = [[true, true, true], [false, true, true], [true, false, false], [false, false, true]];
        for device in [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()] {
            for (size, tracked) in sizes.into_iter().flat_map(|s| tracked.map(|t| (s, t))) {
                for rectify in [true, false] {
                    let what = format!("{size:?}, {tracked:?}, rectified {rectify}");
                    let burns = |z: Tensor<2>| if rectify { activation::relu(z) } else { z };
                    let theirs = results(&device, size, tracked, |x, w, b| burns(x.matmul(w) + b.unsqueeze()));
                    let (of_x, of_z) = if rectify {
                        (affine_relu as Affine, shift_relu as Shift)
                    } else {
                        (affine as Affine, shift as Shift)
                    };
                    let ours = results(&device, size, tracked, |x, w, b| of_x(x, w, Some(b)));
                    assert_close(&ours, &theirs, &what);
                    let ours = results(&device, size, tracked, |x, w, b| of_z(x.matmul(w), Some(b)));
                    assert_close(&ours, &theirs, &what);
                    let plain = |x: Tensor<2>, w, b: Tensor<1>| of_x(x, w, None) + b.unsqueeze() * 0.0;
                    let theirs = results(&device, size, tracked, |x, w, b| burns(x.matmul(w)) + b.unsqueeze() * 0.0);
                    assert_close(&results(&device, size, tracked, plain), &theirs, &format!("{what}, no bias"));
                }
            }
        }
    }

    #[test]
    fn no_rows_have_gradients_of_zeros() {
        let device = Device::flex().autodiff();
        let bias = Tensor::<1>::ones([3], &device).require_grad();
        let h = shift_relu(Tensor::zeros([0, 3], &device), Some(bias.clone()));
        assert_eq!(h.dims(), [0, 3]);
        let gradients = (h.sum() + bias.clone().sum() * 0.0).backward();
        assert_eq!(bias.grad(&gradients).unwrap().into_data().iter::<f32>().collect::<Vec<_>>(), [0.0; 3]);
    }

    #[test]
    fn a_tensor_that_somebody_holds_keeps_its_numbers() {
        let device = Device::flex().autodiff();
        let z = Tensor::<2>::random([3000, 4], Distribution::Default, &device).require_grad();
        let before: Vec<f32> = z.to_data().iter().collect();
        let h = shift_relu(z.clone(), Some(Tensor::ones([4], &device) * -0.5));
        assert!(before.iter().zip(h.into_data().iter::<f32>()).all(|(z, h)| (z - 0.5).max(0.0) == h));
        assert_eq!(before, z.to_data().iter().collect::<Vec<f32>>());
    }
}
