//! Errors of experiments, in addition to those of the library.

use std::path::{Path, PathBuf};

/// Result type of the functions in this crate that run experiments.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in an experiment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of the library or of Burn, passed on unchanged.
    #[error(transparent)]
    Library(#[from] burn_forward::Error),

    /// A loss became NaN or infinite. The run stops without overwriting the last good checkpoint.
    #[error("the loss of block {block} became {value} in epoch {epoch}, step {step}; {checkpoint}")]
    NonFinite {
        /// Index of the block, from 0.
        block: usize,
        /// The value: NaN or an infinity.
        value: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// Where the last good weights are, in words.
        checkpoint: String,
    },

    /// Training was interrupted; nothing up to the last finished epoch is lost.
    #[error("{0}")]
    Interrupted(String),

    /// A file in a run folder is missing or damaged.
    #[error("run folder {}: {problem}", folder.display())]
    RunFolder {
        /// The run folder.
        folder: PathBuf,
        /// What is missing or damaged, and what to do.
        problem: String,
    },

    /// A file or folder could not be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// An [`Error::Write`] for `path`.
    pub fn write(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Write { path: path.as_ref().to_path_buf(), source }
    }

    /// An [`Error::RunFolder`] for `folder`.
    pub fn run_folder(folder: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::RunFolder { folder: folder.as_ref().to_path_buf(), problem: problem.into() }
    }

    /// Whether the user's input is at fault (exit code 2) rather than the run itself (exit code 1). A failed write
    /// counts as an input error if the path is impossible, but not if, for example, the disk is full.
    pub fn is_input(&self) -> bool {
        use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
        match self {
            Self::Library(error) => error.is_input(),
            Self::Write { source, .. } => matches!(source.kind(), IsADirectory | NotADirectory | NotFound),
            Self::NonFinite { .. } | Self::Interrupted(_) => false,
            Self::RunFolder { .. } => true,
        }
    }
}
