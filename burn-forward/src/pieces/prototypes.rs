//! Class representatives: one vector per class, with which rows are compared by scaled dot products.
//!
//! The representatives may be anything of the right shape (such as the embeddings of virtual nodes), or the prototypes, which
//! are the means of the rows of each class. If a row is itself part of a mean, its contribution is left out of the score for
//! its own class. Otherwise the row would find itself in its prototype, and in a class with few rows learn little else.

use burn::tensor::{Int, Tensor};

use crate::pieces::label::one_hot;
use crate::{Error, require};

/// `<h_i, r_k> / temperature`.
///
/// # Shapes
/// - `h`: `[B, d]`; `representatives`: `[C, d]`; returns `[B, C]`.
///
/// # Panics
/// If the width of the representatives differs from that of the rows.
pub fn scores(h: Tensor<2>, representatives: Tensor<2>, temperature: f64) -> Tensor<2> {
    let ([_, d], [_, width]) = (h.dims(), representatives.dims());
    require(d == width, || {
        Error::argument("prototypes::scores", "width of representatives", width, format!("{d}, that of the rows"))
    });
    h.matmul(representatives.transpose()) / temperature
}

/// The mean of the rows of every class; 0 for a class without rows.
///
/// # Shapes
/// - `h`: `[B, d]`; `labels`: `[B]`, each in `0..C`; returns `[C, d]`.
///
/// # Panics
/// If there is not one label per row, or a label is not one of the classes.
pub fn class_means(h: Tensor<2>, labels: &Tensor<1, Int>, classes: usize) -> Tensor<2> {
    let (sums, counts) = class_sums(h, labels, classes);
    sums / counts.clamp_min(1.0)
}

/// Sum and number of the rows of every class: `[C, d]`, `[C, 1]`.
fn class_sums(h: Tensor<2>, labels: &Tensor<1, Int>, classes: usize) -> (Tensor<2>, Tensor<2>) {
    let ([rows, _], [count]) = (h.dims(), labels.dims());
    require(count == rows, || Error::argument("prototypes", "number of labels", count, format!("{rows}, one per row")));
    let members = one_hot(labels, classes).transpose();
    (members.clone().matmul(h), members.sum_dim(1))
}

/// Scores of rows against the prototypes of their own batch, where each row is left out of its own prototype. With `S_c` the
/// sum and `n_c` the number of rows of class `c`, the score is `<h_i, S_k>/n_k` for `k != y_i`, and
/// `<h_i, S_y - h_i>/(n_y - 1)` for the row's own class. If the row is the only one in its class, the latter is 0.
///
/// # Shapes
/// - `h`: `[B, d]`; `labels`: `[B]`, each in `0..C`; returns `[B, C]`.
///
/// # Panics
/// The same as [`class_means`].
pub fn leave_one_out_scores(h: Tensor<2>, labels: &Tensor<1, Int>, classes: usize, temperature: f64) -> Tensor<2> {
    let (sums, counts) = class_sums(h.clone(), labels, classes);
    let own = one_hot(labels, classes);
    let counts = counts.transpose() - own.clone();
    let products = h.clone().matmul(sums.transpose());
    let itself = own * h.square().sum_dim(1);
    (products - itself) / counts.clamp_min(1.0) / temperature
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};
    use burn_forward_kernels::testing::{assert_refused, panic_of, wrong_shapes};

    const H: [[f32; 2]; 5] = [[1.0, 2.0], [0.5, -1.0], [3.0, 0.0], [-1.0, 1.0], [2.0, 2.0]];
    const Y: [i32; 5] = [0, 1, 0, 2, 0];

    fn dot(a: [f32; 2], b: [f32; 2]) -> f32 {
        a[0] * b[0] + a[1] * b[1]
    }

    /// The mean of the rows of class `c` without row `skip`, from the definition.
    fn mean(c: i32, skip: Option<usize>) -> [f32; 2] {
        let rows: Vec<[f32; 2]> = (0..5).filter(|i| Y[*i] == c && Some(*i) != skip).map(|i| H[i]).collect();
        let n = rows.len().max(1) as f32;
        [rows.iter().map(|r| r[0]).sum::<f32>() / n, rows.iter().map(|r| r[1]).sum::<f32>() / n]
    }

    #[test]
    fn a_row_is_left_out_of_its_own_prototype_only() {
        let device = Device::flex();
        let (h, y) = (Tensor::<2>::from_data(H, &device), Tensor::<1, Int>::from_data(Y, &device));
        let got: Vec<f32> = leave_one_out_scores(h.clone(), &y, 4, 0.5).into_data().try_to_vec().unwrap();
        for i in 0..5 {
            for c in 0..4 {
                let expected = dot(H[i], mean(c, (Y[i] == c).then_some(i))) / 0.5;
                let got = got[i * 4 + c as usize];
                assert!((got - expected).abs() < 1e-5, "row {i}, class {c}: {got}, expected {expected}");
            }
        }
        let means: Vec<f32> = class_means(h, &y, 4).into_data().try_to_vec().unwrap();
        for c in 0..4 {
            assert!((means[c as usize * 2] - mean(c, None)[0]).abs() < 1e-6);
            assert!((means[c as usize * 2 + 1] - mean(c, None)[1]).abs() < 1e-6);
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let plain = Device::flex();
        for device in [plain.clone(), plain.clone().autodiff(), plain.autodiff().gradient_checkpointing()] {
            let random = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Default, &device);
            for rows in [7, 600] {
                let y = Tensor::<1, Int>::zeros([rows], &device);
                type Run<'a> = Box<dyn Fn([usize; 2]) + 'a>;
                let operations: [(&str, [usize; 2], usize, Run); 4] = [
                    ("scores of rows", [rows, 3], 0, Box::new(|h| drop(scores(random(h), random([4, 3]), 1.0)))),
                    ("scores", [4, 3], 0, Box::new(|r| drop(scores(random([rows, 3]), random(r), 1.0)))),
                    ("class means", [rows, 3], 1, Box::new(|h| drop(class_means(random(h), &y, 2)))),
                    ("own row left out", [rows, 3], 1, Box::new(|h| drop(leave_one_out_scores(random(h), &y, 2, 1.0)))),
                ];
                for (name, right, free, run) in operations {
                    let what = |shape| format!("{name} of {shape:?} with autodiff {}", device.is_autodiff());
                    assert_eq!(panic_of(|| run(right)), None, "{}", what(right));
                    for shape in wrong_shapes(right, &[free]) {
                        assert_refused(&what(shape), || run(shape));
                    }
                }
            }
        }
    }
}
