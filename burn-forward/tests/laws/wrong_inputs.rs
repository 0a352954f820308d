//! Public operations of the learning pieces, on inputs that do not fit: each says what was given, what is needed and where,
//! and none computes a number.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::module::{Module, ModuleDisplay, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::{ClassificationOutput, TrainOutput};
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::data::Batch;
use burn_forward::local::{LocalLoss, learn};
use burn_forward::model::LocalModel;
use burn_forward::network::{Chain, Network, Partition};
use burn_forward::pieces::feedback::{OutputSignal, ProjectedFeedback};
use burn_forward::pieces::goodness::Goodness;
use burn_forward::pieces::pair_loss::{PairLoss, cross_entropy};
use burn_forward::pieces::peer_norm::{PeerConfig, PeerNormalisation};
use burn_forward::pieces::projection::HeadPool;
use burn_forward::pieces::{label, negatives, prototypes};
use burn_forward::random::Rng;
use burn_forward::rules::{
    AnyHead, AnyRule, BlockRange, ClassifierSettings, HeadReadout, HeadTargets, LocalClassifiers, Pass, ReadoutExport,
    Rule, Scores, StepContext,
};
use burn_forward::tape::{Labels, Score, Tape};
use burn_forward::{CrossEntropy, Local, ProjectedCrossEntropy, erased_module};

use burn_forward_testing::panics::panic_of;

use super::toy::{INPUT, batch, devices, mlp, seed};

/// The message of a panic.
fn refusal<T>(operation: impl FnOnce() -> T) -> Option<String> {
    panic_of(|| drop(operation()))
}

fn matrix(shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::full(shape, 0.5, device)
}

fn ints<const N: usize>(values: [i64; N], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::from(values), device)
}

fn vector(length: usize, device: &Device) -> Tensor<1> {
    Tensor::full([length], 0.5, device)
}

fn rng() -> Rng {
    seed().stream("any", &[])
}

/// A projection of 5 features to 3 classes.
fn projection(device: &Device) -> ProjectedCrossEntropy {
    ProjectedCrossEntropy::new(5, 3, false, &mut rng(), device).unwrap()
}

fn feedback(device: &Device) -> ProjectedFeedback {
    ProjectedFeedback::new(5, 3, &mut rng(), device).unwrap()
}

/// A dense layer of 4 units on 16 features.
fn block(device: &Device) -> Chain {
    Chain::new(mlp(&[4]).layers(INPUT, seed(), device).unwrap())
}

