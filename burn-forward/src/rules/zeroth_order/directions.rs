//! Random directions in the space of a module's parameters, and the operations on them.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::random::{Rng, Seed};
use crate::tape::Tape;

/// Distribution of the entries of a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DirectionEntries {
    /// 1 or -1, with equal probability.
    #[default]
    Rademacher,
    /// Normal, with mean 0 and variance 1.
    Gaussian,
}

impl DirectionEntries {
    /// Draws `count` entries.
    pub(super) fn draw(self, count: usize, rng: &mut Rng) -> Vec<f32> {
        match self {
            Self::Rademacher => {
                let words: Vec<u64> = (0..count.div_ceil(64)).map(|_| rng.random()).collect();
                (0..count).map(|i| if words[i / 64] >> (i % 64) & 1 == 1 { 1.0 } else { -1.0 }).collect()
            }
            Self::Gaussian => (0..count).map(|_| StandardNormal.sample(rng)).collect(),
        }
    }
}

/// A displacement of weights: along the directions of `query`, by a given amount.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift {
    pub(super) query: usize,
    pub(super) by: f64,
}

/// The directions of one module's parameters in one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directions {
    pub(super) entries: DirectionEntries,
    pub(super) seed: Seed,
    /// Indices of epoch, batch and module.
    pub(super) at: [u64; 3],
}

impl Directions {
    /// The direction of a parameter for `query`.
    fn draw<const D: usize>(&self, query: usize, parameter: usize, shape: Shape, device: &Device) -> Tensor<D> {
        let [epoch, batch, module] = self.at;
        let mut rng = self.seed.stream("directions", &[epoch, batch, query as u64, module, parameter as u64]);
        Tensor::from_data(TensorData::new(self.entries.draw(shape.num_elements(), &mut rng), shape), device)
    }

    /// A copy of `module` in inference mode; if `shift` is given, every parameter that learns is moved along its direction.
    pub(super) fn moved<M: Module>(&self, module: &M, shift: Option<Shift>) -> M {
        // Not a clone: a clone would share running statistics, and changing it would change those of the original.
        let copy = module.valid();
        let Some(shift) = shift else { return copy };
        let mut learning = Learning(Vec::new());
        module.visit(&mut learning);
        copy.map(&mut Move { directions: self, learning: learning.0, shift })
    }

    /// Puts the estimate for `module` on the tape.
    pub(super) fn register<M: Module>(&self, module: &M, estimate: Estimate, tape: &mut Tape) {
        module.visit(&mut Register { directions: self, estimate, next: 0, tape });
    }
}

/// What an estimate consists of besides the directions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate<'a> {
    /// Slopes of the loss along every direction, `[1, q]`.
    pub(super) slopes: &'a Tensor<2>,
    /// Whether the sign replaces the estimate.
    pub(super) sign: bool,
    /// Factor on the final estimate, `[1, 1]`.
    pub(super) factor: Option<&'a Tensor<2>>,
}

/// Collects the parameters that learn, in order.
struct Learning(Vec<ParamId>);

impl ModuleVisitor for Learning {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0.push(param.id);
        }
    }
}

/// Moves parameters along their directions.
struct Move<'a> {
    directions: &'a Directions,
    learning: Vec<ParamId>,
    shift: Shift,
}

impl ModuleMapper for Move<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(parameter) = self.learning.iter().position(|id| *id == param.id) else { return param };
        param.map(|value| {
            let direction = self.directions.draw::<D>(self.shift.query, parameter, value.shape(), &value.device());
            value + direction * self.shift.by
        })
    }
}

/// Puts estimates on the tape.
struct Register<'a> {
    directions: &'a Directions,
    estimate: Estimate<'a>,
    next: usize,
    tape: &'a mut Tape,
}

impl ModuleVisitor for Register<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let parameter = self.next;
        self.next += 1;
        let Estimate { slopes, sign, factor } = self.estimate;
        let ([_, queries], device) = (slopes.dims(), slopes.device());
        let mut sum = Tensor::<D>::zeros(param.lazy_shape(), &device);
        for query in 0..queries {
            let slope = slopes.clone().narrow(1, query, 1).reshape([1; D]);
            sum = sum + self.directions.draw::<D>(query, parameter, param.lazy_shape(), &device) * slope;
        }
        let mut estimate = sum / queries as f64;
        if sign {
            estimate = estimate.sign();
        }
        if let Some(factor) = factor {
            estimate = estimate * factor.clone().reshape([1; D]);
        }
        self.tape.register(param.id, estimate);
    }
}
