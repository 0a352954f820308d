//! Sets `BURN_FORWARD_REVISION` to the git revision that the program is built from, if it is known.
//!
//! A packaged crate has the revision in a file that Cargo adds to it. A checkout has it in git, unless the crate lies in
//! another repository, whose revision would say nothing about the program.

use std::path::Path;
use std::process::Command;

/// The sources of the program outside this crate.
const SOURCES: [&str; 7] = [
    "../burn-forward-kernels",
    "../burn-forward",
    "../burn-forward-cnn",
    "../burn-forward-gnn",
    "../burn-forward-train",
    "../Cargo.toml",
    "../Cargo.lock",
];

fn main() {
    let own = ["src", "build.rs", "Cargo.toml", ".cargo_vcs_info.json"];
    for path in own.iter().chain(&SOURCES).filter(|path| Path::new(path).exists()) {
        println!("cargo:rerun-if-changed={path}");
    }
    if let Some(revision) = of_package().or_else(of_checkout) {
        println!("cargo:rustc-env=BURN_FORWARD_REVISION={revision}");
    }
}

/// The revision that `cargo package` stored: `{"git": {"sha1": "..", "dirty": true}, ..}`.
fn of_package() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, after) = text.split_once("\"sha1\"")?;
    let sha1 = after.split('"').nth(1).filter(|sha1| sha1.len() >= 12)?;
    let dirty =
        text.split_once("\"dirty\"").is_some_and(|(_, value)| value.trim_start_matches([':', ' ']).starts_with("true"));
    Some(named(&sha1[..12], dirty))
}

/// The revision of the checkout that contains this crate.
fn of_checkout() -> Option<String> {
    // The crate's folder is directly below the root, and its manifest is tracked: this is our own repository.
    if git(&["rev-parse", "--show-prefix"])? != "burn-forward-cli/" {
        return None;
    }
    git(&["ls-files", "--error-unmatch", "Cargo.toml", "../burn-forward/Cargo.toml"])?;
    for file in ["HEAD", "logs/HEAD"] {
        // A commit or checkout changes these.
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let sha1 = git(&["rev-parse", "--short=12", "HEAD"])?;
    let mut status = vec!["status", "--porcelain", "--untracked-files=no", "--", "."];
    status.extend(SOURCES);
    let dirty = git(&status).is_some_and(|changed| !changed.is_empty());
    Some(named(&sha1, dirty))
}

fn named(sha1: &str, dirty: bool) -> String {
    format!("{sha1}{}", if dirty { "-dirty" } else { "" })
}

/// The output of git, if it is installed and succeeds.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_string())
}
