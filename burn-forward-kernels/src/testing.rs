//! For tests of operations that return no [`Result`]: what they say in a panic, and shapes that they have to refuse.
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

/// Asserts that `run` refuses the shapes it is given: an operation as Burn's do, a piece of a rule by what it needs.
///
/// # Panics
/// If it does not, or with another message.
pub fn assert_refused(what: &str, run: impl FnOnce()) {
    let message = panic_of(run);
    let said = |words: &str| message.as_deref().is_some_and(|m| m.contains(words));
    let refused = said("Tensor Operation Error") || said(", but needs to be ");
    assert!(refused, "{what}: {message:?}");
}

/// `shape` with every axis that is not `free` of every wrong size in turn; a size of 1 is among them, which Burn's own
/// operations would spread over an axis without a word.
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
