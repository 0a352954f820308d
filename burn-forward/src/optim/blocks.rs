//! One optimiser for every block.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::tensor::Tensor;

use super::{OptimizerConfig, ParameterGroup};
use crate::Result;
use crate::model::LocalModel;
use crate::parameters::Owner;

/// What has an optimiser of its own: a block with what the rule has for it alone, or the rule as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OptimizerOwner {
    /// The block with this index, from 0.
    Block(usize),
    /// What the rule has for no block alone, an output layer say.
    Rule,
}

/// `block-2`, `rule`.
impl fmt::Display for OptimizerOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(block) => write!(f, "block-{block}"),
            Self::Rule => f.write_str("rule"),
        }
    }
}

/// The optimisers of a [`LocalModel`]: one for every block and one for the rule as a whole, all with the same settings.
///
/// A step is that of one optimiser for all parameters. The difference is in the state, which can be saved, moved to another
/// device and replaced block by block.
#[derive(Clone)]
pub struct BlockOptimizers {
    optimizers: BTreeMap<OptimizerOwner, ModuleOptimizer>,
    owners: HashMap<ParamId, OptimizerOwner>,
    /// Largest norm of all gradients of a step together.
    global_norm: Option<f64>,
}

impl BlockOptimizers {
    /// Optimisers for `model` as `config` asks for them, with the rule's own `groups`.
    ///
    /// # Errors
    /// As [`OptimizerConfig::optimizer`].
    pub fn new(config: &OptimizerConfig, groups: &[ParameterGroup], model: &LocalModel) -> Result<Self> {
        let mut owners = Owners { path: Vec::new(), owners: HashMap::new() };
        model.visit(&mut owners);
        let owners = owners.owners;
        let fresh = config.optimizer(groups)?;
        let optimizers = owners.values().map(|owner| (*owner, fresh.clone())).collect();
        Ok(Self { optimizers, owners, global_norm: config.clip.and_then(|clip| clip.global_norm) })
    }

    /// One step on the parameters that have a gradient.
    pub fn step(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: LocalModel,
        gradients: GradientsParams,
    ) -> LocalModel {
        let lr = lr.into();
        let gradients = match self.global_norm {
            Some(largest) => clip_global_norm(&model, gradients, largest),
            None => gradients,
        };
        let mut parts = Parts { owners: &self.owners, gradients, parts: BTreeMap::new() };
        model.visit(&mut parts);
        parts.parts.into_iter().fold(model, |model, (owner, gradients)| match self.optimizers.get_mut(&owner) {
            Some(optimizer) => optimizer.step(lr.clone(), model, gradients),
            None => model,
        })
    }

    /// Who has an optimiser, in order.
    pub fn owners(&self) -> impl Iterator<Item = OptimizerOwner> {
        self.optimizers.keys().copied()
    }

    /// The state of every optimiser.
    pub fn to_records(&self) -> BTreeMap<OptimizerOwner, OptimizerRecord> {
        self.optimizers.iter().map(|(owner, optimizer)| (*owner, optimizer.to_record())).collect()
    }

    /// The optimisers with these states; one that is not among them keeps its own.
    #[must_use]
    pub fn load_records(self, mut records: BTreeMap<OptimizerOwner, OptimizerRecord>) -> Self {
        let loaded = |(owner, optimizer): (OptimizerOwner, ModuleOptimizer)| match records.remove(&owner) {
            Some(record) => (owner, optimizer.load_record(record)),
            None => (owner, optimizer),
        };
        Self { optimizers: self.optimizers.into_iter().map(loaded).collect(), ..self }
    }
}

impl fmt::Debug for BlockOptimizers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockOptimizers").field("owners", &self.optimizers.keys()).finish_non_exhaustive()
    }
}

/// Scales all gradients of a step by `largest / norm` where `norm`, that of all their entries together, is larger.
///
/// Every gradient depends on all others then: a block that learns with others learns from the size of their gradients, too.
///
/// # Range
/// `largest` is above 0. A norm that is no finite number leaves gradients that are none.
pub fn clip_global_norm(model: &impl Module, gradients: GradientsParams, largest: f64) -> GradientsParams {
    let mut squares = Squares { gradients: &gradients, sum: None };
    model.visit(&mut squares);
    let Some(sum) = squares.sum else { return gradients };
    // A maximum would hide NaN; here it stays.
    let norm = sum.sqrt();
    let factor = norm.clone().recip().mul_scalar(largest).mask_fill(norm.lower_equal_elem(largest), 1.0);
    let mut scaled = Scale { gradients, factor, scaled: GradientsParams::new() };
    model.visit(&mut scaled);
    scaled.scaled
}

/// Finds out what every parameter belongs to.
struct Owners {
    path: Vec<String>,
    owners: HashMap<ParamId, OptimizerOwner>,
}

impl ModuleVisitor for Owners {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let owner = match Owner::of(&self.path.join(".")) {
            Some(Owner::Block(block)) => OptimizerOwner::Block(block),
            Some(Owner::Rule) => OptimizerOwner::Rule,
            // Frozen layers do not learn.
            Some(Owner::Frozen) | None => return,
        };
        self.owners.insert(param.id, owner);
    }
}

/// Sorts gradients by what they belong to.
struct Parts<'a> {
    owners: &'a HashMap<ParamId, OptimizerOwner>,
    gradients: GradientsParams,
    parts: BTreeMap<OptimizerOwner, GradientsParams>,
}

impl ModuleVisitor for Parts<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(owner) = self.owners.get(&param.id)
            && let Some(gradient) = self.gradients.remove::<D>(param.id)
        {
            self.parts.entry(*owner).or_default().register(param.id, gradient);
        }
    }
}

/// Adds up squares of gradients.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let own = gradient.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum.clone() + own.to_device(&sum.device()),
                None => own,
            });
        }
    }
}

/// Multiplies gradients by a factor.
struct Scale {
    gradients: GradientsParams,
    factor: Tensor<1>,
    scaled: GradientsParams,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let factor = self.factor.clone().to_device(&gradient.device()).reshape([1; D]);
            self.scaled.register(param.id, gradient * factor);
        }
    }
}

#[cfg(test)]
mod tests;