type Operation = (&'static str, Box<dyn Fn(&Device)>, &'static [&'static str]);

/// An operation, and what its refusal has to say.
fn case<T>(name: &'static str, operation: impl Fn(&Device) -> T + 'static, said: &'static [&'static str]) -> Operation {
    (name, Box::new(move |device| drop(operation(device))), said)
}

fn pieces() -> Vec<Operation> {
    let labels = |device: &Device| Labels(ints([0, 2], device));
    vec![
        case(
            "overlay, as many features as classes",
            |d| label::overlay(matrix([2, 3], d), matrix([2, 3], d)),
            &["overlay", "features", "3", "more than 3"],
        ),
        case(
            "overlay, fewer features",
            |d| label::overlay(matrix([2, 2], d), matrix([2, 10], d)),
            &["2", "more than 10"],
        ),
        case("overlay, other rows", |d| label::overlay(matrix([2, 9], d), matrix([1, 3], d)), &["rows", "is 1", "2"]),
        case("clear_overlay", |d| label::clear_overlay(matrix([2, 3], d), 3), &["clear_overlay", "3", "more than 3"]),
        case(
            "overlay_candidates",
            |d| label::overlay_candidates(4, 2, 1.0, d),
            &["overlay_candidates", "2", "more than 4"],
        ),
        case("one_hot, too large", |d| label::one_hot(&ints([0, 4], d), 3), &["one_hot", "row 1", "4", "0 to 2"]),
        case("one_hot, negative", |d| label::one_hot(&ints([-1, 0], d), 3), &["one_hot", "row 0", "-1", "0 to 2"]),
        case("wrong, one class", |_| negatives::wrong(&[0, 0], 1, &mut rng()), &["negatives::wrong", "is 1", ">= 2"]),
        case("wrong, no class", |_| negatives::wrong(&[0, 7], 3, &mut rng()), &["row 1", "7", "0 to 2"]),
        case("hard, one class", |_| negatives::hard(&[0], &[1.0], 1, &mut rng()), &["negatives::hard", "is 1", ">= 2"]),
        case("hard, no class", |_| negatives::hard(&[3], &[1.0; 3], 3, &mut rng()), &["row 0", "3", "0 to 2"]),
        case("hard, few logits", |_| negatives::hard(&[0, 1], &[1.0; 3], 3, &mut rng()), &["logits", "is 3", "6"]),
        case("pair loss", |d| PairLoss::default().forward(vector(3, d), vector(1, d), 1.0), &["PairLoss", "3", "1"]),
        case("pair loss of none", |d| PairLoss::default().forward(vector(0, d), vector(0, d), 1.0), &["0", ">= 1"]),
        case(
            "cross-entropy, rows",
            |d| cross_entropy(matrix([3, 4], d), ints([0], d)),
            &["cross_entropy", "is 1", "3"],
        ),
        case("cross-entropy, class", |d| cross_entropy(matrix([2, 3], d), ints([0, 3], d)), &["row 1", "3", "0 to 2"]),
        case("goodness", |d| Goodness::TopK.of(matrix([2, 0], d)), &["Goodness", "is 0", ">= 1"]),
        case("goodness at unit scale", |d| Goodness::Burst.at_unit_scale(0, d).map_err(fail), &["is 0", ">= 1"]),
        case("prototype scores", |d| prototypes::scores(matrix([2, 3], d), matrix([4, 5], d), 1.0), &["is 5", "3"]),
        case("class means, rows", |d| prototypes::class_means(matrix([2, 3], d), &ints([0], d), 2), &["is 1", "2"]),
        case("class means, class", |d| prototypes::class_means(matrix([1, 3], d), &ints([2], d), 2), &["2", "0 to 1"]),
        case(
            "leave one out",
            |d| prototypes::leave_one_out_scores(matrix([1, 3], d), &ints([5], d), 2, 1.0),
            &["row 0", "5", "0 to 1"],
        ),
        case(
            "peer normalisation, units",
            |d| {
                PeerNormalisation::new(3, PeerConfig::default(), d)
                    .penalty(matrix([2, 4], d).by_unit(), matrix([2, 4], d).by_unit())
            },
            &["PeerNormalisation", "[2, 4, 1]", "[B, 3, P]"],
        ),
        case(
            "peer normalisation, rows",
            |d| {
                PeerNormalisation::new(3, PeerConfig::default(), d)
                    .penalty(matrix([1, 3], d).by_unit(), matrix([2, 3], d).by_unit())
            },
            &["[1, 3, 1] and [2, 3, 1]"],
        ),
        case("projection", |d| projection(d).scores(&matrix([2, 4], d)), &["ProjectedCrossEntropy", "is 4", "5"]),
        case("pool", |d| HeadPool::Side(0).read(&Tensor::<4>::ones([1, 1, 2, 2], d)), &["side", "is 0", ">= 1"]),
        case(
            "projection of nothing",
            |d| {
                let shape = RowShape::Maps { channels: 1, height: 2, width: 2 };
                ProjectedCrossEntropy::of(shape, HeadPool::Side(0), 3, true, &mut rng(), d).map_err(fail)
            },
            &["0 x 3", ">= 1"],
        ),
        case(
            "feedback, width",
            |d| feedback(d).score(&Trace::from(matrix([2, 4], d)), &OutputSignal(matrix([2, 3], d))),
            &["ProjectedFeedback", "is 4", "5"],
        ),
        case(
            "feedback, signal",
            |d| feedback(d).score(&Trace::from(matrix([2, 5], d)), &OutputSignal(matrix([2, 1], d))),
            &["ProjectedFeedback", "[2, 1]", "[2, 3]"],
        ),
        case(
            "feedback, rows",
            |d| feedback(d).score(&Trace::from(matrix([2, 5], d)), &OutputSignal(matrix([1, 3], d))),
            &["[1, 3]", "[2, 3]"],
        ),
        case("classify", move |d| labels(d).classify(matrix([3, 3], d)), &["number of labels", "is 2", "3"]),
        case(
            "teaching",
            move |d| HeadTargets { smoothing: 0.1, ..HeadTargets::new(labels(d)) }.cross_entropy(matrix([2, 2], d)),
            &["row 1", "2", "0 to 1"],
        ),
        case(
            "numbers",
            |d| Score { logits: Some(matrix([3, 2], d)), ..Score::from(vector(1, d)) }.summary(&ints([0], d)),
            &["Score::summary", "is 1", "3"],
        ),
        case("with_features", |d| Tensor::<3>::ones([2, 3, 4], d).with_features(matrix([2, 11], d)), &["is 11", "12"]),
        case(
            "heads",
            |_| Scores::of_heads(Vec::new(), HeadReadout::Last, BlockRange::all(0)),
            &["heads", "is 0", ">= 1"],
        ),
        case(
            "heads of two shapes",
            |d| Scores::of_heads(vec![matrix([2, 3], d), matrix([2, 4], d)], HeadReadout::Last, BlockRange::all(2)),
            &["head 1", "[2, 4]", "[2, 3]"],
        ),
        case(
            "readout",
            |d| Scores { blocks: Vec::new(), readouts: vec![("a", matrix([1, 1], d))], primary: 1 }.primary(),
            &["Scores::primary", "is 1", "below 1"],
        ),
        case("layer", |d| block(d).layers()[0].forward(AnyActivation::Features(matrix([2, 7], d))), &["is 7", "16"]),
        case(
            "bias",
            |d| block(d).trace_with_bias(AnyActivation::Features(matrix([2, 16], d)), Some(matrix([1, 4], d))),
            &["bias", "[1, 4]", "[2, 4]"],
        ),
    ]
}

/// An error of the library, told as a panic is.
fn fail(error: burn_forward::Error) {
    std::panic::panic_any(error.to_string());
}

fn steps() -> Vec<Operation> {
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
        case(
            "a rule without scores",
            |d| learn_with(AnyRule::new(Silent), d),
            &["LocalModel", "scores", "is 0", ">= 1"],
        ),
        case("fewer heads than blocks", |d| learn_with(few_heads(d), d), &["heads", "is 1", "at least 2"]),
        case("fewer heads than blocks, scores", |d| score_with(few_heads(d), d), &["heads", "is 1", "at least 2"]),
        case("deep supervision", |d| learn_with(few_deep_heads(d), d), &["heads", "is 1", "at least 2"]),
        case("deep supervision, scores", |d| score_with(few_deep_heads(d), d), &["heads", "is 1", "at least 2"]),
    ]
}

