//! An optimiser whose state can be split by block.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::store::burn_pack::{self, Reader, Scalar, Writer};
use burn::tensor::Tensor;

use super::{OptimizerConfig, ParameterGroup};
use crate::model::LocalModel;
use crate::parameters::Owner;
use crate::{Error, Result};

/// What a part of an optimiser's state belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OptimizerOwner {
    /// The block with this index, from 0, including the rule's parameters for this block alone.
    Block(usize),
    /// The rule's parameters that belong to no single block, such as an output layer.
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

impl FromStr for OptimizerOwner {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let block = || text.strip_prefix("block-")?.parse().ok().map(Self::Block);
        let fail = || Error::argument("OptimizerOwner", "name", text, "\"rule\" or \"block-<k>\"");
        if text == "rule" { Ok(Self::Rule) } else { block().ok_or_else(fail) }
    }
}

/// The optimiser of a [`LocalModel`]. Burn keeps the states of all parameters in one record. This optimiser can split the
/// record by block, so that the state of a block can be moved to another machine or left out.
#[derive(Clone)]
pub struct BlockwiseOptimizer {
    optimizer: ModuleOptimizer,
    /// Maximum norm of all gradients of a step together.
    global_norm: Option<f64>,
}

impl BlockwiseOptimizer {
    /// The optimiser that `config` describes, with the rule's own `groups`.
    ///
    /// # Errors
    /// The errors of [`OptimizerConfig::optimizer`], and [`Error::Argument`] for a group with a global norm for clipping:
    /// this is the norm of all gradients, so it belongs in `config`.
    pub fn new(config: &OptimizerConfig, groups: &[ParameterGroup]) -> Result<Self> {
        let global_norm = |config: &OptimizerConfig| config.clip.and_then(|clip| clip.global_norm);
        if let Some(group) = groups.iter().find(|group| global_norm(&group.optimizer).is_some()) {
            let what = format!("global norm of the group at {}", group.path);
            return Err(Error::argument(
                "BlockwiseOptimizer",
                what,
                "given",
                "none: the norm is that of all gradients",
            ));
        }
        Ok(Self { optimizer: config.optimizer(groups)?, global_norm: global_norm(config) })
    }

    /// Takes one step on the parameters that have a gradient.
    pub fn step(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: LocalModel,
        gradients: GradientsParams,
    ) -> LocalModel {
        let gradients = match self.global_norm {
            Some(largest) => clip_global_norm(&model, gradients, largest),
            None => gradients,
        };
        self.optimizer.step(lr, model, gradients)
    }

    /// The state of all parameters.
    pub fn to_record(&self) -> OptimizerRecord {
        self.optimizer.to_record()
    }

    /// The state of every block and of the rule as a whole, without those that have no state yet.
    ///
    /// # Errors
    /// [`Error::Burn`] if Burn cannot write its own record.
    pub fn to_records(&self) -> Result<BTreeMap<OptimizerOwner, OptimizerRecord>> {
        split_record(self.optimizer.to_record())
    }

    /// Replaces the state by `records`: those of some blocks, or one of all.
    ///
    /// # Errors
    /// [`Error::Burn`] if a record cannot be read.
    pub fn load_records(self, records: impl IntoIterator<Item = OptimizerRecord>) -> Result<Self> {
        Ok(Self { optimizer: self.optimizer.load_record(merge_records(records)?), ..self })
    }
}

fn failed(error: impl fmt::Display) -> Error {
    Error::burn("state of the optimiser", error)
}

/// The entries of a record.
#[derive(Default)]
struct Entries {
    tensors: Vec<burn_pack::Tensor>,
    scalars: BTreeMap<String, Scalar>,
    /// Path of the parameter with this number.
    paths: BTreeMap<String, String>,
}

impl Entries {
    /// Adds the entries of `record`.
    fn add(&mut self, record: OptimizerRecord) -> Result<()> {
        let reader = Reader::from_bytes(record.into_bytes().map_err(failed)?).map_err(failed)?;
        self.scalars.extend(reader.scalars().clone());
        self.paths.extend(reader.metadata().clone());
        self.tensors.extend(reader.into_tensors().map_err(failed)?);
        Ok(())
    }

    fn into_record(self) -> Result<OptimizerRecord> {
        let mut writer = Writer::new(self.tensors);
        for (name, value) in &self.scalars {
            writer = writer.with_scalar(name, *value);
        }
        for (name, path) in &self.paths {
            writer = writer.with_metadata(name, path);
        }
        OptimizerRecord::from_bytes(writer.into_bytes().map_err(failed)?).map_err(failed)
    }
}

