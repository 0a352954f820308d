//! A rule's settings.

use std::fmt::Debug;

use serde_json::Value;

use super::{AnyRule, Context, LocalClassifiers, Reach};
use crate::activation::RowShape;
use crate::network::{LayerRequest, Network, Partition};
use crate::optim::ParameterGroup;
use crate::random::Seed;
use crate::{ConfigError, Result};

/// A rule's settings: what the config says, before there is a network.
pub trait RuleSpec: Debug + Send + Sync {
    /// The settings with every default filled in; `Null` where they already are.
    fn resolved(&self) -> Value {
        Value::Null
    }

    /// Contradictions with the rest of the config.
    fn check(&self, _context: &Context) -> Vec<ConfigError> {
        Vec::new()
    }

    /// What the user should know and nothing forbids: combinations that are known to fail.
    fn warnings(&self, _context: &Context) -> Vec<ConfigError> {
        Vec::new()
    }

    /// The partition this rule insists on.
    fn partition(&self) -> Option<Partition> {
        None
    }

    /// What crosses the borders of blocks under this rule.
    fn reach(&self) -> Reach {
        Reach::Nothing
    }

    /// Whether blocks can be trained one after the other; the error says why not.
    ///
    /// # Errors
    /// The reason, for the user.
    fn greedy(&self) -> Result<(), String> {
        Ok(())
    }

    /// Whether finished blocks make the same of a training sample in every epoch, so that it can be kept; the error says why
    /// not.
    ///
    /// # Errors
    /// The reason, for the user.
    fn cacheable(&self) -> Result<(), String> {
        Ok(())
    }

    /// Shape of what enters the network, for a rule that adds channels of its own to the images.
    fn input(&self, images: RowShape) -> RowShape {
        images
    }

    /// What the rule requires of the network's layers in addition to the config, for data of `classes` classes.
    fn layer_request(&self, classes: usize) -> LayerRequest {
        LayerRequest::plain(classes)
    }

    /// These settings as those of [local classifiers](LocalClassifiers), for a rule that is nothing else.
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        None
    }

    /// Parameters with an optimiser of their own.
    fn parameter_groups(&self) -> Vec<ParameterGroup> {
        Vec::new()
    }

    /// The rule for a network, on the network's device, with weights from streams of `seed`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if the rule cannot train this network.
    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule>;
}

/// Settings of a rule that has a classifier on every block and learns by nothing else, so that other rules can use its
/// heads.
pub trait ClassifierSpec {
    /// The heads for a network, as [`RuleSpec::build`] makes them.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if the rule cannot train this network.
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers>;
}
