//! The real binary in a temporary folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use assert_cmd::Command;

fn program() -> Command {
    Command::cargo_bin("burn-forward").unwrap()
}

#[test]
fn help_has_examples() {
    let out = program().arg("--help").assert().success().get_output().stdout.clone();
    assert!(String::from_utf8(out).unwrap().contains("burn-forward train configs/"));
}
