//! Top-down signals of single-forward learning: blocks also receive the states of the blocks above, one time step late.
//!
//! The streams of a [`Pass`] are the states of all blocks: `s_0` is the input, `s_l` the output of block `l` (from 1), and
//! `s_{L+1}` the label state `[N, C]`, which is one-hot for training nodes and virtual nodes, and `1/C` for all others. Every
//! training step is a time step. At the start of every epoch, the states are computed anew, bottom-up. Therefore a run that is
//! resumed after an epoch continues as if it had not been stopped, and training starts from the same states as inference. (The
//! program of the paper never computes the states anew; a high `steps-per-epoch` has the same effect.)

use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};
use burn_forward::activation::{Activation, AnyActivation, Nodes};
use burn_forward::block::{Block, Trace};
use burn_forward::local::learn_from_trace;
use burn_forward::network::{Chain, Network};
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::rules::{Pass, Scores};
use burn_forward::tape::{Labels, Tape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::readout::MEAN_PROBABILITY;
use super::representatives::RepresentativeCrossEntropy;
use crate::graph::LabelledGraph;

/// How blocks receive signals from the blocks above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TopDown {
    /// There are no such signals.
    #[default]
    None,
    /// The state above is part of the input.
    ToInput,
    /// The states above are part of the input of the loss.
    ToLoss,
}

/// Number of time steps of inference, and the first one whose scores count.
const TIME_STEPS: usize = 10;
const FIRST_COUNTED: usize = 2;

fn normalised(state: &AnyActivation) -> Tensor<2> {
    Normalisation::L2.forward(state.features())
}

/// `[N, C]`: one-hot for training nodes and the virtual nodes after them, `1/C` for all others.
fn label_state(input: &AnyActivation, classes: usize, virtual_nodes: bool) -> AnyActivation {
    let rows = input.rows();
    let mut values = vec![1.0 / classes as f32; rows * classes];
    let mut set = |row: usize, class: usize| {
        let row = &mut values[row * classes..][..classes];
        row.fill(0.0);
        row[class] = 1.0;
    };
    if let Some(labelled_graph) = LabelledGraph::of_activation(input) {
        labelled_graph.training.iter().for_each(|(node, class)| set(*node as usize, *class as usize));
    }
    if virtual_nodes && rows >= classes {
        (0..classes).for_each(|class| set(rows - classes + class, class));
    }
    input.with_features(Tensor::from_data(TensorData::new(values, [rows, classes]), &input.device()))
}

/// The input of block `index`, made from the states; gradients flow to the states that have any.
fn block_input(index: usize, states: &[AnyActivation], how: TopDown) -> AnyActivation {
    let AnyActivation::Nodes(nodes) = &states[index] else {
        return states[index].with_features(normalised(&states[index]));
    };
    // The input is already normalised, once for all steps.
    let below = if index == 0 { nodes.features.clone() } else { nodes.features.normalised(Normalisation::L2) };
    let features = match how {
        TopDown::ToInput => below.with_columns(normalised(&states[index + 2])),
        TopDown::ToLoss | TopDown::None => below,
    };
    AnyActivation::Nodes(Nodes { features, feature_cache: None, ..nodes.clone() })
}

/// The input of the loss of block `index`: its `output`, or the mean of its output and the states of all blocks above.
fn loss_input(index: usize, output: &AnyActivation, states: &[AnyActivation], how: TopDown) -> AnyActivation {
    if how != TopDown::ToLoss {
        return output.clone();
    }
    let above = &states[index + 2..states.len() - 1];
    let sum = above.iter().fold(output.features(), |sum, s| sum + normalised(s).detach());
    output.with_features(sum / (above.len() + 1) as f64)
}

/// The states, computed from the input upwards. `carry` is applied to each of them, and decides whether gradients flow from
/// state to state. States that are not computed yet are zero.
pub(super) fn initial_states(
    network: &Network,
    input: AnyActivation,
    classes: usize,
    how: TopDown,
    virtual_nodes: bool,
    carry: fn(AnyActivation) -> AnyActivation,
) -> Vec<AnyActivation> {
    let rows = input.rows();
    let labels = label_state(&input, classes, virtual_nodes);
    let widths = network.blocks().iter().map(|b| Chain::output(b).len());
    let device = input.device();
    let first = match input.clone().detach() {
        AnyActivation::Nodes(nodes) => AnyActivation::Nodes(Nodes {
            features: nodes.features.normalised(Normalisation::L2),
            feature_cache: None,
            ..nodes
        }),
        other => other,
    };
    let mut states = vec![first];
    states.extend(widths.map(|width| input.with_features(Tensor::zeros([rows, width], &device))));
    states.push(labels);
    for (index, block) in network.blocks().iter().enumerate() {
        states[index + 1] = carry(block.forward(block_input(index, &states, how)));
    }
    states
}

/// The order in which blocks learn: those with an even index from the states of the previous step, then those with an odd index
/// from new states. Without signals to the input, they learn from below upwards.
pub(super) fn order(blocks: usize, how: TopDown) -> Vec<usize> {
    match how {
        TopDown::ToInput => (0..blocks).step_by(2).chain((1..blocks).step_by(2)).collect(),
        TopDown::ToLoss | TopDown::None => (0..blocks).collect(),
    }
}

/// Block `index` learns from the states of a pass.
pub(super) fn learn_block(
    index: usize,
    block: &Chain,
    loss: &RepresentativeCrossEntropy,
    pass: &mut Pass,
    tape: &mut Tape,
    how: TopDown,
) {
    let output = block.forward(block_input(index, &pass.streams, how).detach());
    let trace = Trace::from(loss_input(index, &output, &pass.streams, how));
    learn_from_trace(block, loss, index, trace, &Labels(pass.labels.clone()), tape);
    pass.streams[index + 1] = output.detach();
}

/// Passes on the output of block `index` without learning.
pub(super) fn advance(index: usize, block: &Chain, pass: &mut Pass, how: TopDown) {
    pass.streams[index + 1] = block.forward(block_input(index, &pass.streams, how)).detach();
}

/// The scores after a bottom-up start. With signals to the input, the probabilities of all time steps that count are summed.
pub(super) fn scores(
    network: &Network,
    mut states: Vec<AnyActivation>,
    loss: &RepresentativeCrossEntropy,
    how: TopDown,
) -> Scores {
    let blocks = network.blocks();
    let score = |states: &[AnyActivation]| -> Vec<Tensor<2>> {
        (0..blocks.len()).map(|i| softmax(loss.scores(&loss_input(i, &states[i + 1], states, how), None), 1)).collect()
    };
    let mut sums = if how == TopDown::ToInput { Vec::new() } else { score(&states) };
    for step in 0..if how == TopDown::ToInput { TIME_STEPS } else { 0 } {
        for index in order(blocks.len(), how) {
            states[index + 1] = blocks[index].forward(block_input(index, &states, how)).detach();
        }
        if step >= FIRST_COUNTED {
            let now = score(&states);
            sums = if sums.is_empty() { now } else { sums.into_iter().zip(now).map(|(a, b)| a + b).collect() };
        }
    }
    let all = sums[1..].iter().fold(sums[0].clone(), |a, b| a + b.clone());
    let log = |sum: Tensor<2>| {
        let total = sum.clone().sum_dim(1);
        (sum / total).clamp_min(1e-30).log()
    };
    let last = log(sums[sums.len() - 1].clone());
    Scores {
        blocks: sums.into_iter().map(|s| Some(log(s))).collect(),
        readouts: vec![(MEAN_PROBABILITY, log(all)), ("last", last)],
        primary: 0,
    }
}
