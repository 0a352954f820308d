//! The commands, one file each.

mod arms;
pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod costs;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod find_lr;
pub(crate) mod list;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod sweep;
pub(crate) mod train;
mod trials;
mod varied;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn_forward::ConfigError;
use burn_forward::data::DataFolders;
use burn_forward::model::LocalModel;
use burn_forward::registry::Registry;
use burn_forward_train::config::RunConfig;
use burn_forward_train::quick_look::QuickLook;
use burn_forward_train::run_folder::RunFolder;
use burn_forward_train::training::{
    RecordedPaths, Run, RunOptions, check_data, load_model, load_without_data, read_config, read_quick_look,
};
use serde_json::json;

use crate::args::{ChangeArgs, DEFAULT_DEVICE};

/// A failure of a run (exit code 1) that is not an error of a library.
#[derive(Debug)]
pub(crate) struct RunFailed(pub(crate) String);

impl fmt::Display for RunFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RunFailed {}

/// Invalid input (exit code 2) for which the libraries have no error.
#[derive(Debug)]
pub(crate) struct InputWrong(pub(crate) String);

impl fmt::Display for InputWrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InputWrong {}

fn options(device: &str, config: Option<&Path>, data: Option<&Path>) -> RunOptions {
    RunOptions {
        device_name: device.to_string(),
        folders: DataFolders::new(config.and_then(Path::parent), data),
        interrupter: Default::default(),
        quick_look: QuickLook::default(),
        // A path is not necessarily UTF-8.
        command: std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "),
        git_revision: REVISION.map(str::to_string),
    }
}

/// The git revision that the program was built from, if the build script found one; it ends with `-dirty` if sources were
/// changed.
const REVISION: Option<&str> = option_env!("BURN_FORWARD_REVISION");

/// The version of the program, with its revision if known.
pub(crate) fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    REVISION.map_or(version.to_string(), |revision| format!("{version} ({revision})"))
}

/// The file that was asked for, or else the command's own. It must not exist, unless `force` is set.
fn output_file(asked: Option<&Path>, force: bool, own: impl FnOnce() -> PathBuf) -> Result<PathBuf> {
    match asked {
        None => Ok(own()),
        // Devices and pipes exist in order to be written to.
        Some(out) if out.is_file() && !force => {
            Err(InputWrong(format!("{}: already exists; needed: another --out, or --force", out.display())).into())
        }
        Some(out) => Ok(out.to_path_buf()),
    }
}

/// The folder that was asked for, which is created if it does not exist, or else the first of `runs/<name>-1`, `runs/<name>-2`
/// ... that does not exist. If the folder is not empty, it has to be `known` to the command.
fn output_folder(asked: Option<&Path>, name: &str, known: impl FnOnce(&Path) -> bool) -> Result<PathBuf> {
    let folder = match asked {
        Some(asked) => asked.to_path_buf(),
        None => {
            let mut all = (1..).map(|n| PathBuf::from(format!("runs/{name}-{n}")));
            all.find(|folder| !folder.exists()).context("all folder names are taken")?
        }
    };
    let is_empty = || std::fs::read_dir(&folder).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty() && !known(&folder) {
        let found = format!("{}: is not empty, and was not created by this command", folder.display());
        return Err(InputWrong(format!("{found}; needed: another --out, or --force")).into());
    }
    std::fs::create_dir_all(&folder).map_err(|e| burn_forward_train::Error::write(&folder, e))?;
    Ok(folder)
}

/// Prints warnings to standard error.
pub(crate) fn warn(warnings: Vec<ConfigError>) {
    for warning in warnings {
        crate::output::note(format_args!("warning: {warning}"));
    }
}

/// A run from a config file, with its data.
pub(crate) fn prepare(path: &Path, change: &ChangeArgs, registry: &Registry) -> Result<Run> {
    prepare_part(path, change, QuickLook::default(), registry)
}

