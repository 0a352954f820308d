//! Optimisers and learning rates, as a config asks for them.

use burn::grad_clipping::{GradientClipping, GradientClippingConfig};
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdafactorConfig, AdjustLrFn, ModuleOptimizer, MuonConfig, RmsPropConfig};
use burn_forward_kernels::optim::{FusedAdam, FusedAdamW, FusedSgd};

use super::muon::MatrixMuon;
use super::{BETAS, EPSILON, LrSchedule, OptimizerConfig, OptimizerName, ParameterGroup};
use crate::parameters::paths_of_block;
use crate::{Error, Result};

/// Paths of the parameters that Muon updates.
const MATRICES: &str = r"^network\..*\.weight$";

fn group(pattern: &str) -> Result<ParamGroup> {
    ParamGroup::from_regex(pattern).map_err(|e| Error::burn("parameter group", format!("{e:?}")))
}

/// Weight decay in the gradient; none of 0.
fn penalty(decay: f64) -> Option<f32> {
    (decay > 0.0).then_some(decay as f32)
}

/// The same for Burn's own optimisers.
fn burns_penalty(decay: f64) -> Option<WeightDecayConfig> {
    penalty(decay).map(|penalty| WeightDecayConfig { penalty })
}

impl OptimizerConfig {
    /// The optimiser for a whole [`LocalModel`](crate::model::LocalModel), with the rule's own `groups`. Of `clip` it knows
    /// what concerns one parameter; [`BlockwiseOptimizer`](super::BlockwiseOptimizer) clips by the global norm, too.
    ///
    /// # Errors
    /// [`Error::Burn`] if Burn refuses a parameter group.
    pub fn optimizer(&self, groups: &[ParameterGroup]) -> Result<ModuleOptimizer> {
        // The first optimiser of a `ModuleOptimizer` must match everything; the last that matches a parameter counts.
        let mut optimizer = ModuleOptimizer::from(FusedSgd::default());
        optimizer = self.add_to(optimizer, "")?;
        for g in groups {
            optimizer = g.optimizer.add_to(optimizer, &format!("^{}", regex_escape(&g.path)))?;
        }
        Ok(optimizer)
    }

    /// Adds this optimiser for parameters whose path matches `prefix`, a regular expression.
    fn add_to(&self, optimizer: ModuleOptimizer, prefix: &str) -> Result<ModuleOptimizer> {
        let mut optimizer = self.add_group(optimizer, group(prefix)?, self.weight_decay);
        if self.weight_decay > 0.0 && self.decay_bias == Some(false) {
            optimizer = self.add_group(optimizer, group(&format!(r"{prefix}.*\.bias$"))?, 0.0);
        }
        // A rule's own parameters are none of the network's.
        if self.name == OptimizerName::Muon && prefix.is_empty() {
            optimizer = optimizer.with_group(group(MATRICES)?, self.muon(), self.clipping());
        }
        Ok(optimizer)
    }

    /// Adds this optimiser (of Muon its companion) for a group of parameters with a weight decay of their own.
    fn add_group(&self, optimizer: ModuleOptimizer, at: ParamGroup, decay: f64) -> ModuleOptimizer {
        let clip = self.clipping();
        let [beta_1, beta_2] = self.betas.unwrap_or(BETAS).map(|b| b as f32);
        let epsilon = self.epsilon.unwrap_or(EPSILON) as f32;
        match self.name {
            OptimizerName::Sgd => {
                let momentum = (self.momentum_in_force() > 0.0).then(|| self.velocity());
                optimizer.with_group(at, FusedSgd { momentum, weight_decay: penalty(decay) }, clip)
            }
            OptimizerName::Adam => {
                let adam = FusedAdam { beta_1, beta_2, epsilon, amsgrad: false, weight_decay: penalty(decay) };
                optimizer.with_group(at, adam, clip)
            }
            OptimizerName::AdamW | OptimizerName::Muon => {
                let weight_decay = decay as f32;
                let adamw = FusedAdamW { beta_1, beta_2, epsilon, weight_decay, ..FusedAdamW::default() };
                optimizer.with_group(at, adamw, clip)
            }
            OptimizerName::RmsProp => {
                let rmsprop = RmsPropConfig::new().with_momentum(self.momentum_in_force() as f32).with_epsilon(epsilon);
                optimizer.with_group(at, rmsprop.with_weight_decay(burns_penalty(decay)).build(), clip)
            }
            OptimizerName::Adafactor => {
                let adafactor = AdafactorConfig::new().with_weight_decay(decay as f32);
                optimizer.with_group(at, adafactor.build(), clip)
            }
        }
    }

    /// Muon itself, for matrices.
    fn muon(&self) -> MatrixMuon {
        let velocity = MomentumConfig { momentum: self.momentum_in_force(), dampening: 0.0, nesterov: true };
        let muon = MuonConfig::new().with_momentum(velocity).with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
        MatrixMuon(muon.with_weight_decay(burns_penalty(self.weight_decay)).build())
    }

    fn momentum_in_force(&self) -> f64 {
        self.momentum.or_else(|| self.default_momentum()).unwrap_or(0.0)
    }

    fn velocity(&self) -> MomentumConfig {
        MomentumConfig {
            momentum: self.momentum_in_force(),
            dampening: self.dampening.unwrap_or(0.0),
            nesterov: self.nesterov.unwrap_or(false),
        }
    }

    fn clipping(&self) -> Option<GradientClipping> {
        let clip = self.clip?;
        // A norm over all parameters is no matter of one of them: `BlockwiseOptimizer` sees to it.
        let config = match (clip.norm, clip.value) {
            (Some(norm), _) => GradientClippingConfig::Norm(norm as f32),
            (None, Some(value)) => GradientClippingConfig::Value(value as f32),
            (None, None) => return None,
        };
        Some(config.init())
    }

    /// The learning rate of every parameter at every one of `total` steps.
    ///
    /// # Errors
    /// [`Error::Burn`] if Burn refuses a parameter group.
    pub fn scheduler(&self, groups: &[ParameterGroup], total: usize) -> Result<ModuleLrScheduler> {
        let plan = |lr: f64| LrPlan { lr, schedule: self.lr_schedule.clone(), total, step: 0 };
        let mut scheduler = ModuleLrScheduler::new(plan(self.lr));
        for (block, lr) in self.block_lr.iter().flatten().enumerate() {
            scheduler = scheduler.with_group(group(&paths_of_block(block))?, plan(*lr));
        }
        for g in groups {
            scheduler = scheduler.with_group(group(&format!("^{}", regex_escape(&g.path)))?, plan(g.optimizer.lr));
        }
        Ok(scheduler)
    }
}

fn regex_escape(path: &str) -> String {
    path.replace('.', r"\.")
}

/// A schedule as one closed form over Burn's scheduler trait: its whole state is the step.
#[derive(Debug, Clone)]
struct LrPlan {
    lr: f64,
    schedule: LrSchedule,
    total: usize,
    step: usize,
}

impl LrScheduler for LrPlan {
    fn step(&mut self) -> f64 {
        let lr = self.lr * self.schedule.factor(self.step, self.total);
        self.step += 1;
        lr
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new().with_scalar("step", self.step as u64)
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(step) = record.scalar::<u64>("step") {
            self.step = step as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loaded_plan_goes_on_where_it_was() {
        let mut a = LrPlan { lr: 0.1, schedule: LrSchedule::ConstantThenLinear, total: 10, step: 0 };
        for _ in 0..7 {
            a.step();
        }
        let mut b = LrPlan { step: 0, ..a.clone() };
        b.load_record(a.to_record());
        assert_eq!(a.step(), b.step());
    }
}
