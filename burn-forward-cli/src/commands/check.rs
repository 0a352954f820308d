//! `check`: every mistake of configs, before anything runs.

use anyhow::Result;
use burn_forward::config::RunConfig;
use burn_forward::{ConfigErrors, Error};

use super::registry;
use crate::args::CheckArgs;

pub(crate) fn run(args: &CheckArgs) -> Result<()> {
    let registry = registry();
    let mut failed: Option<Error> = None;
    for path in &args.configs {
        match RunConfig::load(path, &args.sets, &registry) {
            Ok(config) => {
                super::warn(&config);
                println!("{}: ok ({} on {})", path.display(), config.rule_name, config.network_name);
            }
            Err(error) => {
                if failed.is_some() {
                    eprintln!("error: {error}");
                }
                failed.get_or_insert(error);
            }
        }
    }
    match failed {
        None => Ok(()),
        Some(Error::Config(ConfigErrors { origin, errors })) => {
            Err(Error::Config(ConfigErrors { origin, errors }).into())
        }
        Some(other) => Err(other.into()),
    }
}
