//! The run folder: creating, opening and locking it, and reading and writing its files.

use std::fs::{self, TryLockError};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::names::{LOCK, RUN_FILES, entries, events_of, position_of};
use crate::files::is_remains;
use crate::{Error, Result};

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

/// Reserves a run folder for one process; see [`RunFolder::lock`].
#[derive(Debug)]
pub struct RunLock {
    _file: fs::File,
}

impl RunFolder {
    /// A folder for a new run at `path`, which must not exist yet or must be empty.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if the folder contains a run or anything else, [`Error::Write`] if it cannot be created.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let run = Self::without_run(path.into())?;
        // A run that was killed before it wrote its first file may have left its lock.
        let mut names = entries(&run.path).into_iter().map(|(_, name)| name);
        if let Some(name) = names.find(|name| name != LOCK && !is_remains(name)) {
            let found = format!("is neither empty nor a run: it contains \"{name}\"");
            let needed = "another `--out`, or `--force` to put the run there too and replace files with the same names";
            return Err(Error::run_folder(&run.path, format!("{found}; needed: {needed}")));
        }
        fs::create_dir_all(&run.path).map_err(|e| Error::write(&run.path, e))?;
        Ok(run)
    }

    /// Like [`create`](Self::create), but accepts a folder with other files. Files that have the name of a run file are
    /// deleted, so that the run starts from the beginning; all others are kept.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if the folder already contains a run, [`Error::Write`] if it cannot be created or a file
    /// cannot be deleted.
    pub fn create_among_others(path: impl Into<PathBuf>) -> Result<Self> {
        let run = Self::without_run(path.into())?;
        fs::create_dir_all(&run.path).map_err(|e| Error::write(&run.path, e))?;
        for name in RUN_FILES.map(str::to_owned).into_iter().chain(["train", "validation"].map(events_of)) {
            run.delete(&name)?;
        }
        for (path, name) in entries(&run.checkpoints()) {
            if position_of(&name).is_some() {
                fs::remove_file(&path).map_err(|e| Error::write(&path, e))?;
            }
        }
        Ok(run)
    }

    fn without_run(path: PathBuf) -> Result<Self> {
        if path.exists() && !path.is_dir() {
            return Err(Error::run_folder(&path, "is a file; needed: a folder, or a path that does not exist yet"));
        }
        if path.join("config.json").exists() {
            return Err(Error::run_folder(
                &path,
                "it already contains a run; choose another `--out`, or continue with `--resume`",
            ));
        }
        Ok(Self { path })
    }

    /// The first of `runs/<name>-1`, `runs/<name>-2` and so on that does not exist yet.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be created.
    pub fn create_next(parent: &Path, name: &str) -> Result<Self> {
        let mut n = 1;
        while parent.join(format!("{name}-{n}")).exists() {
            n += 1;
        }
        Self::create(parent.join(format!("{name}-{n}")))
    }

    /// Opens the folder of an existing run.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if the folder does not contain a run.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        if !path.join("config.json").is_file() {
            return Err(Error::run_folder(&path, "found no config.json; needed: a folder that `train` created"));
        }
        Ok(Self { path })
    }

    /// Locks the folder for this process: two processes training in one folder would overwrite each other's checkpoints
    /// and metrics.
    ///
    /// The lock is released when the returned value is dropped or the process ends in any way. Its file `.lock` stays
    /// and is empty.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if another process holds the lock, [`Error::Write`] if the file cannot be created.
    pub fn lock(&self) -> Result<RunLock> {
        let path = self.file(LOCK);
        let file = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| Error::write(&path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = "another process is training in it; needed: wait until it ends, or use another folder";
                return Err(Error::run_folder(&self.path, problem));
            }
            // On a file system without locks, training without one is better than not training.
            Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {
                tracing::warn!(path = %path.display(), "the run folder cannot be locked: {e}");
            }
            Err(TryLockError::Error(e)) => return Err(burn_forward::Error::io(&path, e).into()),
        }
        Ok(RunLock { _file: file })
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Path of the folder with the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    /// Writes a JSON file [atomically](crate::files::write).
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value).map_err(|e| burn_forward::Error::burn("writing JSON", e))?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    /// Writes a file [atomically](crate::files::write).
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        crate::files::write(self.file(name), bytes)
    }

    /// Deletes a file if it exists.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be deleted.
    pub fn delete(&self, name: &str) -> Result<()> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::write(path, e)),
            _ => Ok(()),
        }
    }

    /// Reads a JSON file.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if the file is missing or is not JSON.
    pub fn read_json(&self, name: &str) -> Result<Value> {
        let bytes = burn_forward::input::read(&self.file(name)).map_err(|e| {
            let problem = match e {
                burn_forward::Error::Io { source, .. } => format!("{name} cannot be read: {source}"),
                other => other.to_string(),
            };
            Error::run_folder(&self.path, problem)
        })?;
        serde_json::from_slice(&bytes).map_err(|e| Error::run_folder(&self.path, format!("{name} is damaged: {e}")))
    }

    /// The value in a JSON file; `None` if the file does not exist.
    ///
    /// # Errors
    /// [`Error::RunFolder`] if the file does not contain a `T`.
    pub(crate) fn stored<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        if !self.file(name).is_file() {
            return Ok(None);
        }
        serde_json::from_value(self.read_json(name)?)
            .map_err(|e| Error::run_folder(&self.path, format!("{name} is damaged: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_trained_in_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path().join("r")).unwrap();
        let lock = run.lock().unwrap();
        let refused = run.lock().unwrap_err().to_string();
        assert!(refused.contains("another process is training in it"), "{refused}");
        drop(lock);
        run.lock().unwrap();
    }

    #[test]
    fn a_run_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path().join("r")).unwrap();
        run.write_json("config.json", &serde_json::json!({})).unwrap();
        assert!(RunFolder::create(dir.path().join("r")).is_err());
        assert!(RunFolder::create_among_others(dir.path().join("r")).is_err());
        assert!(RunFolder::open(dir.path()).is_err());
    }

    #[test]
    fn a_folder_with_other_files_is_asked_for_twice() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("checkpoint")).unwrap();
        let stay = ["notes.txt", "checkpoint/mine.bpk"];
        let events = events_of("train");
        let go = ["metrics.jsonl", "metrics.csv", "checkpoint/model-3.bpk", &events];
        fs::create_dir_all(dir.path().join(&events).parent().unwrap()).unwrap();
        for name in stay.iter().chain(&go) {
            fs::write(dir.path().join(name), "mine").unwrap();
        }
        let refused = RunFolder::create(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("is neither empty nor a run") && refused.contains("--force"), "{refused}");
        assert!(go.iter().all(|name| dir.path().join(name).is_file()));
        RunFolder::create_among_others(dir.path()).unwrap();
        assert!(stay.iter().all(|name| dir.path().join(name).is_file()));
        assert!(!go.iter().any(|name| dir.path().join(name).exists()));
    }
}
