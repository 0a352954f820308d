//! Checks of shapes in operations of our own, with messages of Burn's kind.
//!
//! A kernel reads slices and knows nothing of tensors: given weights of another width it would return wrong numbers. So every
//! public operation compares the sizes of what it is given first, a handful of integers per call.
//!
//! This is for operations whose arguments are tensors and which, like Burn's own, return no [`Result`]. Where the argument is
//! data that a user brought, such as the rows of a [sparse matrix](crate::sparse::Sparse), a constructor returns an
//! [`Error`](crate::Error). Losses, heads and learning rules of burn-forward check labels, counts and settings by
//! `burn_forward::require`, whose panics name the block that was learning.

/// A size that is needed along an axis: `Some(n)`, or `None` for any.
pub type Needed = Option<usize>;

/// Panics unless a tensor has the shape that an operation needs of it.
///
/// ```
/// use burn_forward_kernels::shape;
///
/// shape::check("affine map", "bias", [3], [Some(3)]);
/// shape::check("affine map", "input", [100, 7], [None, Some(7)]);
/// ```
///
/// # Panics
/// With another size along an axis:
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

/// Panics with a `reason` unless the shapes that an operation is given fit together.
///
/// # Panics
/// Unless `fits`.
#[track_caller]
pub fn ensure(fits: bool, operation: &str, reason: impl FnOnce() -> String) {
    assert!(fits, "=== Tensor Operation Error ===\n  Operation: '{operation}'\n  Reason:\n    1. {}\n", reason());
}
