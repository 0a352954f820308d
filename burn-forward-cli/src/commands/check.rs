//! `check`: every mistake of configs, before anything runs.

use anyhow::Result;
use burn_forward::config::RunConfig;

use super::{InputWrong, registry};
use crate::args::CheckArgs;
use crate::output::{note, print_line};

pub(crate) fn run(args: &CheckArgs) -> Result<()> {
    let registry = registry();
    let mut failed = 0;
    for path in &args.configs {
        match RunConfig::load(path, &args.sets, &registry) {
            Ok(config) => {
                super::warn(config.warnings());
                print_line(format_args!("{}: ok ({} on {})", path.display(), config.rule_name, config.network_name))?;
            }
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
