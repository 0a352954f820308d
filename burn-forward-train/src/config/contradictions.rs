//! Contradictions between parts of a config that are valid by themselves.

use burn_forward::ConfigError;
use burn_forward::rules::Context;
use serde_json::Value;

use super::parts::Parts;
use super::{FinalWeights, TrainingConfig};
use crate::schedule::ScheduleConfig;

impl Parts {
    /// All contradictions, for a network with this number of learning `blocks`. Also decides whether a greedy schedule
    /// caches outputs.
    pub(super) fn contradictions(&mut self, blocks: usize) -> Vec<ConfigError> {
        let context = Context {
            network_name: &self.network.name,
            network: self.network.settings.as_ref(),
            blocks: Some(blocks),
            input: None,
            classes: None,
            optimizer: Some(&self.fixed.optimizer),
        };
        let mut errors = self.data.settings.check();
        errors.extend(self.fixed.name.as_deref().and_then(bad_name));
        errors.extend(self.rule.settings.check(&context));
        errors.extend(self.fixed.optimizer.check(Some(blocks)));
        errors.extend(self.schedule_mistake());
        if !self.data.settings.validates() {
            let why = match self.data.resolved.get("validation") {
                Some(_) => "$.data.validation is 0",
                None => "$.data does not hold out a validation set",
            };
            errors.extend(need_validation(&self.fixed.training, self.fixed.schedule, &self.rule.resolved, why));
        }
        if self.fixed.schedule.is_greedy() && self.fixed.training.patience.is_some() {
            errors.push(ConfigError::new(
                "$.training.patience",
                "has no effect under a greedy schedule; needed: $.schedule.patience, which applies to every block",
            ));
        }
        if self.fixed.training.checkpoint_every.is_some_and(|every| every.steps.is_none() && every.minutes.is_none()) {
            errors.push(ConfigError::new("$.training.checkpoint-every", "needs \"steps\", \"minutes\" or both"));
        }
        errors
    }

    /// Conflicts of rule and data with the schedule. Also decides whether a greedy schedule caches outputs.
    fn schedule_mistake(&mut self) -> Option<ConfigError> {
        let rule = &self.rule.settings;
        if self.fixed.schedule.is_greedy()
            && let Err(reason) = rule.greedy()
        {
            return Some(ConfigError::new("$.schedule.name", format!("\"greedy\" is not possible: {reason}")));
        }
        let possible = rule.cacheable().and_then(|()| self.data.settings.cacheable());
        let reason = self.fixed.schedule.resolve_cache(possible).err()?;
        let message = format!("true is not possible: {reason}; needed: false, or leave it out");
        Some(ConfigError::new("$.schedule.cache", message))
    }
}

/// Common file systems limit a name to 255 bytes, and suffixes such as `-1`, `-seed0.json` or a temporary one are
/// appended.
const MOST_BYTES_OF_A_NAME: usize = 200;

fn bad_name(name: &str) -> Option<ConfigError> {
    let has_bad_character = || name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\'));
    let is_bad = name.trim().is_empty() || name.len() > MOST_BYTES_OF_A_NAME || has_bad_character();
    is_bad.then(|| ConfigError::new("$.name", format!("{name:?} cannot be part of the name of a run folder")))
}

/// An error for every setting that needs a validation set; `why` says why there is none.
pub(super) fn need_validation(
    training: &TrainingConfig,
    schedule: ScheduleConfig,
    rule: &Value,
    why: &str,
) -> Vec<ConfigError> {
    // Every rule whose heads can be read in several ways uses this key.
    let sip = |rule: &Value| rule["readout"] == "sip";
    [
        ("$.training.final-weights", training.final_weights == FinalWeights::Best, "\"best\" needs a validation set"),
        ("$.rule.readout", sip(rule), "\"sip\" needs a validation set to choose blocks"),
        ("$.rule.heads.readout", sip(&rule["heads"]), "\"sip\" needs a validation set to choose blocks"),
        ("$.training.patience", training.patience.is_some(), "needs a validation set"),
        ("$.schedule.patience", schedule.patience().is_some(), "needs a validation set"),
    ]
    .into_iter()
    .filter(|(_, asked, _)| *asked)
    .map(|(path, _, needs)| ConfigError::new(path, format!("{needs}; {why}")))
    .collect()
}
