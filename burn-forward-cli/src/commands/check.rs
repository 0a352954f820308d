//! `check`: reports all mistakes in configs before anything runs.

use std::path::Path;

use anyhow::Result;
use burn_forward::registry::Registry;
use burn_forward_train::config::RunConfig;
use burn_forward_train::training::{self, Checked};

use super::{InputWrong, options};
use crate::args::{ChangeArgs, CheckArgs};
use crate::output::{note, print_line};

pub(crate) fn run(args: &CheckArgs, registry: &Registry) -> Result<()> {
    let mut failed = 0;
    for path in &args.configs {
        match check(path, &args.change, registry) {
            Ok(words) => print_line(format_args!("{}: ok ({words})", path.display()))?,
            Err(error) => {
                note(format_args!("error: {error}"));
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(()),
        n => Err(InputWrong(format!("{n} of {} configs cannot be used", args.configs.len())).into()),
    }
}

/// Rejects whatever `train` would reject. Returns a description of what the config trains.
pub(super) fn check(path: &Path, change: &ChangeArgs, registry: &Registry) -> burn_forward::Result<String> {
    let config = RunConfig::load(path, &change.assignments(), registry)?;
    super::warn(config.warnings());
    let words = format!("{} on {}", config.rule_name, config.network_name);
    let data = config.data_name.clone();
    let checked = training::check(config, options(change.device(), Some(path), change.data.as_deref()))?;
    Ok(match checked {
        Checked::WithData(warnings) => {
            super::warn(warnings);
            words
        }
        Checked::WithShape => format!("{words}; \"{data}\" not found: only checked against its shape"),
        Checked::ConfigOnly => format!("{words}; \"{data}\" not found: not checked against its shape"),
    })
}
