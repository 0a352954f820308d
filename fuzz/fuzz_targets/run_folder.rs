//! The files of a run folder, separated by lines of `===`, read for a report.
#![no_main]

use burn_forward_fuzz::{folder, parts, write_files};
use burn_forward_train::report::RunRecord;
use burn_forward_train::run_folder::RunFolder;
use libfuzzer_sys::fuzz_target;

const FILES: [&str; 7] =
    ["config.json", "metrics.jsonl", "run.json", "summary.json", "evaluation.json", "audit.json", "graph.json"];

fuzz_target!(|input: &[u8]| {
    write_files(&FILES, &parts(input));
    if let Ok(folder) = RunFolder::open(folder()) {
        drop(folder.rows());
    }
    if let Ok(record) = RunRecord::load(folder()) {
        // Render a page from whatever was accepted.
        drop(burn_forward_train::report::write(&[record], folder().join("report.html")));
    }
});
