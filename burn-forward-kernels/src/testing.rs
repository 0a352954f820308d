//! For tests of operations that do not return a [`Result`]: the messages of their panics, and shapes that they must reject.
//!
//! ```
//! use burn_forward_kernels::shape;
//! use burn_forward_kernels::testing::{assert_refused, panic_of, wrong_shapes};
//!
//! let operation = |shape: [usize; 2]| shape::check("operation", "input", shape, [None, Some(3)]);
//! assert_eq!(panic_of(|| operation([7, 3])), None);
//! for shape in wrong_shapes([7, 3], &[0]) {
//!     assert_refused(&format!("{shape:?}"), || operation(shape));
//! }
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message of a panic in `run`; `None` without one.
pub fn panic_of(run: impl FnOnce()) -> Option<String> {
    let payload = catch_unwind(AssertUnwindSafe(run)).err()?;
    let text = payload.downcast_ref::<String>().cloned();
    Some(text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).into())).unwrap_or_default())
}

/// Asserts that `run` rejects the shapes of its arguments, with a message of an operation like Burn's, or of a piece of a rule.
///
/// # Panics
/// If it does not, or if the message is different.
pub fn assert_refused(what: &str, run: impl FnOnce()) {
    let message = panic_of(run);
    let said = |words: &str| message.as_deref().is_some_and(|m| m.contains(words));
    let refused = said("Tensor Operation Error") || said(", but needs to be ");
    assert!(refused, "{what}: {message:?}");
}

/// Variants of `shape` in which each axis that is not `free` has a wrong size. One of the sizes is 1, which Burn's own
/// operations would silently broadcast.
pub fn wrong_shapes<const D: usize>(shape: [usize; D], free: &[usize]) -> Vec<[usize; D]> {
    let axes = (0..D).filter(|axis| !free.contains(axis));
    axes.flat_map(|axis| {
        let right = shape[axis];
        [right + 1, 2 * right, 1].into_iter().filter(move |wrong| *wrong != right).map(move |wrong| {
            let mut shape = shape;
            shape[axis] = wrong;
            shape
        })
    })
    .collect()
}
