//! One file per command.

pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod list;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod train;

use std::fmt;
use std::path::Path;

use anyhow::Result;
use burn_forward::config::{Registry, RunConfig};
use burn_forward::data::DataFolders;
use burn_forward::training::{Run, RunFolder, RunOptions};

use crate::args::ChangeArgs;

/// A failure of a run (exit code 1) that is not an error of the library.
#[derive(Debug)]
pub(crate) struct RunFailed(pub(crate) String);

impl fmt::Display for RunFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RunFailed {}

/// Everything a config may name.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    burn_forward_cnn::register(&mut registry);
    burn_forward_gnn::register(&mut registry);
    registry
}

fn options(device: &str, config: Option<&Path>, data: Option<&Path>) -> RunOptions {
    RunOptions {
        device_name: device.to_string(),
        folders: DataFolders::new(config.and_then(Path::parent), data),
        interrupter: Default::default(),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        git_revision: git_revision(),
    }
}

/// Revision of the checkout the program is run in, if it is one.
fn git_revision() -> Option<String> {
    let output = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_string())
}

/// Says on standard error what is known to fail.
pub(crate) fn warn(config: &RunConfig) {
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
    }
}

/// A config from a file, with its data.
pub(crate) fn prepare(path: &Path, change: &ChangeArgs) -> Result<Run> {
    let config = RunConfig::load(path, &change.assignments(), &registry())?;
    warn(&config);
    Ok(Run::prepare(config, options(&change.device, Some(path), change.data.as_deref()))?)
}

/// A run that is there already, with its data.
pub(crate) fn reopen(path: &Path, device: &str, data: Option<&Path>) -> Result<(Run, RunFolder)> {
    let folder = RunFolder::open(path)?;
    let resolved = folder.read_json("config.json")?;
    let origin = folder.file("config.json").display().to_string();
    let config = RunConfig::from_value(&origin, resolved, &[], &registry())?;
    let run = Run::prepare(config, options(device, Some(&folder.file("config.json")), data))?;
    Ok((run, folder))
}
