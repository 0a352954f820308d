//! The settings of a rule.

use std::fmt::Debug;

use serde_json::Value;

use super::{AnyRule, Context, LocalClassifiers, Reach};
use crate::activation::RowShape;
use crate::network::{LayerRequest, Network, Partition};
use crate::optim::ParameterGroup;
use crate::random::Seed;
use crate::{ConfigError, Result};

/// The settings of a rule, before there is a network.
pub trait RuleSpec: Debug + Send + Sync {
    /// The settings with every default filled in; `Null` if they already are.
    fn resolved(&self) -> Value {
        Value::Null
    }

    /// Contradictions with the rest of the config.
    fn check(&self, _context: &Context) -> Vec<ConfigError> {
        Vec::new()
    }

    /// Warnings: permitted combinations that the user should know about, such as those known to fail.
    fn warnings(&self, _context: &Context) -> Vec<ConfigError> {
        Vec::new()
    }

    /// The partition that this rule requires.
    fn partition(&self) -> Option<Partition> {
        None
    }

    /// What crosses the borders of blocks under this rule.
    fn reach(&self) -> Reach {
        Reach::Nothing
    }

    /// Checks that blocks can be trained one after another.
    ///
    /// # Errors
    /// The reason why they cannot, for the user.
    fn greedy(&self) -> Result<(), String> {
        Ok(())
    }

    /// Checks that the output of finished blocks for a training sample is the same in every epoch, so that it can be cached.
    ///
    /// # Errors
    /// The reason why it is not, for the user.
    fn cacheable(&self) -> Result<(), String> {
        Ok(())
    }

    /// Shape of the network's input, for a rule that adds its own channels to the images.
    fn input(&self, images: RowShape) -> RowShape {
        images
    }

    /// What the rule requests of the network's layers in addition to the config, for data with `classes` classes.
    fn layer_request(&self, classes: usize) -> LayerRequest {
        LayerRequest::plain(classes)
    }

    /// These settings as those of [local classifiers](LocalClassifiers), for a rule that consists of nothing else.
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        None
    }

    /// Parameters that have their own optimiser.
    fn parameter_groups(&self) -> Vec<ParameterGroup> {
        Vec::new()
    }

    /// Builds the rule for a network, on the network's device, with weights from streams of `seed`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if the rule cannot train this network.
    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule>;
}

/// The settings of a rule that consists of a classifier on every block, so that other rules can use its heads.
pub trait ClassifierSpec {
    /// Builds the heads for a network, as [`RuleSpec::build`] does.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if the rule cannot train this network.
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers>;
}
