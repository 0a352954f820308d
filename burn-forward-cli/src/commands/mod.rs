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
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn_forward::ConfigError;
use burn_forward::config::{Registry, RunConfig};
use burn_forward::data::DataFolders;
use burn_forward::training::{Run, RunFolder, RunOptions};
use serde_json::json;

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
        git_revision: REVISION.map(str::to_string),
    }
}

/// Git revision that the program was built from, where its build script could tell; `-dirty` where sources were changed.
const REVISION: Option<&str> = option_env!("BURN_FORWARD_REVISION");

/// The program's version, with its revision where that is known.
pub(crate) fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    REVISION.map_or(version.to_string(), |revision| format!("{version} ({revision})"))
}

/// The file that was asked for, which must not be there already unless that is fine, or the command's own.
fn output_file(asked: Option<&Path>, force: bool, own: impl FnOnce() -> PathBuf) -> Result<PathBuf> {
    match asked {
        None => Ok(own()),
        // Devices and pipes are there to be written to.
        Some(out) if out.is_file() && !force => {
            Err(InputWrong(format!("{}: is there already; needed: another --out, or --force", out.display())).into())
        }
        Some(out) => Ok(out.to_path_buf()),
    }
}

/// The folder that was asked for, made if it is not there, or the first of `runs/<name>-1`, `runs/<name>-2` ... that is not
/// there yet. One that is not empty has to be `known` to the command.
fn output_folder(asked: Option<&Path>, name: &str, known: impl FnOnce(&Path) -> bool) -> Result<PathBuf> {
    let folder = match asked {
        Some(asked) => asked.to_path_buf(),
        None => {
            let mut all = (1..).map(|n| PathBuf::from(format!("runs/{name}-{n}")));
            all.find(|folder| !folder.exists()).context("no folder is free")?
        }
    };
    let is_empty = || std::fs::read_dir(&folder).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty() && !known(&folder) {
        let found = format!("{}: is not empty, and was not begun by this command", folder.display());
        return Err(InputWrong(format!("{found}; needed: another --out, or --force")).into());
    }
    std::fs::create_dir_all(&folder).map_err(|e| burn_forward::Error::write(&folder, e))?;
    Ok(folder)
}

/// Says on standard error what is known to fail.
pub(crate) fn warn(warnings: Vec<ConfigError>) {
    for warning in warnings {
        crate::output::note(format_args!("warning: {warning}"));
    }
}

/// A config from a file, with its data.
pub(crate) fn prepare(path: &Path, change: &ChangeArgs) -> Result<Run> {
    let config = RunConfig::load(path, &change.assignments(), &registry())?;
    warn(config.warnings());
    let run = Run::prepare(config, options(change.device(), Some(path), change.data.as_deref()))?;
    warn(run.data.warnings());
    Ok(run)
}

/// A run that is there already, with its data; on the device it was started on where `device` is `None`.
pub(crate) fn reopen(path: &Path, device: Option<&str>, data: Option<&Path>) -> Result<(Run, RunFolder)> {
    let folder = RunFolder::open(path)?;
    let resolved = folder.read_json("config.json")?;
    // Without it a run can still be used, though not gone on with; a damaged one may say anything.
    let info = if folder.file("run.json").exists() { folder.read_json("run.json")? } else { json!({}) };
    let device = device.or(info["device"].as_str()).unwrap_or(DEFAULT_DEVICE);
    // The folder that the run was given; on another machine it may not be there, and the default is worth a look.
    let given = info["data_folder"].as_str().map(Path::new).filter(|folder| folder.is_dir());
    let origin = folder.file("config.json");
    let config = RunConfig::from_value(&origin.display().to_string(), resolved, &[], &registry())?;
    folder.check_config(&config)?;
    let run = Run::prepare(config, options(device, Some(&origin), data.or(given)))?;
    Ok((run, folder))
}
