//! Checks that the laws can fail: a rule with one fault at a time, and the laws that have to detect it.

use burn::module::Module;
use burn::tensor::Device;
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::block::{Block, Trace};
use burn_forward::data::Batch;
use burn_forward::network::{Chain, Network, Partition};
use burn_forward::pieces::dropout;
use burn_forward::pieces::projection::HeadPool;
use burn_forward::random::Seed;
use burn_forward::registry::Registry;
use burn_forward::rules::{
    AnyRule, BlockRange, ClassifierSpec, HeadReadout, LocalClassifiers, Pass, ReadoutExport, Rule, RuleSpec, Scores,
    StepContext, linear_head, rule_entry_of,
};
use burn_forward::tape::{Labels, Tape};
use burn_forward::{LocalLoss, ProjectedCrossEntropy, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{LAWS, Law, Laws, TestNetwork, smooth_mlp};

/// The fault of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    Nothing,
    HeadsInPlainFields,
    LossReadsOtherHead,
    LossReadsBlockAbove,
    GradientOfOtherLoss,
    LearnsNothing,
    DivergesOnEqualSamples,
    StepLearnsTwice,
    AdvancesElsewhere,
    DropsTheSameInEveryStep,
    KeepsNumbersBesideTheRecord,
    CallsFirstLast,
    OnlySaysThatItSmooths,
    LendsOtherHeads,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct FaultyConfig {
    fault: Fault,
}

/// Linear classifiers on two blocks, either in a list or in separate fields.
#[derive(Module, Debug)]
struct Faulty {
    heads: Vec<ProjectedCrossEntropy>,
    first: Option<ProjectedCrossEntropy>,
    second: Option<ProjectedCrossEntropy>,
    #[module(skip)]
    fault: Fault,
    #[module(skip)]
    seed: Seed,
}

impl Faulty {
    fn head(&self, index: usize) -> &ProjectedCrossEntropy {
        let field = if index == 0 { &self.first } else { &self.second };
        field.as_ref().unwrap_or_else(|| &self.heads[index])
    }
}

impl Rule for Faulty {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, network: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        let mut pass = Pass::of(batch);
        match self.fault {
            Fault::LossReadsBlockAbove => {
                let above = network.forward_all(batch.inputs.clone()).pop();
                pass.signals.put("above", above.into_iter().map(Trace::from).collect::<Vec<_>>());
            }
            Fault::DropsTheSameInEveryStep => dropout::begin(self.seed, batch.key),
            _ => {}
        }
        pass
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let (labels, input) = (Labels(pass.labels.clone()), pass.streams[0].clone().detach());
        let trace = block.trace(input);
        let mut score = self.head(index).score(&trace, &labels);
        let mut minimised = score.loss.clone();
        match self.fault {
            Fault::LossReadsOtherHead => minimised = minimised + self.head(1 - index).score(&trace, &labels).loss,
            Fault::LossReadsBlockAbove => {
                let above = pass.signals.take_block("above", index);
                minimised = above.iter().fold(minimised, |loss, above| loss + above.output.features().square().mean());
            }
            Fault::GradientOfOtherLoss => minimised = minimised * 2.0,
            Fault::DivergesOnEqualSamples => {
                let h = trace.output.features();
                minimised = minimised + (h.clone() - h.mean_dim(0)).square().mean().log();
            }
            _ => {}
        }
        if self.fault != Fault::GradientOfOtherLoss {
            score.loss = minimised.clone();
        }
        if self.fault != Fault::LearnsNothing {
            tape.backward_pair(&minimised, block, self.head(index));
        }
        tape.record(index, score);
        pass.streams = vec![trace.output.detach()];
    }

    fn advance(&self, _: usize, block: &Chain, pass: &mut Pass) {
        let h = block.forward(pass.streams[0].clone()).detach();
        let scale = if self.fault == Fault::AdvancesElsewhere { 2.0 } else { 1.0 };
        pass.streams = vec![h.with_features(h.features() * scale)];
    }

    fn learn(&self, network: &Network, pass: &mut Pass, _: StepContext, tape: &mut Tape) {
        let times = if self.fault == Fault::StepLearnsTwice { 2 } else { 1 };
        for (index, block) in network.blocks().iter().enumerate() {
            let entering = pass.clone();
            for _ in 0..times {
                *pass = entering.clone();
                self.learn_block(index, block, pass, tape);
            }
        }
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        let outputs = network.forward_all(inputs);
        let scale = match self.fault {
            Fault::KeepsNumbersBesideTheRecord => self.seed.value() as f64,
            _ => 1.0,
        };
        let heads = outputs.iter().enumerate().map(|(index, h)| self.head(index).scores(h) * scale).collect();
        let mut scores = Scores::of_heads(heads, HeadReadout::Last, BlockRange::all(network.len()));
        if let (Fault::CallsFirstLast, Some(first)) = (self.fault, scores.blocks[0].clone()) {
            scores.readouts = vec![("last", first)];
        }
        scores
    }

    fn set_label_smoothing(&mut self, _: f64) -> bool {
        self.fault == Fault::OnlySaysThatItSmooths
    }

    fn export(&self, _: &Network) -> ReadoutExport {
        ReadoutExport::default()
    }
}