/// A run from a config file, with the part of its data that a quick look uses.
pub(crate) fn prepare_part(path: &Path, change: &ChangeArgs, look: QuickLook, registry: &Registry) -> Result<Run> {
    let config = RunConfig::load(path, &change.assignments(), registry)?;
    warn(config.warnings());
    let options = options(change.device(), Some(path), change.data.as_deref());
    let run = Run::prepare(config, RunOptions { quick_look: look, ..options })?;
    warn(run.data.warnings());
    Ok(run)
}

/// An existing run: its config, its folder, and the options to open it again.
pub(crate) struct SavedRun {
    pub(crate) config: RunConfig,
    pub(crate) folder: RunFolder,
    options: RunOptions,
}

impl SavedRun {
    /// Opens the run in a folder, on the device on which it was started if `device` is `None`.
    pub(crate) fn open(path: &Path, device: Option<&str>, data: Option<&Path>, registry: &Registry) -> Result<Self> {
        let folder = RunFolder::open(path)?;
        // A run without this file can still be used, but not resumed; a damaged file may contain anything.
        let info = if folder.file("run.json").exists() { folder.read_json("run.json")? } else { json!({}) };
        let device = device.or(info["device"].as_str()).unwrap_or(DEFAULT_DEVICE);
        let recorded = RecordedPaths::of(&info, &folder);
        let config = read_config(&folder, registry)?;
        let mut options = options(device, Some(&folder.file("config.json")), data.or(recorded.data_folder.as_deref()));
        options.folders.recorded = recorded.data_paths;
        options.quick_look = read_quick_look(&folder)?;
        Ok(Self { config, folder, options })
    }

    /// The part of the data that the run uses.
    pub(crate) fn quick_look(&self) -> QuickLook {
        self.options.quick_look
    }

    /// Warns if the run was not trained to its end, or on part of its data.
    pub(crate) fn warn_unless_result(&self) {
        let info = self.folder.read_json("run.json").unwrap_or_default();
        if let (Some(epoch), Some(status)) = (self.folder.last_checkpoint(), info["status"].as_str())
            && status != "finished"
        {
            // After a kill, the record still says "running".
            let status = if status == "running" { "not finished" } else { status };
            crate::output::note(format_args!("warning: the run is {status}; its model is the one after epoch {epoch}"));
        }
        if let Some(look) = self.quick_look().some() {
            crate::output::note(format_args!("warning: the run is a quick look, no result: {look}"));
        }
    }

    /// The run with all of its data.
    pub(crate) fn prepare(self) -> Result<(Run, RunFolder)> {
        Ok((Run::prepare(self.config, self.options)?, self.folder))
    }

    /// The trained model. Data are read only if this is necessary, see [`load_without_data`].
    pub(crate) fn model(self) -> Result<(Self, LocalModel)> {
        let device = burn_forward::device::parse(&self.options.device_name)?;
        if let Some(model) = load_without_data(&self.config, &self.folder, &device)? {
            return Ok((self, model));
        }
        let Self { config, folder, options } = self;
        let run = Run::prepare(config, options)?;
        let model = load_model(&run, &folder)?;
        let (config, options) = run.into_parts();
        Ok((Self { config, folder, options }, model))
    }

    /// The run with the data that it was begun with, to test its model on; if the training set is missing, only the test set.
    pub(crate) fn prepare_test(self, model: &LocalModel, registry: &Registry) -> Result<Run> {
        let Self { config, folder, options } = self;
        let again = RunConfig::from_value("config.json", config.resolved().clone(), &[], registry)?;
        let how = options.clone();
        match (Run::prepare(config, options), model.signature()) {
            (Ok(run), _) => {
                check_data(&folder, &run)?;
                Ok(run)
            }
            (Err(whole @ burn_forward::Error::Data { .. }), Some(signature)) => {
                let run = Run::prepare_test(again, how, signature).map_err(|_| whole)?;
                crate::output::note("warning: the training data are missing; the test data are used unchecked");
                Ok(run)
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}
