//! Names of the files in a run's folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::position::Position;

/// The file that is locked while a run trains.
pub(super) const LOCK: &str = ".lock";

/// The kind of the file with a model's weights.
pub(crate) const MODEL: &str = "model";

/// The kind of the file with the state of the learning-rate schedule.
pub(crate) const SCHEDULER: &str = "scheduler";

/// The kind of the file with the state of the optimiser.
pub(crate) const OPTIMIZER: &str = "optim";

/// The kinds of files of every checkpoint.
pub(super) const KINDS: [&str; 3] = [MODEL, OPTIMIZER, SCHEDULER];

/// The rows of all epochs.
pub(crate) const METRICS: &str = "metrics.jsonl";

/// The same as a table.
pub(crate) const METRICS_CSV: &str = "metrics.csv";

/// TensorBoard's file with the rows of a split. It knows such files by the word in the middle of their names.
pub(crate) fn events_of(split: &str) -> String {
    format!("tensorboard/{split}/events.out.tfevents.metrics")
}

/// The files of a run beside its config and its checkpoints.
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

/// Name of a checkpoint's file.
pub(crate) fn file_name(kind: &str, at: Position) -> String {
    format!("{kind}-{at}.bpk")
}

/// What the name of a checkpoint's manifest begins with.
const MANIFEST: &str = "epoch-";

/// What the name of the file with the steps of a begun epoch begins with.
const STEPS: &str = "steps-";

/// Name of the manifest of a checkpoint, in the folder of checkpoints.
pub(crate) fn manifest_name(at: Position) -> String {
    format!("{MANIFEST}{at}.json")
}

/// Name of the file that says what the steps of a begun epoch measured.
pub(super) fn steps_name(at: Position) -> String {
    format!("{STEPS}{at}.json")
}

/// The position of a checkpoint's file.
pub(super) fn position_of(name: &str) -> Option<Position> {
    let of_record = |kind: &&str| name.strip_prefix(*kind)?.strip_prefix('-')?.strip_suffix(".bpk")?.parse().ok();
    let of_steps = || name.strip_prefix(STEPS)?.strip_suffix(".json")?.parse().ok();
    KINDS.iter().find_map(of_record).or_else(|| position_of_manifest(name)).or_else(of_steps)
}

/// The position of a manifest.
pub(super) fn position_of_manifest(name: &str) -> Option<Position> {
    name.strip_prefix(MANIFEST)?.strip_suffix(".json")?.parse().ok()
}

/// Path and name of the files of a folder; none if there is no such folder.
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
