//! Learning-rate schedules.

use serde::{Deserialize, Serialize};

/// How the learning rate changes over the run. `t` is the step and `T` the total number of steps.
///
/// | name | settings, default | factor on `lr` |
/// |---|---|---|
/// | `constant` | | 1 |
/// | `cosine` | `min`, 0 | `min + (1 - min) (1 + cos(pi t/T))/2` |
/// | `linear` | `end`, 0 | linear from 1 to `end` |
/// | `step` | `fraction`, 1/3; `gamma`, 0.1 | multiplied by `gamma` every `fraction` of the run |
/// | `milestones` | `at`, required; `gamma`, 0.1 | multiplied by `gamma` at every fraction of the run in `at` |
/// | `constant-then-linear` | | 1 for the first half, then linear to 0 |
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LrSchedule {
    /// `lr` throughout.
    #[default]
    Constant,
    /// `min + (1 - min) (1 + cos(pi t/T))/2`, times `lr`.
    Cosine {
        /// Fraction of `lr` to end at; default 0.
        #[serde(default)]
        #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 1.0)))]
        min: f64,
    },
    /// Linear from `lr` to `end lr`.
    Linear {
        /// Fraction of `lr` to end at; default 0.
        #[serde(default)]
        #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 1.0)))]
        end: f64,
    },
    /// Multiplied by `gamma` every `fraction` of the run.
    Step {
        /// Fraction of the run between two changes; default 1/3.
        #[serde(default = "step_fraction")]
        #[cfg_attr(feature = "config", schemars(range(min = 0.001, max = 1.0)))]
        fraction: f64,
        /// Factor of a change; default 0.1.
        #[serde(default = "step_gamma")]
        #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 1.0)))]
        gamma: f64,
    },
    /// Multiplied by `gamma` at given points of the run.
    Milestones {
        /// The points, as fractions of the run: 0.6 and 0.9 are epochs 60 and 90 of 100.
        #[cfg_attr(feature = "config", schemars(length(min = 1, max = 1000), inner(range(min = 0.0, max = 1.0))))]
        at: Vec<f64>,
        /// Factor of a change; default 0.1.
        #[serde(default = "step_gamma")]
        #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 1.0)))]
        gamma: f64,
    },
    /// `lr` for the first half, then linear to zero (Hinton 2022).
    ConstantThenLinear,
}

fn step_fraction() -> f64 {
    1.0 / 3.0
}

fn step_gamma() -> f64 {
    0.1
}

impl LrSchedule {
    /// Factor on the learning rate at step `t` (from 0) of `total`.
    pub fn factor(&self, t: usize, total: usize) -> f64 {
        let progress = (t as f64 / total.max(1) as f64).min(1.0);
        match *self {
            Self::Constant => 1.0,
            Self::Cosine { min } => min + (1.0 - min) * (1.0 + (std::f64::consts::PI * progress).cos()) / 2.0,
            Self::Linear { end } => 1.0 + (end - 1.0) * progress,
            Self::Step { fraction, gamma } => gamma.powi((progress / fraction) as i32),
            Self::Milestones { ref at, gamma } => {
                gamma.powi(at.iter().filter(|place| progress >= **place).count() as i32)
            }
            Self::ConstantThenLinear => (2.0 * (1.0 - progress)).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_at_their_ends() {
        let at = |s: LrSchedule, t: usize| s.factor(t, 100);
        assert_eq!(at(LrSchedule::Constant, 99), 1.0);
        assert_eq!(at(LrSchedule::Linear { end: 0.5 }, 0), 1.0);
        assert!((at(LrSchedule::Linear { end: 0.5 }, 100) - 0.5).abs() < 1e-12);
        assert!((at(LrSchedule::Cosine { min: 0.1 }, 100) - 0.1).abs() < 1e-12);
        assert!((at(LrSchedule::Cosine { min: 0.0 }, 50) - 0.5).abs() < 1e-12);
        assert_eq!(at(LrSchedule::ConstantThenLinear, 49), 1.0);
        assert!((at(LrSchedule::ConstantThenLinear, 75) - 0.5).abs() < 1e-12);
        assert_eq!(at(LrSchedule::ConstantThenLinear, 100), 0.0);
        let step = LrSchedule::Step { fraction: 0.25, gamma: 0.1 };
        assert!((at(step.clone(), 24) - 1.0).abs() < 1e-12 && (at(step, 60) - 0.01).abs() < 1e-12);
    }

    /// Epochs 7 and 9 of 10 begin at these points, whatever the number of steps per epoch.
    #[test]
    fn milestones_change_the_rate_at_the_first_step_of_their_epoch() {
        let plan = LrSchedule::Milestones { at: vec![0.9, 0.7], gamma: 0.5 };
        for steps in [1, 3, 844, 938] {
            let factors: Vec<f64> = (0..10 * steps).map(|t| plan.factor(t, 10 * steps)).collect();
            let expected = |t: usize| [1.0, 0.5, 0.25][usize::from(t >= 7 * steps) + usize::from(t >= 9 * steps)];
            assert_eq!(factors, (0..10 * steps).map(expected).collect::<Vec<_>>(), "{steps}");
        }
        assert_eq!(plan.factor(10, 10), 0.25);
    }
}
