//! The one error type of this crate. A message says what is wrong, what was given, what is needed, and where.

use std::cell::Cell;
use std::fmt;
use std::path::{Path, PathBuf};

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One or more mistakes in a config, each with its JSON path. All of a file are reported at once.
    #[error("{0}")]
    Config(ConfigErrors),

    /// A data file that is missing, truncated, of another format, or at odds with its companions.
    #[error("{}: found {found}; needed {needed}", path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What has to be there.
        needed: String,
    },

    /// A value of a shape, range or kind that the callee cannot take.
    #[error("{place}: {what} is {given}, but needs to be {needed}")]
    Argument {
        /// The function or module that refuses.
        place: &'static str,
        /// The quantity, as the documentation calls it.
        what: String,
        /// The value that was given.
        given: String,
        /// The range or shape that is accepted.
        needed: String,
    },

    /// A device that this build or this machine does not have.
    #[error("device '{asked}': {reason}; compiled in: {available}")]
    Device {
        /// The name that was asked for.
        asked: String,
        /// Why it cannot be had, and what would help.
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
        /// What was being done.
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

    /// An [`Error::Argument`].
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

    /// Whether what was given is at fault (exit code 2 of a program) and not what was done with it (exit code 1).
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Burn { .. })
    }
}

/// An argument that an operation of the kernels cannot take.
impl From<burn_forward_kernels::Error> for Error {
    fn from(error: burn_forward_kernels::Error) -> Self {
        let burn_forward_kernels::Error { place, what, given, needed } = error;
        Self::Argument { place, what, given, needed }
    }
}

thread_local! {
    /// The block that learns in this thread.
    static BLOCK: Cell<Option<usize>> = const { Cell::new(None) };
}

/// While this is alive, what [`require`] says in this thread begins with the block's index.
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

/// Checks an argument of a piece of learning (a loss, a head, a rule) that, like Burn's own operations, returns no [`Result`].
///
/// It says what is wrong in the words of [`Error`], and in which block: these pieces are called by a rule with labels, counts
/// and settings that a user chose. An operation on tensors that belongs to no block checks their shapes by
/// [`burn_forward_kernels::shape::check`], whose messages are of Burn's kind.
///
/// # Panics
/// With the message of `refusal`, and the block that was learning in front of it, if the argument was not `accepted`.
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
    /// JSON path of the offending value, `$.network.widths[1]`; `$` is the whole file.
    pub path: String,
    /// What is wrong, with the value that was given and the choices or range that are valid.
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

/// All mistakes of one config, in the order of the file.
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
