//! Shape checks for our operations, with messages like Burn's.
//!
//! A kernel reads slices and knows nothing about tensors; with weights of another width, it would return wrong numbers. Every
//! public operation therefore compares the sizes of its arguments first, which are a few integers per call.
//!
//! These checks are for operations that take tensors and, like Burn's own, do not return a [`Result`]. If the argument is data
//! from the user, such as the rows of a [sparse matrix](crate::sparse::Sparse), a constructor returns an
//! [`Error`](crate::Error). Losses, heads and learning rules of burn-forward check labels, counts and settings with
//! `burn_forward::require`, whose panics name the block that was learning.

/// The required size along an axis: `Some(n)`, or `None` for any size.
pub type Needed = Option<usize>;

/// Panics unless a tensor has the shape that an operation requires.
///
/// ```
/// use burn_forward_kernels::shape;
///
/// shape::check("affine map", "bias", [3], [Some(3)]);
/// shape::check("affine map", "input", [100, 7], [None, Some(7)]);
/// ```
///
/// # Panics
/// If the size along an axis differs:
/// ```should_panic
/// burn_forward_kernels::shape::check("affine map", "bias", [4], [Some(3)]);
/// ```
#[track_caller]
pub fn check<const D: usize>(operation: &str, tensor: &str, given: [usize; D], needed: [Needed; D]) {
    let fits = given.iter().zip(needed).all(|(given, needed)| needed.is_none_or(|needed| *given == needed));
    ensure(fits, operation, || {
        let needed = needed.map(|n| n.map_or_else(|| "_".into(), |n| n.to_string()));
        format!("The shape of the {tensor} does not fit. got: {given:?}, expected: [{}]", needed.join(", "))
    });
}

/// Panics with a `reason` unless the shapes of the arguments of an operation are compatible.
///
/// # Panics
/// If `fits` is false.
#[track_caller]
pub fn ensure(fits: bool, operation: &str, reason: impl FnOnce() -> String) {
    assert!(fits, "=== Tensor Operation Error ===\n  Operation: '{operation}'\n  Reason:\n    1. {}\n", reason());
}
