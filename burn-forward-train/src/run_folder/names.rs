//! Names of the files in a run's folder.

use std::fs;
use std::path::{Path, PathBuf};

/// The file that is locked while a run trains.
pub(super) const LOCK: &str = ".lock";

/// What the files of one checkpoint begin with.
pub(super) const CHECKPOINT_FILES: [&str; 3] = ["model", "optim", "scheduler"];

/// The rows of all epochs.
pub(crate) const METRICS: &str = "metrics.jsonl";

/// The files of a run beside its config and its checkpoints.
pub(super) const RUN_FILES: [&str; 9] = [
    "run.json",
    METRICS,
    "summary.json",
    "evaluation.json",
    "model.safetensors",
    "readout.json",
    "graph.json",
    "audit.json",
    "report.html",
];

/// Name of a checkpoint's file.
pub(crate) fn file_name(kind: &str, epoch: usize) -> String {
    format!("{kind}-{epoch}.bpk")
}

/// What the name of an epoch's manifest begins with.
const MANIFEST: &str = "epoch-";

/// Name of the manifest of an epoch's checkpoint, in the folder of checkpoints.
pub(crate) fn manifest_name(epoch: usize) -> String {
    format!("{MANIFEST}{epoch}.json")
}

/// The epoch of a checkpoint's file.
pub(super) fn epoch_of(name: &str) -> Option<usize> {
    let number = |kind: &&str| name.strip_prefix(*kind)?.strip_prefix('-')?.strip_suffix(".bpk")?.parse().ok();
    CHECKPOINT_FILES.iter().find_map(number).or_else(|| epoch_of_manifest(name))
}

/// The epoch of a manifest.
pub(super) fn epoch_of_manifest(name: &str) -> Option<usize> {
    name.strip_prefix(MANIFEST)?.strip_suffix(".json")?.parse().ok()
}

/// Path and name of the files of a folder; none if there is no such folder.
pub(super) fn entries(folder: &Path) -> Vec<(PathBuf, String)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.filter_map(|e| e.ok().map(|e| (e.path(), e.file_name().to_string_lossy().into_owned()))).collect()
}
