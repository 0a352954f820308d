//! `list`, `schema`, `completions`.

use anyhow::Result;
use burn_forward::Error;
use burn_forward::config::schema::describe_fields;
use clap::CommandFactory;
use clap_complete::Shell;

use super::registry;
use crate::args::{Cli, ListArgs};
use crate::tables::table;

pub(crate) fn run(args: &ListArgs) -> Result<()> {
    let registry = registry();
    let Some(name) = &args.name else {
        println!("rules (\"rule\": {{\"name\": ...}})");
        for rule in &registry.rules {
            println!("  {:<18} {}; {}", rule.name, rule.about, rule.paper);
        }
        println!("\nnetworks (\"network\": {{\"name\": ...}})");
        for network in &registry.networks {
            println!("  {:<18} {}", network.name, network.about);
        }
        println!("\ndata sets (\"data\": {{\"name\": ...}})");
        for data in &registry.data {
            println!("  {:<18} {}", data.name, data.about);
        }
        println!("\nschedules: simultaneous, greedy");
        println!("optimisers: sgd, adam, adamw, rmsprop, muon, adafactor");
        println!("\nsettings of one: burn-forward list NAME");
        return Ok(());
    };
    let schema = registry
        .rules
        .iter()
        .find(|r| r.name == name)
        .map(|r| (r.schema)())
        .or_else(|| registry.networks.iter().find(|n| n.name == name).map(|n| (n.schema)()));
    let Some(schema) = schema else {
        let names: Vec<&str> =
            registry.rules.iter().map(|r| r.name).chain(registry.networks.iter().map(|n| n.name)).collect();
        return Err(Error::argument("list", "name", format!("\"{name}\""), names.join(", ")).into());
    };
    let rows: Vec<Vec<String>> = describe_fields(&schema, &schema)
        .into_iter()
        .map(|f| vec![f.path.clone(), f.kind.clone(), f.default.clone().unwrap_or_default(), f.description.clone()])
        .collect();
    print!("{}", table(&["setting", "kind", "default", "meaning"], &rows));
    Ok(())
}

pub(crate) fn schema() -> Result<()> {
    println!("{}", serde_json::to_string_pretty(&registry().schema())?);
    Ok(())
}

pub(crate) fn completions(shell: Shell) -> Result<()> {
    clap_complete::generate(shell, &mut Cli::command(), "burn-forward", &mut std::io::stdout());
    Ok(())
}
