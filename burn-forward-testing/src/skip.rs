//! Skipping of tests that need a program or a data set that a machine may lack.
//!
//! Such a test returns early, which the test harness counts as a success. To make it visible, the functions here write a line
//! to standard error, which the harness does not capture, and append it to the file that `BURN_FORWARD_SKIPPED` names;
//! `scripts/check` counts its lines. With `BURN_FORWARD_REQUIRE_ALL=1`, which CI sets, a missing tool fails the test instead.
//!
//! ```no_run
//! use std::process::Command;
//!
//! use burn_forward_testing::skip;
//!
//! fn a_browser_opens_the_report() {
//!     if Command::new("chromium").arg("--version").output().is_err() {
//!         return skip::without_tool("chromium");
//!     }
//!     // ..
//! }
//!
//! fn mnist_has_ten_classes() {
//!     let Some(folders) = skip::unless_data_has("mnist") else { return };
//!     // ..
//! #   drop(folders);
//! }
//! # a_browser_opens_the_report();
//! # mnist_has_ten_classes();
//! ```

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use burn_forward::data::DataFolders;

/// Whether a missing tool fails a test: 1 means yes.
const REQUIRE_ALL: &str = "BURN_FORWARD_REQUIRE_ALL";
/// The file that collects skipped tests.
const SKIPPED: &str = "BURN_FORWARD_SKIPPED";

/// Skips the calling test because a program or a package is missing that CI installs.
///
/// # Panics
/// If `BURN_FORWARD_REQUIRE_ALL` is 1.
pub fn without_tool(tool: impl Display) {
    let required = is_set(std::env::var_os(REQUIRE_ALL).as_deref());
    assert!(!required, "{tool} is missing, but {REQUIRE_ALL}=1 requires everything that the tests need");
    because(format!("no {tool}"));
}

/// The data folder that `BURN_FORWARD_DATA` names, if it contains a file or folder called `name`. If it does not, or the
/// variable is not set, the calling test is skipped. A relative path is relative to the folder of the tested crate.
pub fn unless_data_has(name: &str) -> Option<DataFolders> {
    match DataFolders::new(None, None).environment {
        Some(root) if root.join(name).exists() => Some(DataFolders { argument: Some(root), ..DataFolders::default() }),
        Some(root) => {
            because(format!("no {name} in {}, which BURN_FORWARD_DATA names", root.display()));
            None
        }
        None => {
            because(format!("no {name}: BURN_FORWARD_DATA is not set"));
            None
        }
    }
}

/// Skips the calling test, or a part of it, because this system cannot run it, whatever CI requires.
pub fn because(reason: impl Display) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = line(&test, &reason.to_string());
    // Not `eprint!`, which the harness captures. A closed standard error must not fail a test.
    drop(std::io::stderr().write_all(line.as_bytes()));
    if let Some(path) = std::env::var_os(SKIPPED).filter(|path| !path.is_empty()) {
        append(Path::new(&path), &line);
    }
}

/// Appends in a single write, because tests on several threads and in several programs share the file.
fn append(path: &Path, line: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    assert!(written.is_ok(), "{SKIPPED}: {} cannot be written: {written:?}", path.display());
}

fn is_set(value: Option<&OsStr>) -> bool {
    value.is_some_and(|value| value == "1")
}

fn line(test: &str, reason: &str) -> String {
    format!("SKIPPED {test}: {}\n", reason.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_one_line_with_the_test_and_the_reason() {
        assert_eq!(line("weights::load", "no chromium"), "SKIPPED weights::load: no chromium\n");
        assert_eq!(line("t", "a\nb").lines().count(), 1);
    }

    #[test]
    fn only_1_requires_all() {
        assert!(is_set(Some(OsStr::new("1"))));
        for value in [None, Some(OsStr::new("")), Some(OsStr::new("0"))] {
            assert!(!is_set(value));
        }
    }

    #[test]
    fn lines_are_appended() {
        let path = std::env::temp_dir().join(format!("burn-forward-skipped-{}", std::process::id()));
        for n in 1..3 {
            append(&path, &line("t", "r"));
            assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), n);
        }
        std::fs::remove_file(path).unwrap();
    }
}
