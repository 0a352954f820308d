//! Sparse products against dense ones by Burn, in values and gradients.

use std::sync::Arc;

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use proptest::prelude::*;

use super::Sparse;
use crate::normalise::Normaliser;

fn close(a: Tensor<2>, b: Tensor<2>) {
    assert_eq!(a.dims(), b.dims());
    let [a, b] = [a, b].map(|t| t.into_data().iter::<f32>().collect::<Vec<_>>());
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{a} and {b}");
    }
}

/// Distinct places with values.
fn matrix(rows: usize, columns: usize) -> impl Strategy<Value = Arc<Sparse>> {
    prop::collection::btree_map((0..rows, 0..columns as u32), -2.0f32..2.0, 0..30).prop_map(move |entries| {
        let mut offsets = vec![0; rows + 1];
        entries.keys().for_each(|(row, _)| offsets[row + 1] += 1);
        (0..rows).for_each(|i| offsets[i + 1] += offsets[i]);
        let places = entries.keys().map(|(_, column)| *column).collect();
        Arc::new(Sparse::new(columns, offsets, places, entries.into_values().collect()).unwrap())
    })
}

fn devices() -> [Device; 2] {
    [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()]
}

proptest! {
    #[test]
    fn a_product_is_the_dense_one(matrix in matrix(7, 5), transposed: bool) {
        for device in devices() {
            // A transposed tensor does not lie in row-major order.
            let shape = if transposed { [3, 5] } else { [5, 3] };
            let leaf = Tensor::<2>::random(shape, Distribution::Default, &device).require_grad();
            let x = || if transposed { leaf.clone().transpose() } else { leaf.clone() };
            let loss = |y: &Tensor<2>| y.clone().square().sum();
            let y = matrix.product(&x()).unwrap();
            let expected = matrix.dense(&device).matmul(x());
            let gradient = |y: &Tensor<2>| leaf.grad(&loss(y).backward()).unwrap();
            close(y.clone().inner(), expected.clone().inner());
            close(gradient(&y), gradient(&expected));
        }
    }

    #[test]
    fn a_weighted_product_is_one_dense_product_per_head(matrix in matrix(6, 4)) {
        let (entries, heads, width) = (matrix.entries(), 2, 11);
        prop_assume!(entries > 0);
        for device in devices() {
            let weights = Tensor::<2>::random([entries, heads], Distribution::Default, &device).require_grad();
            let x = Tensor::<2>::random([4, heads * width], Distribution::Default, &device).require_grad();
            // Entry k of a head is at its row and column: a matrix of ones there picks it.
            let dense = |head: usize| {
                let mut sum = Tensor::<2>::zeros([6, 4], &device);
                for row in 0..6 {
                    for k in matrix.rows.offsets[row]..matrix.rows.offsets[row + 1] {
                        let mut one = vec![0.0f32; 24];
                        one[row * 4 + matrix.rows.places[k] as usize] = 1.0;
                        let one = Tensor::<2>::from_data(TensorData::new(one, [6, 4]), &device);
                        sum = sum + one * weights.clone().slice([k..k + 1, head..head + 1]);
                    }
                }
                sum.matmul(x.clone().narrow(1, head * width, width))
            };
            let y = matrix.weighted_product(&weights, &x).unwrap();
            let expected = Tensor::cat((0..heads).map(dense).collect(), 1);
            close(y.clone().inner(), expected.clone().inner());
            let gradients = |y: Tensor<2>| {
                let gradients = y.square().sum().backward();
                [weights.grad(&gradients).unwrap(), x.grad(&gradients).unwrap()]
            };
            let ([of_weights, of_x], [expected_weights, expected_x]) = (gradients(y), gradients(expected));
            close(of_weights, expected_weights);
            close(of_x, expected_x);
        }
    }

    #[test]
    fn rows_are_normalised_as_dense_ones(matrix in matrix(5, 6)) {
        let device = Device::flex();
        for normaliser in [Normaliser::None, Normaliser::Rms, Normaliser::L2] {
            let expected = normaliser.forward(matrix.dense(&device));
            close(matrix.normalised(normaliser).unwrap().dense(&device), expected);
        }
        prop_assert!(matrix.normalised(Normaliser::LayerNorm).is_none());
    }
}

#[test]
fn rows_come_below() {
    let matrix = Sparse::new(3, vec![0, 1, 1], vec![2], vec![5.0]).unwrap();
    let more = matrix.with_rows(&[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(more.shape(), [3, 3]);
    let dense: Vec<f32> = more.dense(&Device::flex()).into_data().iter::<f32>().collect();
    assert_eq!(dense, [0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
    assert!(matrix.with_rows(&[1.0]).unwrap_err().to_string().contains("multiple of 3"));
}

#[test]
fn rows_are_selected() {
    let matrix = Sparse::new(3, vec![0, 1, 1, 3], vec![2, 0, 1], vec![5.0, 6.0, 7.0]).unwrap();
    let selected = matrix.select_rows(&[2, 0, 2]).unwrap();
    let dense: Vec<f32> = selected.dense(&Device::flex()).into_data().iter::<f32>().collect();
    assert_eq!(dense, [6.0, 7.0, 0.0, 0.0, 0.0, 5.0, 6.0, 7.0, 0.0]);
    assert!(matrix.select_rows(&[3]).unwrap_err().to_string().contains("row is 3, but needs to be less than 3"));
}

#[test]
fn mistakes_are_named() {
    let error = |offsets: &[usize], places: &[u32]| {
        Sparse::new(2, offsets.to_vec(), places.to_vec(), vec![1.0; places.len()]).unwrap_err().to_string()
    };
    assert!(error(&[0, 1], &[0, 1]).contains("rising from 0 to 2"));
    assert!(error(&[1, 2], &[0, 1]).contains("rising from 0 to 2"));
    assert!(error(&[0, 2, 1, 2], &[0, 1]).contains("rising"));
    assert!(error(&[0, 1], &[2]).contains("less than 2"));
}