impl RuleSpec for FaultyConfig {
    fn classifiers(&self) -> Option<&dyn ClassifierSpec> {
        (self.fault == Fault::LendsOtherHeads).then_some(self)
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        let head = |block| linear_head(network, block, classes, false, HeadPool::default(), seed);
        let mut heads = (0..network.len()).map(head).collect::<Result<Vec<_>>>()?;
        let (mut first, mut second) = (None, None);
        if self.fault == Fault::HeadsInPlainFields {
            (second, first) = (heads.pop(), heads.pop());
        }
        Ok(AnyRule::new(Faulty { heads, first, second, fault: self.fault, seed }))
    }
}

impl ClassifierSpec for FaultyConfig {
    fn build_classifiers(&self, network: &Network, classes: usize, seed: Seed) -> Result<LocalClassifiers> {
        LocalClassifiers::new(network, classes, true, HeadPool::default(), HeadReadout::Last, seed)
    }
}

fn laws(fault: Fault) -> Laws {
    let mut registry = Registry::default();
    registry.rules.push(rule_entry_of::<FaultyConfig>("faulty", "one fault", "nobody"));
    let mlp = |dropout| {
        let spec = burn_forward::network::MlpConfig { dropout, ..smooth_mlp(&[8, 8]) };
        vec![TestNetwork::new("mlp", spec, Partition::LAYER)]
    };
    Laws::of(&registry)
        .rules(&["faulty"])
        .varied(&[])
        .defaults("faulty", json!({"fault": fault}))
        .devices(vec![("flex".into(), Device::flex().autodiff())])
        .networks(mlp(0.0))
        .noisy_networks(mlp(0.5))
}

fn law(name: &str) -> &'static Law {
    LAWS.iter().find(|law| law.name == name).unwrap()
}

const TOLD_BY: [(Fault, &[&str]); 13] = [
    (Fault::HeadsInPlainFields, &["owners::what_learns_with_one_block_belongs_to_it"]),
    (Fault::LossReadsOtherHead, &["locality::another_head_of_one_block_changes_no_other_blocks_gradients"]),
    (Fault::LossReadsBlockAbove, &["locality::blocks_above_have_no_say"]),
    (Fault::GradientOfOtherLoss, &["finite_difference::a_local_gradient_is_the_slope_of_the_blocks_own_loss"]),
    (
        Fault::LearnsNothing,
        &[
            "audit::every_rule_is_audited_in_finite_numbers",
            "learning::the_loss_falls_and_the_accuracy_rises",
            "locality::a_block_puts_gradients_of_itself_and_its_head_on_the_tape_and_no_others",
            "locality::another_teaching_signal_to_one_block_changes_no_other_blocks_gradients",
        ],
    ),
    (Fault::DivergesOnEqualSamples, &["extreme_data::every_rule_trains_on_extreme_data_or_refuses_it"]),
    (Fault::StepLearnsTwice, &["locality::a_step_of_a_local_rule_is_its_blocks_one_after_the_other"]),
    (Fault::AdvancesElsewhere, &["locality::learning_moves_a_pass_on_as_advancing_does"]),
    (Fault::DropsTheSameInEveryStep, &["finished::steps_on_batches_of_unknown_address_do_not_share_their_randomness"]),
    (Fault::KeepsNumbersBesideTheRecord, &["state::a_record_holds_all_that_a_model_knows"]),
    (Fault::CallsFirstLast, &["readouts::readouts_of_one_name_are_made_of_blocks_in_one_way"]),
    (Fault::OnlySaysThatItSmooths, &["smoothing::every_head_that_takes_smoothing_minimises_the_expected_loss"]),
    (
        Fault::LendsOtherHeads,
        &["supervision::with_one_block_it_is_the_rule", "supervision::losses_and_the_last_block_are_those_of_the_rule"],
    ),
];

#[test]
fn without_a_fault_every_law_is_kept() {
    for law in LAWS {
        laws(Fault::Nothing).check(law);
    }
}

#[test]
fn every_fault_breaks_its_laws() {
    for (fault, names) in TOLD_BY {
        for name in names {
            let report = laws(fault).report(law(name)).unwrap();
            let said = report.violations.join("\n");
            assert!(!report.is_kept(), "{fault:?} is not detected: {report}");
            // A law has to report more than a crash.
            assert!(!said.contains("a panic"), "{said}");
        }
    }
}
