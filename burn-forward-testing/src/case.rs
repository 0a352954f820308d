//! A rule with settings, on a network, with data, on a device: what a law is tried on.

use std::fmt;
use std::sync::Arc;

use burn::tensor::Device;
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::network::{Network, NetworkSpec, Partition};
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward::random::Seed;
use burn_forward::rules::Context;
use burn_forward::rules::{Reach, RuleEntry, RuleSpec};
use serde_json::Value;

use crate::TestData;
use crate::verdict::Violation;

/// Rows of a batch, where a law needs no other number.
const ROWS: usize = 24;

/// A network to try rules on.
#[derive(Debug, Clone)]
pub struct TestNetwork {
    name: String,
    spec: Arc<dyn NetworkSpec>,
    partition: Partition,
    smooth: bool,
}

impl TestNetwork {
    /// The network with these settings, cut into blocks by `partition`, called `name` in reports.
    pub fn new(name: impl Into<String>, spec: impl NetworkSpec + 'static, partition: Partition) -> Self {
        Self::of(name, Arc::new(spec), partition)
    }

    /// As [`new`](Self::new), for settings behind a pointer, such as a row of a registry makes of JSON.
    pub fn of(name: impl Into<String>, spec: Arc<dyn NetworkSpec>, partition: Partition) -> Self {
        Self { name: name.into(), spec, partition, smooth: true }
    }

    /// The same with rectifiers or maxima inside, whose loss has kinks: finite differences then skip a place with a kink.
    #[must_use]
    pub fn with_kinks(self) -> Self {
        Self { smooth: false, ..self }
    }

    /// Its name in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its loss has a slope everywhere.
    pub fn is_smooth(&self) -> bool {
        self.smooth
    }
}

/// What all cases of one set of laws share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) rules: Arc<Vec<RuleEntry>>,
    pub(crate) data: Arc<dyn TestData>,
    /// Step of finite differences.
    pub(crate) difference: f32,
    /// Steps in which a rule has to learn the data, and the rows of each.
    pub(crate) learning: (usize, usize),
}

/// A rule with settings, on a network, with data, on a device.
#[derive(Clone)]
pub struct Case {
    rule: String,
    settings: Value,
    network: TestNetwork,
    on: String,
    device: Device,
    shared: Shared,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {} on {}", self.rule, self.settings, self.network.name, self.on)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Case {
    pub(crate) fn new(
        (rule, settings): (&str, &Value),
        network: &TestNetwork,
        (on, device): (&str, &Device),
        shared: &Shared,
    ) -> Self {
        Self {
            rule: rule.into(),
            settings: settings.clone(),
            network: network.clone(),
            on: on.into(),
            device: device.clone(),
            shared: shared.clone(),
        }
    }

    /// The rule's name.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The rule's settings.
    pub fn settings(&self) -> &Value {
        &self.settings
    }

    /// The network.
    pub fn network(&self) -> &TestNetwork {
        &self.network
    }

    /// The device, with autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The data.
    pub fn data(&self) -> &dyn TestData {
        self.shared.data.as_ref()
    }

    /// Number of classes of the data.
    pub fn classes(&self) -> usize {
        self.data().classes()
    }

    /// Step of finite differences.
    pub fn difference(&self) -> f32 {
        self.shared.difference
    }

    /// Steps in which the rule has to learn the data, and the rows of each.
    pub fn learning_steps(&self) -> (usize, usize) {
        self.shared.learning
    }

    /// The same with another rule of the registry.
    #[must_use]
    pub fn with_rule(&self, rule: &str, settings: Value) -> Self {
        Self { rule: rule.into(), settings, ..self.clone() }
    }

    /// The same on another network.
    #[must_use]
    pub fn with_network(&self, network: TestNetwork) -> Self {
        Self { network, ..self.clone() }
    }

    /// The same on another device, or on this one set otherwise.
    #[must_use]
    pub fn with_device(&self, device: Device) -> Self {
        Self { device, ..self.clone() }
    }

