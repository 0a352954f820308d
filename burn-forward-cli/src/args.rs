//! The command line.

mod change;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use change::{ChangeArgs, ConfigArgs, DEFAULT_DEVICE, LookArgs};

/// Train, compare and report networks with local learning rules
#[derive(Debug, Parser)]
#[command(
    name = OURS,
    version,
    about,
    after_help = "Examples:\n  burn-forward train configs/mlp/digits-mono-forward.json\n  burn-forward train configs/mlp/mnist-mono-forward.json --set optimizer.lr=0.001 --seed 1\n  burn-forward compare configs/mlp/digits-mono-forward.json configs/mlp/digits-forward-forward.json --seeds 3\n  burn-forward report runs/digits-mono-forward-1\n\nExit codes: 0 done, 1 the run failed, 2 the input was wrong."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a config and write a run folder with weights, metrics and a report
    Train(TrainArgs),
    /// Evaluate a trained run on the test set, or a config with given weights
    Eval(EvalArgs),
    /// Predict the classes of images, in an IDX file or in PNG and JPEG files, with a trained run
    Predict(PredictArgs),
    /// Train several configs (and the baselines) on the same data and print one table
    Compare(CompareArgs),
    /// Train a config with every combination of values of some settings, and write one table and one page
    Sweep(SweepArgs),
    /// Measure time and memory of a training step for several values of a setting, and write a table and a page with plots
    Costs(CostsArgs),
    /// Try increasing learning rates from the initial weights, plot the loss, and suggest rates
    FindLr(FindLrArgs),
    /// Write one self-contained HTML page from run folders
    Report(ReportArgs),
    /// Write the inference network of a run as safetensors
    Export(ExportArgs),
    /// Compare the local updates of a config with the back-propagation gradient, block by block
    Audit(AuditArgs),
    /// Print the block table of a config: shapes, parameters, memory
    Plan(PlanArgs),
    /// Check configs and report all mistakes
    Check(CheckArgs),
    /// List rules, networks, data sets and the other parts of a config, or the settings of one
    List(ListArgs),
    /// Print the JSON Schema of configs
    Schema,
    /// Print what this build and this machine support
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The name of the program in the texts of this file.
const OURS: &str = "burn-forward";

/// The version text of other programs, whose own version is not known here.
const LIBRARY: &str = concat!("(burn-forward ", env!("CARGO_PKG_VERSION"), ")");

