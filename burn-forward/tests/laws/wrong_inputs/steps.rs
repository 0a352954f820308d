//! A step: layers with their losses, the tape, rules.

use burn::module::{Module, ParamId};
use burn::tensor::Device;
use burn::train::{ClassificationOutput, TrainOutput};
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::data::Batch;
use burn_forward::local::learn;
use burn_forward::model::LocalModel;
use burn_forward::network::{Chain, Network, Partition};
use burn_forward::rules::{
    AnyHead, AnyRule, ClassifierSettings, LocalClassifiers, Pass, ReadoutExport, Rule, Scores, StepContext,
};
use burn_forward::tape::{Labels, Tape};
use burn_forward::{CrossEntropy, Local, ProjectedCrossEntropy};

use super::super::toy::{INPUT, batch, mlp, seed};
use super::operation::{Operation, block, case, ints, matrix, projection, rng, vector};

/// A layer that learns.
pub(super) fn layers() -> Vec<Operation> {
    let inputs = |d: &Device| AnyActivation::Features(matrix([2, 16], d));
    vec![
        case(
            "a projection of another width, in a block",
            move |d| learn(&block(d), &projection(d), 1, inputs(d), &Labels(ints([0, 2], d)), &mut Tape::new(())),
            &["block 1: ", "ProjectedCrossEntropy", "is 4", "5"],
        ),
        case(
            "a label that is no class, in a layer",
            move |d| Local::new(block(d), CrossEntropy).learn(inputs(d), &mut Tape::new(Labels(ints([0, 9], d)))),
            &["block 0: ", "row 1", "9", "0 to 3"],
        ),
        case(
            "fewer labels than rows, in a layer",
            move |d| Local::new(block(d), CrossEntropy).learn(inputs(d), &mut Tape::new(Labels(ints([0], d)))),
            &["block 0: ", "number of labels", "is 1", "2"],
        ),
        case(
            "another input, in a layer",
            |d| {
                let input = AnyActivation::Features(matrix([2, 7], d));
                Local::new(block(d), CrossEntropy).learn(input, &mut Tape::new(Labels(ints([0, 1], d))))
            },
            &["block 0: ", "dense layer", "is 7", "16"],
        ),
    ]
}

/// Operations on a tape.
pub(super) fn tapes() -> Vec<Operation> {
    let inputs = |d: &Device| AnyActivation::Features(matrix([2, 16], d));
    vec![
        case(
            "backward without autodiff",
            move |d| {
                let d = &d.clone().inner();
                Local::new(block(d), CrossEntropy).learn(inputs(d), &mut Tape::new(Labels(ints([0, 1], d))))
            },
            &["block 0: ", "Tape::backward", "device", "autodiff"],
        ),
        case(
            "backward of a constant",
            |d| Tape::new(()).backward(&vector(1, d), &block(d)),
            &["Tape::backward", "no parameter", "require_grad"],
        ),
        case(
            "backward of two numbers",
            |d| Tape::new(()).backward(&vector(2, d).require_grad(), &block(d)),
            &["Tape::backward", "is 2", "1"],
        ),
        case(
            "two shapes for one parameter",
            |d| {
                let (mut tape, id) = (Tape::new(()), ParamId::new());
                tape.register(id, matrix([2, 3], d));
                tape.register(id, matrix([1, 3], d));
            },
            &["[1, 3]", "[2, 3]"],
        ),
        case(
            "two ranks for one parameter",
            |d| {
                let (mut tape, id) = (Tape::new(()), ParamId::new());
                tape.register(id, matrix([2, 3], d));
                tape.register(id, vector(6, d));
            },
            &["Tape::register", "[6]", "[2, 3]"],
        ),
        case(
            "the end of a step without blocks",
            |d| -> TrainOutput<ClassificationOutput> { Tape::new(Labels(ints([0], d))).finish(matrix([1, 2], d)) },
            &["Tape::finish", "is 0", "Local::learn"],
        ),
    ]
}

/// A rule on a network.
pub(super) fn rules() -> Vec<Operation> {
    vec![
        case(
            "a rule without scores",
            |d| learn_with(AnyRule::new(Silent { acts: false }), d),
            &["LocalModel", "scores", "is 0", ">= 1"],
        ),
        case(
            "a rule that acts after steps, in one call",
            |d| learn_with(AnyRule::new(Silent { acts: true }), d),
            &["LocalModel", "after an optimiser step", "learn_with"],
        ),
        case("fewer heads than blocks", |d| learn_with(few_heads(d), d), &["heads", "is 1", "at least 2"]),
        case("fewer heads than blocks, scores", |d| score_with(few_heads(d), d), &["heads", "is 1", "at least 2"]),
        case("deep supervision", |d| learn_with(few_deep_heads(d), d), &["heads", "is 1", "at least 2"]),
        case("deep supervision, scores", |d| score_with(few_deep_heads(d), d), &["heads", "is 1", "at least 2"]),
    ]
}

/// A rule that learns nothing and records nothing.
#[derive(Module, Debug)]
struct Silent {
    acts: bool,
}

impl Rule for Silent {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
    fn begin(&self, _: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        Pass::of(batch)
    }
    fn learn_block(&self, _: usize, _: &Chain, _: &mut Pass, _: &mut Tape) {}
    fn advance(&self, _: usize, _: &Chain, _: &mut Pass) {}
    fn acts_after_steps(&self) -> bool {
        self.acts
    }
    fn scores(&self, _: &Network, inputs: AnyActivation) -> Scores {
        Scores { blocks: Vec::new(), readouts: vec![("nothing", inputs.features())], primary: 0 }
    }
    fn export(&self, _: &Network) -> ReadoutExport {
        ReadoutExport::default()
    }
}

fn heads(device: &Device) -> Vec<AnyHead> {
    vec![AnyHead::new(ProjectedCrossEntropy::new(4, 4, true, &mut rng(), device).unwrap())]
}

fn few_heads(device: &Device) -> AnyRule {
    AnyRule::new(LocalClassifiers::of(heads(device), ClassifierSettings::default()))
}

fn few_deep_heads(device: &Device) -> AnyRule {
    AnyRule::new(LocalClassifiers::of(heads(device), ClassifierSettings::default()).without_detach())
}

fn model(rule: AnyRule, device: &Device) -> LocalModel {
    let layers = mlp(&[4, 4]).layers(INPUT, seed(), device).unwrap();
    LocalModel::new(Network::new(layers, Partition::LAYER).unwrap(), rule, seed())
}

fn learn_with(rule: AnyRule, device: &Device) {
    model(rule, device).learn(&batch(3, 0, device));
}

fn score_with(rule: AnyRule, device: &Device) {
    model(rule, device).scores(batch(3, 0, device).inputs);
}
