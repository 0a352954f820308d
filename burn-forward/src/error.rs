//! The error type of this crate. A message says what is wrong, what was given, what is needed, and where.

use std::cell::Cell;
use std::fmt;
use std::path::{Path, PathBuf};

/// Result type of every fallible function in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One or more mistakes in a config, each with its JSON path. All mistakes in a file are reported at once.
    #[error("{0}")]
    Config(ConfigErrors),

    /// A data file is missing, truncated, of another format, or inconsistent with related files.
    #[error("{}: found {found}; needed {needed}", path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What is needed.
        needed: String,
    },

    /// An argument has a shape, range or kind that is not accepted.
    #[error("{place}: {what} is {given}, but needs to be {needed}")]
    Argument {
        /// The function or module that rejects it.
        place: &'static str,
        /// The name of the quantity in the documentation.
        what: String,
        /// The value that was given.
        given: String,
        /// The range or shape that is accepted.
        needed: String,
    },

    /// A device is not available in this build or on this machine.
    #[error("device '{asked}': {reason}; compiled in: {available}")]
    Device {
        /// The requested name.
        asked: String,
        /// Why it is not available, and what would help.
        reason: String,
        /// Names that this build accepts.
        available: String,
    },

    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// Burn reported a failure while training, loading or saving.
    #[error("{place}: {message}")]
    Burn {
        /// The operation that failed.
        place: &'static str,
        /// Burn's own message.
        message: String,
    },
}

impl Error {
    /// An [`Error::Io`] for `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), source }
    }

    /// An [`Error::Data`] for `path`.
    pub fn data(path: impl AsRef<Path>, found: impl Into<String>, needed: impl Into<String>) -> Self {
        Self::Data { path: path.as_ref().to_path_buf(), found: found.into(), needed: needed.into() }
    }

    /// An [`Error::Argument`] for `place`.
    pub fn argument(
        place: &'static str,
        what: impl Into<String>,
        given: impl fmt::Display,
        needed: impl Into<String>,
    ) -> Self {
        Self::Argument { place, what: what.into(), given: given.to_string(), needed: needed.into() }
    }

    /// An [`Error::Burn`].
    pub fn burn(place: &'static str, message: impl fmt::Display) -> Self {
        Self::Burn { place, message: message.to_string() }
    }

    /// Whether the input is at fault (exit code 2 of a program) rather than what was done with it (exit code 1).
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Burn { .. })
    }
}

/// An argument that an operation of the kernels does not accept.
impl From<burn_forward_kernels::Error> for Error {
    fn from(error: burn_forward_kernels::Error) -> Self {
        let burn_forward_kernels::Error { place, what, given, needed } = error;
        Self::Argument { place, what, given, needed }
    }
}

thread_local! {
    /// The block that is learning on this thread.
    static BLOCK: Cell<Option<usize>> = const { Cell::new(None) };
}

/// While this value exists, messages of [`require`] on this thread start with the index of the block.
pub(crate) struct InBlock(Option<usize>);

impl InBlock {
    pub(crate) fn new(index: usize) -> Self {
        Self(BLOCK.replace(Some(index)))
    }
}

impl Drop for InBlock {
    fn drop(&mut self) {
        BLOCK.set(self.0);
    }
}

/// Checks an argument of a piece of learning (a loss, a head, a rule) that, like Burn's own operations, does not return a
/// [`Result`].
///
/// The message has the form of [`Error`] and names the block, because rules call these pieces with labels, counts and
/// settings that a user chose. An operation on tensors that does not belong to a block checks their shapes with
/// [`burn_forward_kernels::shape::check`] instead, whose messages resemble Burn's.
///
/// # Panics
/// If the argument was not `accepted`, with the message of `refusal`, preceded by the block that was learning.
///
/// ```should_panic
/// use burn_forward::{Error, require};
///
/// let rows = 0;
/// require(rows > 0, || Error::argument("mean", "number of rows", rows, ">= 1"));
/// ```
#[track_caller]
pub fn require(accepted: bool, refusal: impl FnOnce() -> Error) {
    let place = || BLOCK.get().map_or_else(String::new, |block| format!("block {block}: "));
    assert!(accepted, "{}{}", place(), refusal());
}

/// One mistake in a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// JSON path of the faulty value, such as `$.network.widths[1]`; `$` is the whole file.
    pub path: String,
    /// What is wrong, with the given value and the valid choices or range.
    pub message: String,
}

impl ConfigError {
    /// A mistake at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// All mistakes in one config, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigErrors {
    /// Name of the file or other source, for the heading.
    pub origin: String,
    /// The mistakes.
    pub errors: Vec<ConfigError>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.errors.len();
        write!(f, "{}: {n} mistake{}", self.origin, if n == 1 { "" } else { "s" })?;
        for error in &self.errors {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}
