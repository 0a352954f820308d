//! The `burn-forward` program: glue between the command line and the `burn-forward` library.
//!
//! Exit codes: 0 done, 1 the run failed, 2 the input was wrong.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod allocator;
mod args;
mod commands;
mod denormals;
mod output;
mod signals;
mod tables;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    // SAFETY: the first thing that happens, so that there is no other thread and nothing has been computed. The `unsafe` code of
    // the program and of its libraries takes sizes and addresses from integers alone; numbers it only adds and multiplies.
    #[allow(unsafe_code, reason = "a third of the time of a long training with momentum")]
    unsafe {
        denormals::flush_denormals();
    }
    allocator::keep_small_return_large();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => {
            // Help and version are answers; if they cannot be written, that is a failure.
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
        Command::Train(a) => commands::train::run(a),
        Command::Eval(a) => commands::eval::run(a),
        Command::Predict(a) => commands::predict::run(a),
        Command::Compare(a) => commands::compare::run(a),
        Command::Costs(a) => commands::costs::run(a),
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
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // The library's messages are whole; of ours, the context is one part and the cause another.
            match error.downcast_ref::<burn_forward::Error>() {
                Some(whole) => output::note(format_args!("error: {whole}")),
                None => output::note(format_args!("error: {error:#}")),
            }
            ExitCode::from(if is_input(&error) { 2 } else { 1 })
        }
    }
}

/// Whether the user's input is at fault and not the run, or the disk it was to be written to.
fn is_input(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<burn_forward::Error>() {
        Some(error) => error.is_input(),
        None => !error.is::<commands::RunFailed>() && !error.chain().any(|cause| cause.is::<std::io::Error>()),
    }
}