    /// The rule's settings, parsed.
    ///
    /// # Errors
    /// If the registry has no such rule, or its settings cannot be read.
    pub fn spec(&self) -> Result<Box<dyn RuleSpec>, Violation> {
        let row = self.shared.rules.iter().find(|row| row.name == self.rule);
        let row = row.ok_or_else(|| Violation(format!("{self}: the registry has no rule of this name")))?;
        Ok((row.parse)(&self.settings, &self.shared.rules)?.0)
    }

    /// What crosses the borders of blocks under the rule.
    ///
    /// # Errors
    /// As [`spec`](Self::spec).
    pub fn reach(&self) -> Result<Reach, Violation> {
        Ok(self.spec()?.reach())
    }

    /// Whether blocks learn without gradients from each other.
    ///
    /// # Errors
    /// As [`spec`](Self::spec).
    pub fn is_local(&self) -> Result<bool, Violation> {
        Ok(self.reach()?.is_local())
    }

    /// Whether the rule with these settings has no objection to the network and the data.
    ///
    /// # Errors
    /// As [`spec`](Self::spec).
    pub fn accepted(&self) -> Result<bool, Violation> {
        let network = self.network.spec.as_ref();
        let context = Context {
            network_name: &self.network.name,
            network,
            blocks: self.network.partition.count(&network.outline()).ok(),
            input: Some(self.data().input()),
            classes: Some(self.classes()),
            optimizer: None,
        };
        Ok(self.spec()?.check(&context).is_empty())
    }

    /// A fresh model, with the partition that the rule insists on or else the network's own. Laws make a new one wherever a
    /// model has learned, never a clone: clones share running statistics.
    ///
    /// # Errors
    /// If the rule cannot train this network.
    pub fn model(&self, seed: Seed) -> Result<LocalModel, Violation> {
        self.model_with(self.network.partition, seed)
    }

    /// A model with other borders between the same layers.
    ///
    /// # Errors
    /// As [`model`](Self::model).
    pub fn model_with(&self, partition: Partition, seed: Seed) -> Result<LocalModel, Violation> {
        self.build(partition, self.classes(), seed)
    }

    /// A model for another number of classes.
    ///
    /// # Errors
    /// As [`model`](Self::model).
    pub fn model_for(&self, classes: usize, seed: Seed) -> Result<LocalModel, Violation> {
        self.build(self.network.partition, classes, seed)
    }

    fn build(&self, partition: Partition, classes: usize, seed: Seed) -> Result<LocalModel, Violation> {
        let spec = self.spec()?;
        let input = self.data().input();
        let request = spec.layer_request(classes);
        let layers = self.network.spec.layers_for(spec.input(input), request, seed, &self.device)?;
        let network = Network::new(layers, spec.partition().unwrap_or(partition))?;
        let network = network.with_input(input).with_device(&self.device);
        let rule = spec.build(&network, classes, seed)?;
        Ok(LocalModel::new(network, rule, seed))
    }

    /// Batch `index` of the data, of 24 rows.
    pub fn batch(&self, index: u64) -> Batch {
        self.batch_of(ROWS, index)
    }

    /// Batch `index` of the data, of `rows` rows.
    pub fn batch_of(&self, rows: usize, index: u64) -> Batch {
        self.data().batch(rows, index, &self.device)
    }

    /// The model after the rule's steps on every batch with Adam (rate 0.01) and the rule's own parameter groups.
    ///
    /// # Errors
    /// If a group is not one, a gradient is not finite, or what `after` finds after a batch.
    pub fn train(
        &self,
        mut model: LocalModel,
        batches: impl Iterator<Item = Batch>,
        mut after: impl FnMut(&LocalModel) -> Result<(), Violation>,
    ) -> Result<LocalModel, Violation> {
        const RATE: f64 = 1e-2;
        let groups = self.spec()?.parameter_groups();
        let config = OptimizerConfig::new(OptimizerName::Adam, RATE);
        let (mut optimizer, mut rates) = (config.optimizer(&groups)?, config.scheduler(&groups, 1)?);
        for batch in batches {
            let (rate, mut wrong) = (rates.step(), None);
            (model, _) = model.learn_with(&batch, |model, gradients| {
                wrong = wrong.take().or(crate::values::gradients(&model, &gradients).err());
                optimizer.step(rate.clone(), model, gradients)
            });
            wrong.map_or(Ok(()), Err)?;
            after(&model)?;
        }
        Ok(model)
    }
}
