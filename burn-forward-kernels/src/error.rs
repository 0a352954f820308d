//! The one error type of this crate: an argument that an operation cannot take.

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A value of a shape, range or kind that the callee cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what} is {given}, but needs to be {needed}")]
pub struct Error {
    /// The type or function that refuses.
    pub place: &'static str,
    /// The quantity, as the documentation calls it.
    pub what: String,
    /// The value that was given.
    pub given: String,
    /// The range or shape that is accepted.
    pub needed: String,
}

impl Error {
    pub(crate) fn new(
        place: &'static str,
        what: impl Into<String>,
        given: impl std::fmt::Display,
        needed: impl Into<String>,
    ) -> Self {
        Self { place, what: what.into(), given: given.to_string(), needed: needed.into() }
    }
}
