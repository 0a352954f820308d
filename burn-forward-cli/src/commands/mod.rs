//! One file per command.

pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod costs;
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

use crate::args::{ChangeArgs, DEFAULT_DEVICE};

/// A failure of a run (exit code 1) that is not an error of the library.
#[derive(Debug)]
pub(crate) struct RunFailed(pub(crate) String);

impl fmt::Display for RunFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RunFailed {}

/// Input that cannot be used (exit code 2), where the library has no error for it.
#[derive(Debug)]
pub(crate) struct InputWrong(pub(crate) String);

impl fmt::Display for InputWrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InputWrong {}

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
        crate::output::note(format_args!("warning: {warning}"));
    }
}

/// A config from a file, with its data.
pub(crate) fn prepare(path: &Path, change: &ChangeArgs) -> Result<Run> {
    let config = RunConfig::load(path, &change.assignments(), &registry())?;
    warn(&config);
    Ok(Run::prepare(config, options(change.device(), Some(path), change.data.as_deref()))?)
}

/// A run that is there already, with its data; on the device it was started on where `device` is `None`.
pub(crate) fn reopen(path: &Path, device: Option<&str>, data: Option<&Path>) -> Result<(Run, RunFolder)> {
    let folder = RunFolder::open(path)?;
    let resolved = folder.read_json("config.json")?;
    let info = folder.read_json("run.json").unwrap_or_default();
    let device = device.or(info["device"].as_str()).unwrap_or(DEFAULT_DEVICE);
    // The folder that the run was given; on another machine it may not be there, and the default is worth a look.
    let given = info["data_folder"].as_str().map(Path::new).filter(|folder| folder.is_dir());
    let origin = folder.file("config.json");
    let config = RunConfig::from_value(&origin.display().to_string(), resolved, &[], &registry())?;
    let run = Run::prepare(config, options(device, Some(&origin), data.or(given)))?;
    Ok((run, folder))
}
