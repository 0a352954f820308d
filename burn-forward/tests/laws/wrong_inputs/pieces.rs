//! The pieces that rules are made of.

use burn::tensor::{Device, Tensor};
use burn_forward::ProjectedCrossEntropy;
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::local::LocalLoss;
use burn_forward::pieces::feedback::OutputSignal;
use burn_forward::pieces::goodness::Goodness;
use burn_forward::pieces::pair_loss::{PairLoss, cross_entropy};
use burn_forward::pieces::peer_norm::{PeerConfig, PeerNormalisation};
use burn_forward::pieces::projection::HeadPool;
use burn_forward::pieces::{label, negatives, prototypes};
use burn_forward::rules::{BlockRange, HeadReadout, HeadTargets, Scores};
use burn_forward::tape::{Labels, Score};

use super::operation::{Operation, block, case, feedback, ints, matrix, projection, rng, vector};

/// Label inputs and wrong labels.
pub(super) fn labels_and_negatives() -> Vec<Operation> {
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
    ]
}

/// Losses of goodness and of scores, prototypes, peer normalisation.
pub(super) fn losses() -> Vec<Operation> {
    vec![
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
    ]
}

/// Projections, feedback, and their inputs.
pub(super) fn projections_and_feedback() -> Vec<Operation> {
    vec![
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
    ]
}

/// Scores, heads and single layers.
pub(super) fn scores_and_layers() -> Vec<Operation> {
    let labels = |device: &Device| Labels(ints([0, 2], device));
    vec![
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

/// Turns an error of the library into a panic.
fn fail(error: burn_forward::Error) {
    std::panic::panic_any(error.to_string());
}
