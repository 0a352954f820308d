//! The metric files in a run folder.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::format::LogFormat;
use super::{csv, tensorboard};
use crate::run_folder::{METRICS_CSV, MetricRow, RunFolder, events_of};
use crate::{Error, Result};

/// The metric files that a run writes in addition to `metrics.jsonl`. They are derived from its rows, so they are just
/// as exact after a resume.
#[derive(Debug, Clone)]
pub struct MetricFiles {
    folder: RunFolder,
    formats: Vec<LogFormat>,
    /// When the run began, in seconds since 1970.
    started: f64,
}

impl MetricFiles {
    /// The files of the run in `folder` that `started` at this number of seconds since 1970.
    pub fn new(folder: RunFolder, formats: Vec<LogFormat>, started: f64) -> Self {
        Self { folder, formats, started }
    }

    /// Updates the files to match the rows of `metrics.jsonl`.
    ///
    /// # Errors
    /// [`Error::RunFolder`] for damaged rows, [`Error::Write`] for a file that cannot be written, and any error from
    /// reading a file.
    pub fn write(&self) -> Result<()> {
        if self.formats.is_empty() {
            return Ok(());
        }
        let rows = self.folder.rows()?;
        self.formats.iter().try_for_each(|format| self.write_as(*format, &rows))
    }

    fn write_as(&self, format: LogFormat, rows: &[MetricRow]) -> Result<()> {
        match format {
            LogFormat::Csv => replace(&self.folder.file(METRICS_CSV), csv::table(rows).as_bytes()),
            LogFormat::TensorBoard => ["train", "validation"].into_iter().try_for_each(|split| {
                let path = self.folder.file(&events_of(split));
                let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
                fs::create_dir_all(&folder).map_err(|e| Error::write(&folder, e))?;
                replace(&path, &tensorboard::file(rows, split, self.started))
            }),
        }
    }
}

/// Makes the file contain `bytes`. New bytes at its end are appended, since programs that follow a file keep it open.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    match fs::read(path) {
        Ok(there) if bytes.starts_with(&there) => {
            append(path, &bytes[there.len()..]).map_err(|e| Error::write(path, e))
        }
        _ => crate::files::write(path, bytes),
    }
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    File::options().append(true).open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(epochs: usize) -> String {
        let row =
            |epoch| format!("{{\"epoch\":{epoch},\"split\":\"train\",\"block\":null,\"loss\":0.5,\"seconds\":2.0}}\n");
        (1..=epochs).map(row).collect()
    }

    #[test]
    fn files_follow_the_rows_forth_and_back() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(place.path().join("run")).unwrap();
        let files = MetricFiles::new(folder.clone(), vec![LogFormat::Csv, LogFormat::TensorBoard], 10.0);
        let names = [METRICS_CSV.to_owned(), events_of("train"), events_of("validation")];
        let read = || names.clone().map(|name| fs::read(folder.file(&name)).unwrap());
        let mut seen = Vec::new();
        for epochs in [1, 2, 3] {
            folder.write("metrics.jsonl", rows(epochs).as_bytes()).unwrap();
            files.write().unwrap();
            seen.push(read());
        }
        assert_eq!(String::from_utf8(seen[2][0].clone()).unwrap().lines().count(), 4);
        assert!(seen[2][1].starts_with(&seen[1][1]) && seen[2][1].len() > seen[1][1].len());
        // A run that resumes after its second epoch, with files that were truncated or changed.
        for spoil in [&b""[..], b"torn", &seen[2][1][..70]] {
            names.iter().for_each(|name| fs::write(folder.file(name), spoil).unwrap());
            folder.write("metrics.jsonl", rows(2).as_bytes()).unwrap();
            files.write().unwrap();
            assert_eq!(read(), seen[1]);
        }
    }

    #[test]
    fn nothing_is_written_where_nothing_is_asked_for() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(place.path().join("run")).unwrap();
        MetricFiles::new(folder.clone(), Vec::new(), 0.0).write().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
