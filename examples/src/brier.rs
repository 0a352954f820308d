//! A custom rule: local classifiers that learn with the Brier score instead of cross-entropy.
//!
//! G. W. Brier 1950, "Verification of forecasts expressed in terms of probability". For a block with output `h` `[B, d]` and a
//! projection `M` `[d, C]`, the loss is `mean_b sum_c (softmax(h M)_bc - [c = y_b])^2`.
//!
//! If only the loss of a rule is new, implement a [`Head`]. [`LocalClassifiers`] does the rest: in one pass, every block learns
//! from its head and passes on its detached output.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn_forward::activation::AnyActivation;
use burn_forward::block::Trace;
use burn_forward::network::Network;
use burn_forward::pieces::projection::HeadPool;
use burn_forward::random::Seed;
use burn_forward::rules::{
    AnyHead, AnyRule, ClassifierSettings, ClassifierSpec, Head, HeadReadout, HeadTargets, LocalClassifiers, RuleSpec,
    linear_head,
};
use burn_forward::tape::Score;
use burn_forward::{ProjectedCrossEntropy, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `brier`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `readout` | last | last, sum, mean, weighted, sip | which blocks' scores give the prediction |
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BrierConfig {
    /// Which blocks' scores give the prediction.
    #[serde(default)]
    pub readout: HeadReadout,
}

/// A linear classifier that learns with the Brier score.
#[derive(Module, Debug)]
struct BrierHead {
    projection: ProjectedCrossEntropy,
}

impl Head for BrierHead {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, targets: &HeadTargets) -> Score {
        let logits = self.projection.scores(&trace.output);
        let p = softmax(logits.clone(), 1);
        // For every class `c`, the loss if `c` were the label: `|p|^2 - 2 p_c + 1`. The labels may be smoothed.
        let losses = p.clone().square().sum_dim(1) - p * 2.0 + 1.0;
        Score { logits: Some(logits), ..Score::from(targets.expected_loss(losses)) }
    }

    fn scores(&self, h: &AnyActivation) -> Tensor<2> {
        self.projection.scores(h)
    }

    fn linear(&self) -> Option<ProjectedCrossEntropy> {
        Some(self.projection.clone())
    }
}

impl RuleSpec for BrierConfig {
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        Some(self)
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        Ok(AnyRule::new(self.build_classifiers(network, classes, seed)?))
    }
}

impl ClassifierSpec for BrierConfig {
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers> {
        let head = |block| {
            let projection = linear_head(network, block, classes, false, HeadPool::default(), seed)?;
            Ok(AnyHead::new(BrierHead { projection }))
        };
        let heads = (0..network.len()).map(head).collect::<Result<_>>()?;
        let settings = ClassifierSettings { readout: self.readout, ..ClassifierSettings::default() };
        Ok(LocalClassifiers::of(heads, settings))
    }
}