impl Cli {
    /// The command line of a program called `program`, whose name appears in the version and in the examples.
    pub(crate) fn called(program: &'static str) -> clap::Command {
        let renamed = |command: clap::Command| {
            let help = command.get_after_help().map(|help| help.to_string());
            match help {
                Some(help) => command.after_help(help.replace("  burn-forward ", &format!("  {program} "))),
                None => command,
            }
        };
        let command = renamed(Self::command().name(program)).mut_subcommands(renamed);
        if program == OURS { command } else { command.version(LIBRARY) }
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  burn-forward train configs/mlp/digits-mono-forward.json\n  burn-forward train configs/mlp/digits-dfa.json --set training.epochs=5 --out runs/short\n  burn-forward train configs/mlp/digits-dfa.json --overfit 32\n  burn-forward train --resume runs/mnist-mono-forward-1"
)]
pub(crate) struct TrainArgs {
    /// The config file (JSON)
    #[arg(required_unless_present = "resume")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Run folder; default `runs/<config name>-<n>`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Use a folder that is not empty, and replace files with the same names; a run is never replaced
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// Resume a run that was stopped, with the same result as if it had not been stopped; uses its config and seed, and its
    /// device unless --device is given
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "sets", "seed", "out", "dry_run", "overfit", "limit_batches"])]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: LookArgs,
    /// Build the model, print the block table, run two batches and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show only errors
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Show Burn's own terminal dashboard (needs the feature `tui`)
    #[cfg(feature = "tui")]
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) tui: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Run folder; with --weights, a config file (JSON)
    pub(crate) run: PathBuf,
    /// Weights to evaluate: a PyTorch state dict or a safetensors file
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// With --weights: override a setting of the config
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "weights")]
    pub(crate) sets: Vec<String>,
    /// Device
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// Folder with data sets
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Run folder
    pub(crate) run: PathBuf,
    /// IDX file with images, raw or gzipped; or PNG and JPEG files, and folders of such files
    #[arg(required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// Device
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// Folder with data sets
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Print one JSON object per image
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every comparison includes `backprop` and `deep-supervision` with the network, data, budget and optimiser of the first config.\n\nExample:\n  burn-forward compare configs/mlp/digits-mono-forward.json configs/mlp/digits-dfa.json --seeds 3"
)]
pub(crate) struct CompareArgs {
    /// Config files, one per arm
    #[arg(required = true)]
    pub(crate) configs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Number of seeds per arm, counting up from the seed of the config
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// Folder for the runs; default `runs/compare-<n>`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Use a folder that is not empty but contains no part of this comparison, and replace files with the same names
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// Add back-propagation with gradient checkpointing, the alternative if memory is the concern
    #[arg(long)]
    pub(crate) checkpointing: bool,
    /// Print one JSON object per arm and seed on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every run is a separate process. The same command with the same --out resumes where it was stopped, and may add values or seeds to the existing ones.\n\nExample:\n  burn-forward sweep configs/mlp/digits-mono-forward.json --vary optimizer.lr=0.001,0.01 --vary network.widths=[64],[64,64] --seeds 3 --out runs/rates"
)]
pub(crate) struct SweepArgs {
    /// The config file (JSON)
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// A setting and its values; if given several times, every combination is trained
    #[arg(long, value_name = "KEY=VALUE,VALUE...", required = true)]
    pub(crate) vary: Vec<String>,
    /// Number of seeds per combination, counting up from the seed of the config
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// Folder for the runs; default `runs/sweep-<n>`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Use a folder that is not empty but contains no part of this sweep, and replace files with the same names
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// Print one JSON object per combination and seed on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every value of every arm is measured in a separate process. The baselines of `compare` and back-propagation with gradient checkpointing are also arms, with the network and data of the first config.\n\nExamples:\n  burn-forward costs configs/cnn/memory-cifar-resnet-mono-forward.json --vary network.depth=20,56,110\n  burn-forward costs configs/mlp/memory-mono-forward.json --vary network.widths=[512,512],[1024,1024] --steps 5"
)]
pub(crate) struct CostsArgs {
    /// Config files, one per arm
    #[arg(required = true)]
    pub(crate) configs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// The setting and its values
    #[arg(long, value_name = "KEY=VALUE,VALUE...")]
    pub(crate) vary: String,
    /// Training steps per point
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) steps: u64,
    /// Folder for the configs, measurements and page; default `runs/costs-<n>`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Use a folder that is not empty, and replace files with the same names
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// Print one JSON object per point on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every step learns from one batch, with a rate that is a fixed multiple of the one before. The weights are not kept. The test ends when the smoothed loss exceeds four times its minimum.\n\nExample:\n  burn-forward find-lr configs/mlp/digits-mono-forward.json --out rates.html"
)]
pub(crate) struct FindLrArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The first rate
    #[arg(long, value_name = "RATE", default_value_t = 1e-7, allow_negative_numbers = true)]
    pub(crate) from: f64,
    /// The last rate
    #[arg(long, value_name = "RATE", default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) to: f64,
    /// Number of rates, with one batch each
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) steps: usize,
    /// Also write the curve to an HTML page
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Run folders
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// File for the page; default `report.html` in the run folder, or `comparison.html` in the first of several
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Run folder
    pub(crate) run: PathBuf,
    /// File for the weights; default `model.safetensors` in the run folder
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// Folder with data sets
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Audit the trained weights of this run instead of the initial ones
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Also run this number of training steps and print the cost of one: its seconds, and its memory in addition to what was
    /// already in use
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Config files
    #[arg(required = true)]
    pub(crate) configs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show the settings of this rule, network, data set or other part of a config
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Folder with data sets
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
}
