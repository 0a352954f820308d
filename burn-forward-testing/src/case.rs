//! A test case for a law: a rule with settings, on a network, with data, on a device.

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

/// Number of rows in a batch, unless a law needs another one.
const ROWS: usize = 24;

/// A network on which rules are tested.
#[derive(Debug, Clone)]
pub struct TestNetwork {
    name: String,
    spec: Arc<dyn NetworkSpec>,
    partition: Partition,
    smooth: bool,
}

impl TestNetwork {
    /// The network with these settings, divided into blocks by `partition`. Reports call it `name`.
    pub fn new(name: impl Into<String>, spec: impl NetworkSpec + 'static, partition: Partition) -> Self {
        Self::of(name, Arc::new(spec), partition)
    }

    /// Like [`new`](Self::new), for shared settings, such as those that a registry row parses from JSON.
    pub fn of(name: impl Into<String>, spec: Arc<dyn NetworkSpec>, partition: Partition) -> Self {
        Self { name: name.into(), spec, partition, smooth: true }
    }

    /// Marks the network as having kinks in its loss, from ReLU or maxima inside it. Finite differences then skip places with
    /// a kink.
    #[must_use]
    pub fn with_kinks(self) -> Self {
        Self { smooth: false, ..self }
    }

    /// Name of the network in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its loss is differentiable everywhere.
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
    /// Number of steps in which a rule has to learn the data, and rows per step.
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

    /// The settings of the rule.
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

    /// Number of steps in which the rule has to learn the data, and rows per step.
    pub fn learning_steps(&self) -> (usize, usize) {
        self.shared.learning
    }

    /// The same case with another rule of the registry.
    #[must_use]
    pub fn with_rule(&self, rule: &str, settings: Value) -> Self {
        Self { rule: rule.into(), settings, ..self.clone() }
    }

    /// The same case on another network.
    #[must_use]
    pub fn with_network(&self, network: TestNetwork) -> Self {
        Self { network, ..self.clone() }
    }

    /// The same case on another device, or on this one with other settings.
    #[must_use]
    pub fn with_device(&self, device: Device) -> Self {
        Self { device, ..self.clone() }
    }

    /// The parsed settings of the rule.
    ///
    /// # Errors
    /// If the registry does not contain the rule, or its settings cannot be parsed.
    pub fn spec(&self) -> Result<Box<dyn RuleSpec>, Violation> {
        let row = self.shared.rules.iter().find(|row| row.name == self.rule);
        let row = row.ok_or_else(|| Violation(format!("{self}: the registry has no rule with this name")))?;
        Ok((row.parse)(&self.settings, &self.shared.rules)?.0)
    }

    /// What crosses the borders of blocks under the rule.
    ///
    /// # Errors
    /// The errors of [`spec`](Self::spec).
    pub fn reach(&self) -> Result<Reach, Violation> {
        Ok(self.spec()?.reach())
    }

    /// Whether blocks learn without gradients from each other.
    ///
    /// # Errors
    /// The errors of [`spec`](Self::spec).
    pub fn is_local(&self) -> Result<bool, Violation> {
        Ok(self.reach()?.is_local())
    }

    /// Whether the rule with these settings accepts the network and the data.
    ///
    /// # Errors
    /// The errors of [`spec`](Self::spec).
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

    /// A new model, with the partition that the rule requires or else that of the network. Laws create a new model instead of
    /// cloning one that has learned, because clones share running statistics.
    ///
    /// # Errors
    /// If the rule cannot train this network.
    pub fn model(&self, seed: Seed) -> Result<LocalModel, Violation> {
        self.model_with(self.network.partition, seed)
    }

    /// A model with other block borders between the same layers.
    ///
    /// # Errors
    /// The errors of [`model`](Self::model).
    pub fn model_with(&self, partition: Partition, seed: Seed) -> Result<LocalModel, Violation> {
        self.build(partition, self.classes(), seed)
    }

    /// A model for another number of classes.
    ///
    /// # Errors
    /// The errors of [`model`](Self::model).
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

    /// Batch `index` of the data, with 24 rows.
    pub fn batch(&self, index: u64) -> Batch {
        self.batch_of(ROWS, index)
    }

    /// Batch `index` of the data, with `rows` rows.
    pub fn batch_of(&self, rows: usize, index: u64) -> Batch {
        self.data().batch(rows, index, &self.device)
    }

    /// Trains the model on every batch with Adam (learning rate 0.01) and the rule's own parameter groups.
    ///
    /// # Errors
    /// If a parameter group is invalid, if a gradient is not finite, or any error that `after` returns after a batch.
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
