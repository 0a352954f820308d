//! The `burn-forward` program as a library, which connects the command line with the `burn-forward` crates.
//!
//! To get every command (`train`, `compare`, `check`, `report` ...) for your own rules, networks and data sets, write a program
//! that adds their rows to the [`registry`](registry()) and calls [`run`]:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use burn_forward::rules::{MonoForwardConfig, rule_entry_of};
//!
//! fn main() -> ExitCode {
//!     let mut registry = burn_forward_cli::registry();
//! // Here a rule of burn-forward under another name takes the place of your own.
//!     registry.rules.push(rule_entry_of::<MonoForwardConfig>("my-rule", "what it does", "where it comes from"));
//!     burn_forward_cli::run(&registry)
//! }
//! ```
//!
//! Such a program may call [`flush_denormals`] first, as `burn-forward` itself does: it shortens a long training with momentum
//! by a third.
//!
//! The exit code is 0 on success, 1 if the run failed, and 2 if the input was wrong.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod allocator;
mod args;
mod commands;
mod denormals;
mod output;
mod signals;
mod tables;

use std::process::ExitCode;

use burn_forward::registry::Registry;
use clap::FromArgMatches;

use args::{Cli, Command};

pub use denormals::flush_denormals;

/// The rules, networks and data sets of burn-forward's own crates: everything that a config may name.
pub fn registry() -> Registry {
    let mut registry = burn_forward_train::registry();
    burn_forward_cnn::register(&mut registry);
    burn_forward_gnn::register(&mut registry);
    registry
}

/// Runs the program with the arguments of this process. Every command works with what `registry` contains. Call this function
/// first in `main`.
pub fn run(registry: &Registry) -> ExitCode {
    allocator::keep_small_return_large();
    let parsed = Cli::called(burn_forward_train::program_name()).try_get_matches();
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(said) => {
            // Help and version are regular output; failing to write them is an error.
            let written = said.print();
            return ExitCode::from(if written.is_err() { 1 } else { u8::try_from(said.exit_code()).unwrap_or(2) });
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("BURN_FORWARD_LOG"))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let result = match &cli.command {
        Command::Train(a) => commands::train::run(a, registry),
        Command::Eval(a) => commands::eval::run(a, registry),
        Command::Predict(a) => commands::predict::run(a, registry),
        Command::Compare(a) => commands::compare::run(a, registry),
        Command::Sweep(a) => commands::sweep::run(a, registry),
        Command::Costs(a) => commands::costs::run(a, registry),
        Command::FindLr(a) => commands::find_lr::run(a, registry),
        Command::Report(a) => commands::report::run(a),
        Command::Export(a) => commands::export::run(a, registry),
        Command::Audit(a) => commands::audit::run(a, registry),
        Command::Plan(a) => commands::plan::run(a, registry),
        Command::Check(a) => commands::check::run(a, registry),
        Command::List(a) => commands::list::run(a, registry),
        Command::Schema => commands::list::schema(registry),
        Command::Doctor(a) => commands::doctor::run(a),
        Command::Completions { shell } => commands::list::completions(*shell),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // The messages of the libraries are complete; our own consist of a context and a cause.
            match is_of_library(&error) {
                true => output::note(format_args!("error: {error}")),
                false => output::note(format_args!("error: {error:#}")),
            }
            ExitCode::from(if is_input(&error) { 2 } else { 1 })
        }
    }
}

fn is_of_library(error: &anyhow::Error) -> bool {
    error.is::<burn_forward_train::Error>() || error.is::<burn_forward::Error>()
}

/// Whether the error lies in the user's input, and not in the run or in the disk that it writes to.
fn is_input(error: &anyhow::Error) -> bool {
    match (error.downcast_ref::<burn_forward_train::Error>(), error.downcast_ref::<burn_forward::Error>()) {
        (Some(error), _) => error.is_input(),
        (_, Some(error)) => error.is_input(),
        (None, None) => !error.is::<commands::RunFailed>() && !error.chain().any(|cause| cause.is::<std::io::Error>()),
    }
}
