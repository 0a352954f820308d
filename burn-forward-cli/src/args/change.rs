//! Arguments shared by several commands: a config, and options that change it.

use std::path::PathBuf;

use burn_forward_train::quick_look::QuickLook;
use clap::Args;

/// A config with the options that change it.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// The config file (JSON)
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// Options that change a config.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ChangeArgs {
    /// Override a setting, for example `--set optimizer.lr=0.01`; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Seed of all random streams; overrides the seed of the config
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Device: flex (the default), ndarray, wgpu, libtorch, cuda:0 ... (see `doctor`)
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// Folder with data sets; overrides BURN_FORWARD_DATA and the platform's cache folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
}

/// The device if none is given.
pub(crate) const DEFAULT_DEVICE: &str = "flex";

impl ChangeArgs {
    /// The given device, or the default.
    pub(crate) fn device(&self) -> &str {
        self.device.as_deref().unwrap_or(DEFAULT_DEVICE)
    }

    /// The assignments of `--set`, including the seed.
    pub(crate) fn assignments(&self) -> Vec<String> {
        self.sets.iter().cloned().chain(self.seed.map(|s| format!("seed={s}"))).collect()
    }
}

/// Options for a run on part of its data.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct LookArgs {
    /// Quick look at whether the config can learn: train on the first N training samples only, validate and test on the same
    /// samples
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) overfit: Option<usize>,
    /// Quick look: use at most N batches per epoch and per validation and test
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) limit_batches: Option<usize>,
}

/// A whole number of at least 1.
fn at_least_1(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("needed: at least 1".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}; needed: a whole number, at least 1")),
    }
}

impl LookArgs {
    /// The quick look that the options describe.
    pub(crate) fn quick_look(self) -> QuickLook {
        QuickLook { overfit: self.overfit, limit_batches: self.limit_batches }
    }
}
