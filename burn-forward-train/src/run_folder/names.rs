//! Names of the files in a run folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::position::Position;

/// The file that is locked while a run trains.
pub(super) const LOCK: &str = ".lock";

/// Kind of the file with the model's weights.
pub(crate) const MODEL: &str = "model";

/// Kind of the file with the state of the learning-rate schedule.
pub(crate) const SCHEDULER: &str = "scheduler";

/// Kind of the file with the state of the optimiser.
pub(crate) const OPTIMIZER: &str = "optim";

/// Kinds of the files in every checkpoint.
pub(super) const KINDS: [&str; 3] = [MODEL, OPTIMIZER, SCHEDULER];

/// The rows of all epochs.
pub(crate) const METRICS: &str = "metrics.jsonl";

/// The same rows as a table.
pub(crate) const METRICS_CSV: &str = "metrics.csv";

/// Name of the TensorBoard file with the rows of a split. TensorBoard recognises such files by the word in the middle
/// of their names.
pub(crate) fn events_of(split: &str) -> String {
    format!("tensorboard/{split}/events.out.tfevents.metrics")
}

/// The files of a run besides its config and its checkpoints.
pub(super) const RUN_FILES: [&str; 10] = [
    "run.json",
    METRICS,
    METRICS_CSV,
    "summary.json",
    "evaluation.json",
    "model.safetensors",
    "readout.json",
    "graph.json",
    "audit.json",
    "report.html",
];

/// Name of a checkpoint file.
pub(crate) fn file_name(kind: &str, at: Position) -> String {
    format!("{kind}-{at}.bpk")
}

/// Prefix of the name of a manifest.
const MANIFEST: &str = "epoch-";

/// Prefix of the name of the file with the steps of an incomplete epoch.
const STEPS: &str = "steps-";

/// Name of a checkpoint's manifest, in the folder of checkpoints.
pub(crate) fn manifest_name(at: Position) -> String {
    format!("{MANIFEST}{at}.json")
}

/// Name of the file with the measurements of the steps of an incomplete epoch.
pub(super) fn steps_name(at: Position) -> String {
    format!("{STEPS}{at}.json")
}

/// The position that the name of a checkpoint file contains.
pub(super) fn position_of(name: &str) -> Option<Position> {
    let of_record = |kind: &&str| name.strip_prefix(*kind)?.strip_prefix('-')?.strip_suffix(".bpk")?.parse().ok();
    let of_steps = || name.strip_prefix(STEPS)?.strip_suffix(".json")?.parse().ok();
    KINDS.iter().find_map(of_record).or_else(|| position_of_manifest(name)).or_else(of_steps)
}

/// The position that the name of a manifest contains.
pub(super) fn position_of_manifest(name: &str) -> Option<Position> {
    name.strip_prefix(MANIFEST)?.strip_suffix(".json")?.parse().ok()
}

/// Paths and names of the files in a folder; empty if the folder does not exist.
pub(super) fn entries(folder: &Path) -> Vec<(PathBuf, String)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.filter_map(|e| e.ok().map(|e| (e.path(), e.file_name().to_string_lossy().into_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_file_is_and_when_it_was_saved() {
        let at = Position { epochs: 3, steps: 7 };
        for at in [at, Position::after_epoch(4)] {
            let records = KINDS.map(|kind| file_name(kind, at));
            for name in records.into_iter().chain([manifest_name(at), steps_name(at)]) {
                assert_eq!(position_of(&name), Some(at), "{name}");
            }
        }
        for name in ["notes-3.bpk", "model-3.txt", "model-x.bpk", "best-of-block-0.bpk", "epoch-.json"] {
            assert_eq!(position_of(name), None, "{name}");
        }
    }
}
