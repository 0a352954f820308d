//! What panics say: tests of operations that refuse what does not fit them, as Burn's own do, by a panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message of a panic in `run`; `None` without one.
pub fn panic_of(run: impl FnOnce()) -> Option<String> {
    Some(message(catch_unwind(AssertUnwindSafe(run)).err()?.as_ref()))
}

/// The message that a panic carries; empty where it is no text.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).into())).unwrap_or_default()
}
