//! What several commands take: a config, and what may be changed of it from outside.

use std::path::PathBuf;

use burn_forward_train::quick_look::QuickLook;
use clap::Args;

/// A config with what may be changed from outside.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// The config file (JSON)
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// What may be changed from outside.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ChangeArgs {
    /// Override a setting: `--set optimizer.lr=0.01`; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Root of all random streams, instead of the config's
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Device: flex (the default), ndarray, wgpu, libtorch, cuda:0 ... (see `doctor`)
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// Folder with data sets, instead of BURN_FORWARD_DATA or the platform's cache folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
}

/// The device where none is asked for.
pub(crate) const DEFAULT_DEVICE: &str = "flex";

impl ChangeArgs {
    /// The device asked for, or the default.
    pub(crate) fn device(&self) -> &str {
        self.device.as_deref().unwrap_or(DEFAULT_DEVICE)
    }

    /// `--set` with the seed among it.
    pub(crate) fn assignments(&self) -> Vec<String> {
        self.sets.iter().cloned().chain(self.seed.map(|s| format!("seed={s}"))).collect()
    }
}

/// A run on a part of its data.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct LookArgs {
    /// A quick look whether the config can learn: learn the first N training samples alone, validate and test on the same
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) overfit: Option<usize>,
    /// A quick look: at most N batches of every epoch, and of every validation and test
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) limit_batches: Option<usize>,
}

/// A whole number that is not 0.
fn at_least_1(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("needed: at least 1".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}; needed: a whole number, at least 1")),
    }
}

impl LookArgs {
    /// What was asked for.
    pub(crate) fn quick_look(self) -> QuickLook {
        QuickLook { overfit: self.overfit, limit_batches: self.limit_batches }
    }
}
