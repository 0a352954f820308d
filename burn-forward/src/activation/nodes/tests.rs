//! Sparse features compared with the same features as dense ones, and operations on features with every wrong shape.

use burn::tensor::Distribution;
use burn_forward_kernels::testing::{assert_refused, panic_of, wrong_shapes};
use proptest::prelude::*;

use super::*;

/// Rows with values at distinct places.
fn matrix(rows: usize, columns: usize) -> impl Strategy<Value = Sparse> {
    prop::collection::btree_map((0..rows, 0..columns as u32), -2.0f32..2.0, 0..30).prop_map(move |entries| {
        let mut offsets = vec![0; rows + 1];
        entries.keys().for_each(|(row, _)| offsets[row + 1] += 1);
        (0..rows).for_each(|i| offsets[i + 1] += offsets[i]);
        let places = entries.keys().map(|(_, column)| *column).collect();
        Sparse::new(columns, offsets, places, entries.into_values().collect()).unwrap()
    })
}

proptest! {
    #[test]
    fn rows_are_normalised_as_dense_ones(matrix in matrix(5, 6)) {
        let (matrix, device) = (Arc::new(matrix), Device::flex());
        let numbers = |t: Tensor<2>| t.into_data().iter::<f32>().collect::<Vec<_>>();
        for normaliser in [Normalisation::None, Normalisation::Rms, Normalisation::L2] {
            let expected = numbers(normaliser.forward(matrix.dense(&device)));
            for rows in [normalised(&matrix, normaliser).map(Arc::new), normalised_once(&matrix, normaliser)] {
                for (a, b) in numbers(rows.unwrap().dense(&device)).iter().zip(&expected) {
                    prop_assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{normaliser:?}: {a} and {b}");
                }
            }
        }
        prop_assert!(normalised(&matrix, Normalisation::LayerNorm).is_none());
    }
}

/// The matrix `[rows, 64]` with ones on its diagonal, which remains sparse on flex.
fn diagonal(rows: usize, device: &Device) -> NodeFeatures {
    let entries = rows.min(64);
    let offsets = (0..=rows).map(|row| row.min(entries)).collect();
    let matrix = Sparse::new(64, offsets, (0..entries as u32).collect(), vec![1.0; entries]).unwrap();
    NodeFeatures::of(&Arc::new(matrix), device)
}

#[test]
fn features_refuse_every_wrong_shape() {
    type Operation = fn(&NodeFeatures, Tensor<2>);
    let operations: [(&str, [usize; 2], usize, Operation); 3] = [
        ("product", [64, 2], 1, |x, w| drop(x.normalised_product(Normalisation::L2, w))),
        ("rows below", [2, 64], 0, |x, rows| drop(x.with_rows(rows))),
        ("columns behind", [0, 2], 1, |x, columns| drop(x.with_columns(columns))),
    ];
    let plain = Device::flex();
    for device in [plain.clone(), plain.clone().autodiff(), plain.autodiff().gradient_checkpointing()] {
        for rows in [7, 600] {
            let features = diagonal(rows, &device);
            for (name, mut right, free, run) in operations {
                if name == "columns behind" {
                    right[0] = rows;
                }
                let run = |shape: [usize; 2]| run(&features, Tensor::random(shape, Distribution::Default, &device));
                let what = |shape| format!("{name} of {shape:?} with autodiff {}", device.is_autodiff());
                assert_eq!(panic_of(|| run(right)), None, "{}", what(right));
                for shape in wrong_shapes(right, &[free]) {
                    assert_refused(&what(shape), || run(shape));
                }
            }
        }
    }
}
