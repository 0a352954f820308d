//! What makes a checkpoint whole: `checkpoint/epoch-<n>.json` with the sums of its files and of the rows of metrics up to it.
//!
//! It is written last, when everything it names is on disk. A checkpoint without it was being saved when the program was
//! killed; one whose files have other sums was damaged later, or is of another run. Checkpoints from before there were
//! manifests count as whole where they can be read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex};

use burn::lr_scheduler::LrSchedulerRecord;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::folder::RunFolder;
use super::names::{CHECKPOINT_FILES, METRICS, file_name, manifest_name};
use crate::files::{hexadecimal, sum_of_file};
use crate::{Error, Result};

/// Sums of one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The epoch after which it was saved.
    pub epoch: usize,
    /// Bytes of `metrics.jsonl` up to and with the rows of this epoch.
    pub rows: u64,
    /// SHA-256 of these bytes.
    pub rows_sum: String,
    /// SHA-256 of every file by its name.
    pub files: BTreeMap<String, String>,
}

/// Makes manifests from what those who save the parts of a checkpoint tell it, from several threads.
#[derive(Debug, Clone)]
pub struct Manifests(Arc<Mutex<Unfinished>>);

#[derive(Debug)]
struct Unfinished {
    folder: RunFolder,
    /// Sum and number of the bytes of `metrics.jsonl` that were read so far.
    rows: (Sha256, u64),
    manifests: BTreeMap<usize, Manifest>,
}

impl Manifests {
    /// Manifests of the checkpoints in `folder`.
    pub fn new(folder: RunFolder) -> Self {
        Self(Arc::new(Mutex::new(Unfinished { folder, rows: (Sha256::new(), 0), manifests: BTreeMap::new() })))
    }

    /// Begins the manifest of a checkpoint whose rows are written, and puts them on disk.
    ///
    /// # Errors
    /// What reading `metrics.jsonl` gives.
    pub fn begin(&self, epoch: usize) -> std::io::Result<()> {
        let Ok(mut this) = self.0.lock() else { return Ok(()) };
        let mut file = File::open(this.folder.file(METRICS))?;
        file.sync_all()?;
        file.seek(SeekFrom::Start(this.rows.1))?;
        let mut fresh = Vec::new();
        file.read_to_end(&mut fresh)?;
        this.rows.0.update(&fresh);
        this.rows.1 += fresh.len() as u64;
        let (rows_sum, rows) = (hexadecimal(this.rows.0.clone()), this.rows.1);
        this.manifests.insert(epoch, Manifest { epoch, rows, rows_sum, files: BTreeMap::new() });
        Ok(())
    }

    /// A file of the checkpoint of `epoch` was saved. With the last one the manifest is written.
    ///
    /// # Errors
    /// [`Error::RunFolder`] for a checkpoint that was not begun, [`burn_forward::Error::Io`] and [`Error::Write`].
    pub fn saved(&self, kind: &str, epoch: usize) -> Result<()> {
        let Ok(mut this) = self.0.lock() else { return Ok(()) };
        let name = file_name(kind, epoch);
        let path = this.folder.checkpoints().join(&name);
        let sum = sum_of_file(&path).map_err(|e| burn_forward::Error::io(&path, e))?;
        let folder = this.folder.clone();
        let Some(manifest) = this.manifests.get_mut(&epoch) else {
            return Err(Error::run_folder(folder.path(), format!("{METRICS} has no rows of epoch {epoch}")));
        };
        manifest.files.insert(name, sum);
        if manifest.files.len() < CHECKPOINT_FILES.len() {
            return Ok(());
        }
        let path = folder.checkpoints().join(manifest_name(epoch));
        let text = serde_json::to_string_pretty(manifest).map_err(|e| burn_forward::Error::burn("writing JSON", e))?;
        this.manifests.remove(&epoch);
        crate::files::write(path, text + "\n")
    }
}

/// Why a checkpoint cannot be used, naming the file that is to blame.
pub(crate) type Fault = String;

/// Checks the checkpoint of `epoch`: its manifest, the sums of its files, and the rows of metrics up to it.
pub(crate) fn check_checkpoint(folder: &RunFolder, epoch: usize) -> Result<(), Fault> {
    let Some(manifest) = read_manifest(folder, epoch)? else { return check_readable(folder, epoch) };
    let rows = rows_sum(folder, manifest.rows).map_err(|e| format!("{METRICS} cannot be read: {e}"))?;
    if rows != manifest.rows_sum {
        return Err(format!("{METRICS} is not as checkpoint/{} says it was", manifest_name(epoch)));
    }
    for kind in CHECKPOINT_FILES {
        check_file(folder, &manifest, kind)?;
    }
    Ok(())
}

/// Checks the model in the checkpoint of `epoch`, which is all that inference needs.
pub(crate) fn check_model(folder: &RunFolder, epoch: usize) -> Result<(), Fault> {
    match read_manifest(folder, epoch)? {
        Some(manifest) => check_file(folder, &manifest, "model"),
        None => check_readable(folder, epoch),
    }
}

/// The manifest of an epoch; `None` if the folder's checkpoints are from before there were any.
fn read_manifest(folder: &RunFolder, epoch: usize) -> Result<Option<Manifest>, Fault> {
    let name = manifest_name(epoch);
    let text = match std::fs::read_to_string(folder.checkpoints().join(&name)) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !folder.has_manifests() => return Ok(None),
        Err(e) => return Err(format!("checkpoint/{name} cannot be read: {e}")),
    };
    let manifest: Manifest = serde_json::from_str(&text).map_err(|e| format!("checkpoint/{name} is damaged: {e}"))?;
    match manifest.epoch == epoch {
        true => Ok(Some(manifest)),
        false => Err(format!("checkpoint/{name} is that of epoch {}", manifest.epoch)),
    }
}

fn check_file(folder: &RunFolder, manifest: &Manifest, kind: &str) -> Result<(), Fault> {
    let name = file_name(kind, manifest.epoch);
    let sum =
        sum_of_file(&folder.checkpoints().join(&name)).map_err(|e| format!("checkpoint/{name} cannot be read: {e}"))?;
    match manifest.files.get(&name) == Some(&sum) {
        true => Ok(()),
        false => Err(format!("checkpoint/{name} is damaged, or of another run: it is not as it was saved")),
    }
}

/// Whether the files of a checkpoint without a manifest are records.
fn check_readable(folder: &RunFolder, epoch: usize) -> Result<(), Fault> {
    for kind in CHECKPOINT_FILES {
        let name = file_name(kind, epoch);
        let path = folder.checkpoints().join(&name);
        let read = match kind {
            "model" => ModuleRecord::load(&path).map(drop),
            "optim" => OptimizerRecord::load(&path).map(drop),
            _ => LrSchedulerRecord::load(&path).map(drop),
        };
        read.map_err(|e| format!("checkpoint/{name} cannot be read: {e}"))?;
    }
    Ok(())
}

/// Sum of the first `bytes` bytes of `metrics.jsonl`.
fn rows_sum(folder: &RunFolder, bytes: u64) -> std::io::Result<String> {
    let mut text = Vec::new();
    File::open(folder.file(METRICS))?.take(bytes).read_to_end(&mut text)?;
    Ok(hexadecimal(Sha256::new_with_prefix(&text)))
}
