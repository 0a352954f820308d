//! Sparse products compared with Burn's dense products, in values and gradients.

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::{Device, Distribution, Tensor, TensorData, activation};
use proptest::prelude::*;

use super::Sparse;

fn close(a: Tensor<2>, b: Tensor<2>) {
    assert_eq!(a.dims(), b.dims());
    let [a, b] = [a, b].map(|t| t.into_data().iter::<f32>().collect::<Vec<_>>());
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{a} and {b}");
    }
}

/// A matrix without repeated entries.
fn matrix(rows: usize, columns: usize) -> impl Strategy<Value = Arc<Sparse>> {
    prop::collection::btree_map((0..rows, 0..columns as u32), -2.0f32..2.0, 0..30).prop_map(move |entries| {
        let mut offsets = vec![0; rows + 1];
        entries.keys().for_each(|(row, _)| offsets[row + 1] += 1);
        (0..rows).for_each(|i| offsets[i + 1] += offsets[i]);
        let indices = entries.keys().map(|(_, column)| *column).collect();
        Arc::new(Sparse::new(columns, offsets, indices, entries.into_values().collect()).unwrap())
    })
}

fn devices() -> [Device; 2] {
    [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()]
}

proptest! {
    #[test]
    fn a_product_is_the_dense_one(matrix in matrix(7, 5), transposed: bool) {
        for device in devices() {
            // A transposed tensor is not stored in row-major order.
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
    fn attention_is_a_softmax_of_dense_scores(matrix in matrix(6, 6), transposed: bool) {
        let (nodes, heads, width) = (6, 2, 11);
        // A node is a neighbour of itself, in addition to an entry that the matrix already has for it.
        let mut indices = vec![0.0f32; nodes * nodes];
        (0..nodes).for_each(|t| indices[t * nodes + t] = 1.0);
        for target in 0..nodes {
            matrix.row(target).for_each(|(source, _)| indices[target * nodes + source as usize] += 1.0);
        }
        for device in devices() {
            let random = |shape| Tensor::<2>::random(shape, Distribution::Default, &device).require_grad();
            let leaf = random(if transposed { [heads * width, nodes] } else { [nodes, heads * width] });
            let g = || if transposed { leaf.clone().transpose() } else { leaf.clone() };
            let [source, target] = [(); 2].map(|()| random([heads, width]));
            let indices = Tensor::<2>::from_data(TensorData::new(indices.clone(), [nodes, nodes]), &device);
            let dense = |head: usize| {
                let g = g().narrow(1, head * width, width);
                let part = |v: &Tensor<2>| g.clone().matmul((v.clone() - 0.5).narrow(0, head, 1).transpose());
                let scores = activation::leaky_relu(part(&target) + part(&source).transpose(), 0.2);
                let weights = indices.clone() * scores.exp();
                (weights.clone() / weights.sum_dim(1)).matmul(g)
            };
            let expected = Tensor::cat((0..heads).map(dense).collect(), 1);
            // Half of the scores are below 0.
            let vectors = [source.clone() - 0.5, target.clone() - 0.5];
            let ControlFlow::Break(h) = matrix.attention(g(), &vectors[0], &vectors[1], 0.2) else {
                return Err(TestCaseError::fail("attention is not available on this device"));
            };
            close(h.clone().inner(), expected.clone().inner());
            let gradients = |h: Tensor<2>| {
                let gradients = h.square().sum().backward();
                [&leaf, &source, &target].map(|leaf| leaf.grad(&gradients).unwrap())
            };
            gradients(h).into_iter().zip(gradients(expected)).for_each(|(a, b)| close(a, b));
        }
    }

    #[test]
    fn rows_are_divided_as_dense_ones(matrix in matrix(5, 6)) {
        let device = Device::flex();
        let divisors: Vec<f32> = matrix.squared_lengths().iter().map(|squared| 1e-4 + squared.sqrt()).collect();
        let dense = matrix.dense(&device);
        let expected = dense.clone() / (dense.square().sum_dim(1).sqrt() + 1e-4);
        close(matrix.divide_rows(&divisors).unwrap().dense(&device), expected);
    }
}

proptest! {
    /// The reference is a dense matrix to which every entry is added.
    #[test]
    fn entries_in_one_column_of_a_row_are_summed(
        rows in prop::collection::vec(prop::collection::vec((0u32..4, -2.0f32..2.0), 0..9), 1..6),
    ) {
        let mut dense = vec![0.0f32; rows.len() * 4];
        let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for (i, row) in rows.iter().enumerate() {
            for (place, value) in row {
                dense[i * 4 + *place as usize] += value;
                indices.push(*place);
                values.push(*value);
            }
            offsets.push(indices.len());
        }
        let matrix = Arc::new(Sparse::new(4, offsets, indices, values).unwrap());
        let device = Device::flex();
        let expected = Tensor::<2>::from_data(TensorData::new(dense, [rows.len(), 4]), &device);
        close(matrix.dense(&device), expected.clone());
        let x = Tensor::<2>::random([4, 3], Distribution::Default, &device);
        close(matrix.product(&x).unwrap(), expected.clone().matmul(x));
        close(matrix.squared_lengths_on(&device), expected.clone().square().sum_dim(1));
    }
}

#[test]
fn rows_come_below() {
    let matrix = Sparse::new(3, vec![0, 1, 1], vec![2], vec![5.0]).unwrap();
    let more = matrix.with_rows(&[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(more.shape(), [3, 3]);
    let dense: Vec<f32> = more.dense(&Device::flex()).into_data().iter::<f32>().collect();
    assert_eq!(dense, [0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
    let once = |rows: [f32; 3]| matrix.with_rows_cached(rows.to_vec()).unwrap();
    let (first, again, other) = (once([1.0, 2.0, 3.0]), once([1.0, 2.0, 3.0]), once([1.0, 2.0, 4.0]));
    assert!(Arc::ptr_eq(&first, &again));
    let last = |m: &Sparse| m.row(2).map(|(_, value)| value).collect::<Vec<_>>();
    assert_eq!((last(&first), last(&other)), (vec![1.0, 2.0, 3.0], vec![1.0, 2.0, 4.0]));
    assert!(matrix.with_rows(&[1.0]).unwrap_err().to_string().contains("multiple of 3"));
}

#[test]
fn what_is_made_of_a_matrix_is_kept_by_name() {
    let matrix = Sparse::new(1, vec![0, 1], vec![0], vec![6.0]).unwrap();
    let divided = |name, divisor: f32| matrix.cached(name, |matrix| matrix.divide_rows(&[divisor]).ok()).unwrap();
    let (half, again, third) = (divided("half", 2.0), divided("half", 7.0), divided("third", 3.0));
    assert!(Arc::ptr_eq(&half, &again));
    let value = |m: &Sparse| m.row(0).map(|(_, value)| value).collect::<Vec<_>>();
    assert_eq!((value(&half), value(&third)), (vec![3.0], vec![2.0]));
    assert!(matrix.cached("nothing", |_| None).is_none());
    let refusal = matrix.divide_rows(&[1.0, 2.0]).unwrap_err().to_string();
    assert_eq!(refusal, "Sparse: number of divisors is 2, but needs to be 1, one per row");
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
    let error = |offsets: &[usize], indices: &[u32]| {
        Sparse::new(2, offsets.to_vec(), indices.to_vec(), vec![1.0; indices.len()]).unwrap_err().to_string()
    };
    assert!(error(&[0, 1], &[0, 1]).contains("increasing from 0 to 2"));
    assert!(error(&[1, 2], &[0, 1]).contains("increasing from 0 to 2"));
    assert!(error(&[0, 2, 1, 2], &[0, 1]).contains("increasing"));
    assert!(error(&[0, 1], &[2]).contains("less than 2"));
}
