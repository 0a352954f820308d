//! Every public operation with tensors of every wrong shape.

use std::sync::Arc;

use burn::tensor::{Device, Distribution, Tensor};
use burn_forward_kernels::affine::{affine, affine_relu, shift, shift_relu};
use burn_forward_kernels::sparse::Sparse;
use burn_forward_kernels::testing::{assert_refused, panic_of, wrong_shapes};

type Affine = fn(Tensor<2>, Tensor<2>, Option<Tensor<1>>) -> Tensor<2>;
type Shift = fn(Tensor<2>, Option<Tensor<1>>) -> Tensor<2>;

/// Calls an operation.
type Run = Box<dyn Fn(&[Tensor<2>])>;

/// An operation on some matrices, with their valid shapes.
struct Operation {
    name: &'static str,
    shapes: Vec<[usize; 2]>,
    /// Sizes `(matrix, axis)` that need not agree with any other.
    free: &'static [(usize, usize)],
    run: Run,
}

/// The sparse matrix `[rows, columns]` with ones on its diagonal.
fn diagonal(rows: usize, columns: usize) -> Arc<Sparse> {
    let entries = rows.min(columns);
    let offsets = (0..=rows).map(|row| row.min(entries)).collect();
    Arc::new(Sparse::new(columns, offsets, (0..entries as u32).collect(), vec![1.0; entries]).unwrap())
}

fn vector(t: &Tensor<2>) -> Tensor<1> {
    t.clone().reshape([-1])
}

/// Numbers of rows for both cases: few enough for Burn's operations, and enough for those of this crate.
fn operations(rows: usize) -> Vec<Operation> {
    let mut all = Vec::new();
    let mut add = |name, shapes: &[[usize; 2]], free, run: Run| {
        all.push(Operation { name, shapes: shapes.to_vec(), free, run });
    };
    for (name, of_x) in [("affine map", affine as Affine), ("rectified affine map", affine_relu)] {
        let run = move |t: &[Tensor<2>]| drop(of_x(t[0].clone(), t[1].clone(), Some(vector(&t[2]))));
        add(name, &[[rows, 3], [3, 4], [1, 4]], &[(0, 0)], Box::new(run));
        let run = move |t: &[Tensor<2>]| drop(of_x(t[0].clone(), t[1].clone(), None));
        add(name, &[[rows, 3], [3, 4]], &[(0, 0), (1, 1)], Box::new(run));
    }
    for (name, of_z) in [("shift", shift as Shift), ("rectified shift", shift_relu)] {
        let run = move |t: &[Tensor<2>]| drop(of_z(t[0].clone(), Some(vector(&t[1]))));
        add(name, &[[rows, 4], [1, 4]], &[(0, 0)], Box::new(run));
    }

    let matrix = diagonal(5, 6);
    // If there is no such product, the caller uses an alternative; wrong shapes are still rejected.
    let run = move |t: &[Tensor<2>]| drop(matrix.product(&t[0]));
    add("sparse product", &[[6, 2]], &[(0, 1)], Box::new(run));
    let square = diagonal(rows, rows);
    let run = move |t: &[Tensor<2>]| drop(square.attention(t[0].clone(), &t[1], &t[2], 0.2));
    add("attention", &[[rows, 6], [2, 3], [2, 3]], &[], Box::new(run));
    all
}

#[test]
fn every_operation_refuses_every_wrong_shape() {
    let plain = Device::flex();
    for device in [plain.clone(), plain.clone().autodiff(), plain.autodiff().gradient_checkpointing()] {
        for rows in [7, 600] {
            for operation in operations(rows) {
                let tensors = |shapes: &[[usize; 2]]| -> Vec<Tensor<2>> {
                    shapes.iter().map(|shape| Tensor::random(*shape, Distribution::Default, &device)).collect()
                };
                let what = |shapes: &[[usize; 2]]| {
                    format!("{} of {shapes:?} with autodiff {}", operation.name, device.is_autodiff())
                };
                let right = tensors(&operation.shapes);
                assert_eq!(panic_of(|| (operation.run)(&right)), None, "{}", what(&operation.shapes));
                for (matrix, shape) in operation.shapes.iter().enumerate() {
                    let free: Vec<usize> = (0..2).filter(|axis| operation.free.contains(&(matrix, *axis))).collect();
                    for wrong in wrong_shapes(*shape, &free) {
                        let mut shapes = operation.shapes.clone();
                        shapes[matrix] = wrong;
                        let tensors = tensors(&shapes);
                        assert_refused(&what(&shapes), || (operation.run)(&tensors));
                    }
                }
            }
        }
    }
}

#[test]
fn messages_name_what_does_not_fit() {
    let device = Device::flex();
    let x = Tensor::<2>::zeros([4, 5], &device);
    let message = panic_of(|| drop(affine(x, Tensor::zeros([3, 2], &device), None))).unwrap();
    let reason = "The shape of the input does not fit. got: [4, 5], expected: [_, 3]";
    assert_eq!(
        message,
        format!("=== Tensor Operation Error ===\n  Operation: 'affine map'\n  Reason:\n    1. {reason}\n")
    );
}