/// Splits the record of an optimiser. An entry is called `<number>.<field>`, with the number of its parameter, and the record
/// contains the path of that parameter.
fn split_record(record: OptimizerRecord) -> Result<BTreeMap<OptimizerOwner, OptimizerRecord>> {
    let mut all = Entries::default();
    all.add(record)?;
    let paths = all.paths.clone();
    let owner = |name: &str| {
        let number = name.split('.').next().unwrap_or(name);
        let path = paths.get(number).ok_or_else(|| failed(format!("the entry {name} belongs to no parameter")))?;
        match Owner::of(path) {
            Some(Owner::Block(block)) => Ok(OptimizerOwner::Block(block)),
            Some(Owner::Rule) => Ok(OptimizerOwner::Rule),
            Some(Owner::Frozen) | None => Err(failed(format!("{path} does not learn"))),
        }
    };
    let mut parts: BTreeMap<OptimizerOwner, Entries> = BTreeMap::new();
    for tensor in all.tensors {
        parts.entry(owner(&tensor.name)?).or_default().tensors.push(tensor);
    }
    for (name, value) in all.scalars {
        parts.entry(owner(&name)?).or_default().scalars.insert(name, value);
    }
    for (name, path) in all.paths {
        parts.entry(owner(&name)?).or_default().paths.insert(name, path);
    }
    parts.into_iter().map(|(of, entries)| Ok((of, entries.into_record()?))).collect()
}

/// One record with the states of several records, which must be for different parameters.
fn merge_records(records: impl IntoIterator<Item = OptimizerRecord>) -> Result<OptimizerRecord> {
    let mut all = Entries::default();
    records.into_iter().try_for_each(|record| all.add(record))?;
    all.into_record()
}

impl fmt::Debug for BlockwiseOptimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockwiseOptimizer").field("global_norm", &self.global_norm).finish_non_exhaustive()
    }
}

/// Scales all gradients of a step by `largest / norm` if `norm`, the norm of all their entries together, exceeds `largest`.
///
/// Every gradient then depends on all others: what a block learns depends on the size of the other blocks' gradients.
///
/// # Range
/// `largest` is above 0. If any gradient is not finite, all become NaN.
pub fn clip_global_norm(model: &impl Module, gradients: GradientsParams, largest: f64) -> GradientsParams {
    let numbers = |scale| {
        let mut numbers = Gradients { gradients: &gradients, seen: HashSet::new(), kept: Vec::new(), scale };
        model.visit(&mut numbers);
        joined(numbers.kept)
    };
    // Squares of large entries overflow, so take them relative to the largest entry.
    let Some(scale) = numbers(None).map(|all| all.max().clamp_min(f32::MIN_POSITIVE)) else { return gradients };
    let Some(sum) = numbers(Some(scale.clone())).map(Tensor::sum) else { return gradients };
    let relative = sum.sqrt();
    let within = (relative.clone() * scale.clone()).lower_equal_elem(largest);
    // A comparison with NaN is false, so NaN is kept.
    let factor = (scale.recip().mul_scalar(largest) / relative).mask_fill(within, 1.0);
    let mut scaled = Scale { gradients, factor, scaled: GradientsParams::new() };
    model.visit(&mut scaled);
    scaled.scaled
}

/// Combines values of several gradients in one tensor on the device of the first; `None` if there are none.
fn joined(numbers: Vec<Tensor<1>>) -> Option<Tensor<1>> {
    let device = numbers.first()?.device();
    Some(Tensor::cat(numbers.into_iter().map(|number| number.to_device(&device)).collect(), 0))
}

/// Extracts one number from every gradient: the largest absolute entry, or the sum of squared entries relative to a scale.
struct Gradients<'a> {
    gradients: &'a GradientsParams,
    /// A parameter that several blocks share has a single gradient.
    seen: HashSet<ParamId>,
    kept: Vec<Tensor<1>>,
    scale: Option<Tensor<1>>,
}

impl ModuleVisitor for Gradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        if self.seen.insert(param.id) {
            self.kept.push(match &self.scale {
                None => gradient.abs().max(),
                Some(scale) => {
                    let scale = scale.clone().to_device(&gradient.device()).reshape([1; D]);
                    (gradient / scale).square().sum()
                }
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
