//! The `burn-forward` program: glue between the command line and the `burn-forward` library.
//!
//! Exit codes: 0 done, 1 the run failed, 2 the input was wrong.

mod allocator;
mod args;
mod commands;
mod tables;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    allocator::return_large_blocks();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("BURN_FORWARD_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let result = match &cli.command {
        Command::Train(a) => commands::train::run(a),
        Command::Eval(a) => commands::eval::run(a),
        Command::Predict(a) => commands::predict::run(a),
        Command::Compare(a) => commands::compare::run(a),
        Command::Report(a) => commands::report::run(a),
        Command::Export(a) => commands::export::run(a),
        Command::Audit(a) => commands::audit::run(a),
        Command::Plan(a) => commands::plan::run(a),
        Command::Check(a) => commands::check::run(a),
        Command::List(a) => commands::list::run(a),
        Command::Schema => commands::list::schema(),
        Command::Doctor(a) => commands::doctor::run(a),
        Command::Completions { shell } => commands::list::completions(*shell),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            let input = error.downcast_ref::<burn_forward::Error>().is_none_or(burn_forward::Error::is_input);
            ExitCode::from(if input && error.downcast_ref::<commands::RunFailed>().is_none() { 2 } else { 1 })
        }
    }
}
