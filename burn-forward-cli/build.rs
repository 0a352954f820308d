//! Tells the program which git revision it is built from, as `BURN_FORWARD_REVISION`; nothing where that is not known.
//!
//! A packaged crate has the revision in the file that Cargo puts into it. A checkout has it in git, unless the crate lies
//! in somebody else's repository, whose revision would say nothing of the program.

use std::path::Path;
use std::process::Command;

/// What the program is made of, beside this crate.
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

/// The revision that `cargo package` noted: `{"git": {"sha1": "..", "dirty": true}, ..}`.
fn of_package() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, after) = text.split_once("\"sha1\"")?;
    let sha1 = after.split('"').nth(1).filter(|sha1| sha1.len() >= 12)?;
    let dirty =
        text.split_once("\"dirty\"").is_some_and(|(_, value)| value.trim_start_matches([':', ' ']).starts_with("true"));
    Some(named(&sha1[..12], dirty))
}

/// The revision of the checkout that this crate is part of.
fn of_checkout() -> Option<String> {
    // The crate's folder right below the top, and its manifest tracked: our own repository and no other.
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

/// What git says, if it is there and has an answer.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_string())
}
