//! The error type of this crate: an invalid argument of an operation.

/// Result of every fallible function in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A value with a shape, range or kind that an operation does not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what} is {given}, but needs to be {needed}")]
pub struct Error {
    /// The type or function that rejects the value.
    pub place: &'static str,
    /// The quantity, as in the documentation.
    pub what: String,
    /// The given value.
    pub given: String,
    /// The accepted range or shape.
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
