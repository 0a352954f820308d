//! What can be typed.

mod change;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use change::{ChangeArgs, ConfigArgs, DEFAULT_DEVICE, LookArgs};

/// Trains, compares and reports networks with local learning rules.
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
    /// Train a config and leave a run folder with weights, metrics and a report
    Train(TrainArgs),
    /// Evaluate a trained run, or a config with weights from elsewhere, on the test set
    Eval(EvalArgs),
    /// Predict the classes of images, in an IDX file or in PNG and JPEG files, with a trained run
    Predict(PredictArgs),
    /// Train several configs (and the baselines) on the same data and print one table
    Compare(CompareArgs),
    /// Train a config with every combination of the values of some settings: one table and one page
    Sweep(SweepArgs),
    /// Measure time and memory of a training step along the values of one setting: a table and a page with plots
    Costs(CostsArgs),
    /// Try growing learning rates from initial weights, and suggest some: the loss over the rate
    FindLr(FindLrArgs),
    /// Write one self-contained HTML page from run folders
    Report(ReportArgs),
    /// Write the inference network of a run as safetensors
    Export(ExportArgs),
    /// Compare a config's local updates with the back-propagation gradient, block by block
    Audit(AuditArgs),
    /// Print a config's block table: shapes, parameters, memory
    Plan(PlanArgs),
    /// Check configs and report every mistake
    Check(CheckArgs),
    /// List rules, networks, data sets and the other parts of a config, or the settings of one
    List(ListArgs),
    /// Print the JSON Schema of configs
    Schema,
    /// Say what this build and this machine can do
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The name that the texts of this file have for the program.
const OURS: &str = "burn-forward";

/// What another program says of its version: it has none that is known here.
const LIBRARY: &str = concat!("(burn-forward ", env!("CARGO_PKG_VERSION"), ")");

impl Cli {
    /// The command line of a program that is called `program`: its name is in the version and in the examples.
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
    /// Use a folder that is not empty and replace files of the same names; a run is never replaced
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// Go on with a run that was stopped, exactly as if it had not been: with its own config and seed, on its device
    /// unless --device names another
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "sets", "seed", "out", "dry_run", "overfit", "limit_batches"])]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: LookArgs,
    /// Build, print the block table, run two batches, stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show nothing but errors
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
    /// IDX file of images, raw or gzipped; or PNG and JPEG files, and folders of such
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
    after_help = "Every comparison includes `backprop` and `deep-supervision` on the network, data, budget and optimiser of the first config.\n\nExample:\n  burn-forward compare configs/mlp/digits-mono-forward.json configs/mlp/digits-dfa.json --seeds 3"
)]
pub(crate) struct CompareArgs {
    /// Config files, one arm each
    #[arg(required = true)]
    pub(crate) configs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Number of seeds per arm, counted up from the config's
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// Folder for the runs; default `runs/compare-<n>`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Use a folder that is not empty and holds no part of this comparison, and replace files of the same names
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// Add back-propagation with gradient checkpointing, the fair rival where memory is the topic
    #[arg(long)]
    pub(crate) checkpointing: bool,
    /// Print one JSON object per arm and seed on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every run is a process of its own. The same command with the same --out goes on where it was stopped, and more values or seeds are added to those that are there.\n\nExample:\n  burn-forward sweep configs/mlp/digits-mono-forward.json --vary optimizer.lr=0.001,0.01 --vary network.widths=[64],[64,64] --seeds 3 --out runs/rates"
)]
pub(crate) struct SweepArgs {
    /// The config file (JSON)
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// A setting and its values; may be given several times, for every combination
    #[arg(long, value_name = "KEY=VALUE,VALUE...", required = true)]
    pub(crate) vary: Vec<String>,
    /// Number of seeds per combination, counted up from the config's
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// Folder for the runs; default `runs/sweep-<n>`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Use a folder that is not empty and holds no part of this sweep, and replace files of the same names
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// Print one JSON object per combination and seed on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every value of every arm is a process of its own. The baselines of `compare` and back-propagation with gradient checkpointing are arms, too, on the network and data of the first config.\n\nExamples:\n  burn-forward costs configs/cnn/memory-cifar-resnet-mono-forward.json --vary network.depth=20,56,110\n  burn-forward costs configs/mlp/memory-mono-forward.json --vary network.widths=[512,512],[1024,1024] --steps 5"
)]
pub(crate) struct CostsArgs {
    /// Config files, one arm each
    #[arg(required = true)]
    pub(crate) configs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// The setting and its values
    #[arg(long, value_name = "KEY=VALUE,VALUE...")]
    pub(crate) vary: String,
    /// Training steps of every point
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) steps: u64,
    /// Folder for configs, figures and page; default `runs/costs-<n>`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Use a folder that is not empty and replace files of the same names
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// Print one JSON object per point on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every step learns one batch, with a rate that is a multiple of the one before; nothing of it is kept. The test ends where the smoothed loss exceeds four times its minimum.\n\nExample:\n  burn-forward find-lr configs/mlp/digits-mono-forward.json --out rates.html"
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
    /// Number of rates, of one batch each
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) steps: usize,
    /// Also write the curve as a page
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file, if it is there
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
    /// The page; default `report.html` in the first run folder
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file, if it is there
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Run folder
    pub(crate) run: PathBuf,
    /// The file; default `model.safetensors` in the run folder
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file, if it is there
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
    /// Audit the trained weights of this run instead of initial ones
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
    /// Also run so many training steps and print what one costs: seconds, and memory above what was there before
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
    /// Show the settings of one rule, network, data set or other part of a config
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Folder with data sets
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
}
