//! Optimisers and learning-rate schedules, built from a config.

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

/// Weight decay added to the gradient; none if it is 0.
fn penalty(decay: f64) -> Option<f32> {
    (decay > 0.0).then_some(decay as f32)
}

/// The same for Burn's own optimisers.
fn burns_penalty(decay: f64) -> Option<WeightDecayConfig> {
    penalty(decay).map(|penalty| WeightDecayConfig { penalty })
}

impl OptimizerConfig {
    /// The optimiser for a whole [`LocalModel`](crate::model::LocalModel), with the rule's own `groups`. Of the settings in
    /// `clip`, it applies those that concern a single parameter; [`BlockwiseOptimizer`](super::BlockwiseOptimizer) also clips
    /// by the global norm.
    ///
    /// # Errors
    /// [`Error::Burn`] if Burn rejects a parameter group.
    pub fn optimizer(&self, groups: &[ParameterGroup]) -> Result<ModuleOptimizer> {
        // The first optimiser of a `ModuleOptimizer` must match everything; the last one that matches a parameter is used.
        let mut optimizer = ModuleOptimizer::from(FusedSgd::default());
        optimizer = self.add_to(optimizer, "")?;
        for g in groups {
            optimizer = g.optimizer.add_to(optimizer, &format!("^{}", regex_escape(&g.path)))?;
        }
        Ok(optimizer)
    }

    /// Adds this optimiser for parameters whose path matches the regular expression `prefix`.
    fn add_to(&self, optimizer: ModuleOptimizer, prefix: &str) -> Result<ModuleOptimizer> {
        let mut optimizer = self.add_group(optimizer, group(prefix)?, self.weight_decay);
        if self.weight_decay > 0.0 && self.decay_bias == Some(false) {
            optimizer = self.add_group(optimizer, group(&format!(r"{prefix}.*\.bias$"))?, 0.0);
        }
        // A rule's own parameters are not part of the network.
        if self.name == OptimizerName::Muon && prefix.is_empty() {
            optimizer = optimizer.with_group(group(MATRICES)?, self.muon(), self.clipping());
        }
        Ok(optimizer)
    }

    /// Adds this optimiser (for Muon, its companion) for a group of parameters with its own weight decay.
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
        // Clipping by a norm over all parameters is done by `BlockwiseOptimizer`.
        let config = match (clip.norm, clip.value) {
            (Some(norm), _) => GradientClippingConfig::Norm(norm as f32),
            (None, Some(value)) => GradientClippingConfig::Value(value as f32),
            (None, None) => return None,
        };
        Some(config.init())
    }

    /// The learning rate of every parameter at each of `total` steps.
    ///
    /// # Errors
    /// [`Error::Burn`] if Burn rejects a parameter group.
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

/// A learning-rate schedule in closed form, as one of Burn's schedulers: its whole state is the step.
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
