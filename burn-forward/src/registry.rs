//! The registry: everything that a config may name.

use crate::data::DataEntry;
use crate::network::{NetworkEntry, network_entries};
use crate::rules::{RuleEntry, rule_entries};
use crate::{Error, Result};

/// The rules, networks and data sets that a config may name. Other crates add their rows.
#[derive(Clone)]
pub struct Registry {
    /// Learning rules.
    pub rules: Vec<RuleEntry>,
    /// Architectures.
    pub networks: Vec<NetworkEntry>,
    /// Data sets.
    pub data: Vec<DataEntry>,
}

/// The rules and networks of this crate, without any data set.
impl Default for Registry {
    fn default() -> Self {
        Self { rules: rule_entries(), networks: network_entries(), data: Vec::new() }
    }
}

impl Registry {
    /// Checks that all rules, all networks and all data sets have unique names, since a config identifies them by name alone.
    ///
    /// # Errors
    /// [`Error::Argument`] with the first duplicate name.
    pub fn check(&self) -> Result<()> {
        let kinds: [(&str, Vec<&str>); 3] = [
            ("rules", self.rules.iter().map(|row| row.name).collect()),
            ("networks", self.networks.iter().map(|row| row.name).collect()),
            ("data sets", self.data.iter().map(|row| row.name).collect()),
        ];
        for (kind, names) in kinds {
            for name in &names {
                let count = names.iter().filter(|other| *other == name).count();
                if count > 1 {
                    let what = format!("number of {kind} called \"{name}\"");
                    return Err(Error::argument("Registry", what, count, "1, since a row is identified by its name"));
                }
            }
        }
        Ok(())
    }
}
