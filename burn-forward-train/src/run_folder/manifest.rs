//! The manifest that completes a checkpoint: `checkpoint/epoch-<n>.json`, or `epoch-<n>+<steps>.json` within an epoch.
//! It contains checksums of the checkpoint's files and of the metric rows up to it.
//!
//! The manifest is written last, when everything it names is on disk. A checkpoint without one was being saved when the
//! program was killed. If the checksums differ, a file was damaged later or belongs to another run. Checkpoints from
//! versions without manifests count as intact if they can be read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use burn::lr_scheduler::LrSchedulerRecord;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::folder::RunFolder;
use super::names::{KINDS, METRICS, MODEL, SCHEDULER, file_name, manifest_name};
use super::position::Position;
use crate::files::{hexadecimal, sum_of_file};

/// Checksums of one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Number of completed epochs.
    pub epoch: usize,
    /// Number of steps in the epoch after them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps: usize,
    /// Number of bytes of `metrics.jsonl` up to and including the rows of the completed epochs.
    pub rows: u64,
    /// SHA-256 of these bytes.
    pub rows_sum: String,
    /// SHA-256 of every file, by file name.
    pub files: BTreeMap<String, String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(steps: &usize) -> bool {
    *steps == 0
}

/// Why a checkpoint cannot be used; names the faulty file.
pub(crate) type Fault = String;

/// Checks the checkpoint at a position: its manifest, the checksums of its files, and the metric rows up to it.
pub(crate) fn check_checkpoint(folder: &RunFolder, at: Position) -> Result<(), Fault> {
    let Some(manifest) = read_manifest(folder, at)? else { return check_readable(folder, at) };
    let rows = rows_sum(folder, manifest.rows).map_err(|e| format!("{METRICS} cannot be read: {e}"))?;
    if rows != manifest.rows_sum {
        return Err(format!("{METRICS} does not match its checksum in checkpoint/{}", manifest_name(at)));
    }
    for kind in KINDS {
        check_file(folder, &manifest, &file_name(kind, at))?;
    }
    manifest.files.keys().try_for_each(|name| check_file(folder, &manifest, name))
}

/// Checks the model in the checkpoint of `epoch`, which is all that inference needs.
pub(crate) fn check_model(folder: &RunFolder, epoch: usize) -> Result<(), Fault> {
    let at = Position::after_epoch(epoch);
    match read_manifest(folder, at)? {
        Some(manifest) => check_file(folder, &manifest, &file_name(MODEL, at)),
        None => check_readable(folder, at),
    }
}

/// The manifest of a checkpoint; `None` if the checkpoints in the folder are from a version without manifests.
fn read_manifest(folder: &RunFolder, at: Position) -> Result<Option<Manifest>, Fault> {
    let name = manifest_name(at);
    let text = match std::fs::read_to_string(folder.checkpoints().join(&name)) {
        Ok(text) => text,
        // Those versions saved at the end of an epoch only.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !folder.has_manifests() && !at.is_within_epoch() => {
            return Ok(None);
        }
        Err(e) => return Err(format!("checkpoint/{name} cannot be read: {e}")),
    };
    let manifest: Manifest = serde_json::from_str(&text).map_err(|e| format!("checkpoint/{name} is damaged: {e}"))?;
    match (Position { epochs: manifest.epoch, steps: manifest.steps }) {
        of if of == at => Ok(Some(manifest)),
        of => Err(format!("checkpoint/{name} belongs to epoch {of}")),
    }
}

fn check_file(folder: &RunFolder, manifest: &Manifest, name: &str) -> Result<(), Fault> {
    let sum =
        sum_of_file(&folder.checkpoints().join(name)).map_err(|e| format!("checkpoint/{name} cannot be read: {e}"))?;
    match manifest.files.get(name) == Some(&sum) {
        true => Ok(()),
        false => Err(format!("checkpoint/{name} is damaged or belongs to another run: its checksum does not match")),
    }
}

/// Checks that the files of a checkpoint without a manifest are valid records.
fn check_readable(folder: &RunFolder, at: Position) -> Result<(), Fault> {
    for kind in KINDS {
        let name = file_name(kind, at);
        let path = folder.checkpoints().join(&name);
        let read = match kind {
            MODEL => ModuleRecord::load(&path).map(drop),
            SCHEDULER => LrSchedulerRecord::load(&path).map(drop),
            _ => OptimizerRecord::load(&path).map(drop),
        };
        read.map_err(|e| format!("checkpoint/{name} cannot be read: {e}"))?;
    }
    Ok(())
}

/// Checksum of the first `bytes` bytes of `metrics.jsonl`.
fn rows_sum(folder: &RunFolder, bytes: u64) -> std::io::Result<String> {
    let mut text = Vec::new();
    File::open(folder.file(METRICS))?.take(bytes).read_to_end(&mut text)?;
    Ok(hexadecimal(Sha256::new_with_prefix(&text)))
}