/// A rule that learns nothing and says nothing.
#[derive(Module, Debug)]
struct Silent;

impl Rule for Silent {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(Self)
    }
    fn begin(&self, _: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        Pass::of(batch)
    }
    fn learn_block(&self, _: usize, _: &Chain, _: &mut Pass, _: &mut Tape) {}
    fn advance(&self, _: usize, _: &Chain, _: &mut Pass) {}
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

#[test]
fn what_does_not_fit_is_refused_with_what_is_needed() {
    let mut failures = Vec::new();
    for (on, device) in devices() {
        for (name, operation, said) in pieces().into_iter().chain(steps()) {
            match refusal(|| operation(&device)) {
                None => failures.push(format!("{name} on {on}: accepted")),
                Some(text) if said.iter().any(|part| !text.contains(part)) => {
                    failures.push(format!("{name} on {on}: {text:?}, without {said:?}"));
                }
                Some(_) => {}
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_refusal_does_not_name_the_block_before() {
    let device = devices().remove(0).1;
    let inputs = AnyActivation::Features(matrix([2, 16], &device));
    let labels = Labels(ints([0, 2], &device));
    let within = refusal(|| learn(&block(&device), &projection(&device), 1, inputs, &labels, &mut Tape::new(())));
    assert!(within.unwrap().starts_with("block 1: "));
    let outside = refusal(|| projection(&device).scores(&matrix([2, 4], &device))).unwrap();
    assert!(outside.starts_with("ProjectedCrossEntropy: "), "{outside}");
}

/// A parameter of rank `D`.
#[derive(Module, Debug)]
struct OfRank<const D: usize> {
    value: Param<Tensor<D>>,
}

trait Any: burn_forward::erased::ErasedModule {
    fn copy(&self) -> Box<dyn Any>;
}

impl<const D: usize> Any for OfRank<D> {
    fn copy(&self) -> Box<dyn Any> {
        Box::new(self.clone())
    }
}

#[derive(Debug)]
struct Erased(Box<dyn Any>);

impl Clone for Erased {
    fn clone(&self) -> Self {
        Self(self.0.copy())
    }
}

erased_module!(Erased);

/// Gradients that reach a module through a pointer.
fn gradients_found<M: Module + ModuleDisplay>(module: &M, loss: &Tensor<1>) -> usize {
    GradientsParams::from_grads(loss.backward(), module).len()
}

fn of_rank<const D: usize>(device: &Device) -> (Erased, Tensor<1>) {
    let value = Param::from_tensor(Tensor::<D>::ones([1; D], device));
    let loss = value.val().sum();
    (Erased(Box::new(OfRank { value })), loss)
}

#[test]
fn parameters_of_every_rank_are_seen_through_a_pointer_or_refused() {
    for (name, device) in devices() {
        macro_rules! seen {
            ($($rank:literal)*) => {
                $({
                    let (module, loss) = of_rank::<$rank>(&device);
                    let answer = catch_unwind(AssertUnwindSafe(|| gradients_found(&module, &loss)));
                    match answer {
                        Ok(found) => assert_eq!(found, 1, "{name}: rank {}", $rank),
                        Err(_) => assert!($rank > 6, "{name}: rank {} is refused", $rank),
                    }
                })*
            };
        }
        seen!(1 2 3 4 5 6);
        if name == "flex" {
            seen!(7 8 9 10 12 13);
        }
    }
    let (module, loss) = of_rank::<13>(&devices().remove(0).1);
    let text = refusal(|| gradients_found(&module, &loss)).unwrap();
    assert!(text.contains("rank") && text.contains("13"), "{text}");
}
