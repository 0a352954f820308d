//! Panic messages, for tests of operations that, like Burn's own, reject invalid arguments with a panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message of a panic in `run`; `None` if it does not panic.
pub fn panic_of(run: impl FnOnce()) -> Option<String> {
    Some(message(catch_unwind(AssertUnwindSafe(run)).err()?.as_ref()))
}

/// The message that a panic carries; empty if it is not text.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).into())).unwrap_or_default()
}
