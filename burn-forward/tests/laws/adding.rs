//! The tape adds gradients: after several passes with one parameter, its gradient is that of the sum of their losses.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, activation::relu};
use burn_forward::block::{Block, Trace};
use burn_forward::init::{self, Init};
use burn_forward::local::{LocalLoss, learn, learn_from_trace};
use burn_forward::pieces::goodness::Goodness;
use burn_forward::tape::{Labels, Score, Tape};
use burn_forward::{Local, ProjectedCrossEntropy};

use super::toy::{devices, seed};
use burn_forward_testing::values::{assert_close, numbers};

const WIDTH: usize = 6;

#[derive(Module, Debug)]
struct Dense {
    linear: Linear,
}

impl Block for Dense {
    type Input = Tensor<2>;
    type Output = Tensor<2>;
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        relu(self.linear.forward(x))
    }
}

/// The teaching signal of a pass: whether goodness should rise or fall.
#[derive(Debug, Clone, Copy)]
enum Sign {
    Positive,
    Negative,
}

/// The loss `-g` for positive samples and `g` for negative ones.
#[derive(Module, Debug)]
struct Liking {
    scale: Param<Tensor<1>>,
}

impl LocalLoss<Sign, Tensor<2>> for Liking {
    fn score(&self, trace: &Trace<Tensor<2>>, sign: &Sign) -> Score {
        let g = Goodness::MeanSquares.of(trace.output.clone()).mean() * self.scale.val();
        Score::from(match sign {
            Sign::Positive => g.neg(),
            Sign::Negative => g,
        })
    }
}

fn dense(device: &Device) -> Dense {
    let mut rng = seed().stream("dense", &[]);
    Dense { linear: init::linear(WIDTH, WIDTH, Init::Normal(0.5), Some(Init::Normal(0.1)), &mut rng, device).unwrap() }
}

fn head(index: u64, device: &Device) -> ProjectedCrossEntropy {
    ProjectedCrossEntropy::new(WIDTH, 3, true, &mut seed().stream("head", &[index]), device).unwrap()
}

fn rows(name: &str, device: &Device) -> Tensor<2> {
    Init::Normal(1.0).draw([5, WIDTH], &mut seed().stream(name, &[]), device).unwrap()
}

fn labels(device: &Device) -> Labels {
    Labels(Tensor::from_data([0, 2, 1, 2, 0], device))
}

/// Gradients of a layer's weights and biases.
fn of_linear(gradients: &GradientsParams, linear: &Linear) -> Vec<f32> {
    let bias = gradients.get::<1>(linear.bias.as_ref().unwrap().id).unwrap();
    [numbers(gradients.get::<2>(linear.weight.id).unwrap()), numbers(bias)].concat()
}

#[test]
fn a_layer_used_twice_has_the_gradient_of_the_sum() {
    for (name, device) in devices() {
        let (layer, heads, labels) = (dense(&device), [head(0, &device), head(1, &device)], labels(&device));
        let mut learned = Tape::new(());
        let h = learn(&layer, &heads[0], 0, rows("x", &device), &labels, &mut learned);
        learn(&layer, &heads[1], 1, h, &labels, &mut learned);
        // The second half of `learn` alone, on separate passes.
        let mut absorbed = Tape::new(());
        let h = learn_from_trace(&layer, &heads[0], 0, layer.trace(rows("x", &device)), &labels, &mut absorbed);
        learn_from_trace(&layer, &heads[1], 1, layer.trace(h), &labels, &mut absorbed);

        let first = layer.forward(rows("x", &device));
        let second = layer.forward(first.clone().detach());
        let loss = |h: Tensor<2>, head: &ProjectedCrossEntropy| head.score(&Trace::from(h), &labels).loss;
        let sum = loss(first, &heads[0]) + loss(second, &heads[1]);
        let expected = of_linear(&GradientsParams::from_grads(sum.backward(), &layer), &layer.linear);
        for tape in [learned, absorbed] {
            assert_close(&of_linear(tape.gradients(), &layer.linear), &expected, 1e-6, &name);
            assert_eq!(tape.gradients().len(), 6, "{name}: weights and biases of a layer and of two heads");
        }
    }
}

#[test]
fn a_layer_learns_from_positive_and_then_from_negative_samples() {
    for (name, device) in devices() {
        let scale = Param::from_tensor(Tensor::from_data([1.5], &device));
        let layer = Local::new(dense(&device), Liking { scale });
        let (x, y) = (rows("x", &device), rows("y", &device));
        let mut tape = Tape::new(Sign::Positive);
        layer.learn(x.clone(), &mut tape);
        tape.set_signal(Sign::Negative);
        layer.learn(y.clone(), &mut tape);

        let loss = |x, sign| layer.loss.score(&layer.block.trace(x), &sign).loss;
        let sum = loss(x, Sign::Positive) + loss(y, Sign::Negative);
        let expected = GradientsParams::from_grads(sum.backward(), &layer);
        let linear = &layer.block.linear;
        assert_close(&of_linear(tape.gradients(), linear), &of_linear(&expected, linear), 1e-6, &name);
        let of_scale = |g: &GradientsParams| numbers(g.get::<1>(layer.loss.scale.id).unwrap());
        assert_close(&of_scale(tape.gradients()), &of_scale(&expected), 1e-6, &name);
        assert_eq!(tape.records().len(), 2, "{name}");
    }
}

#[test]
fn every_way_onto_the_tape_adds() {
    for (name, device) in devices() {
        let linear = dense(&device).linear;
        let loss = |name| linear.forward(rows(name, &device)).square().mean();
        let mut expected = vec![0.0; WIDTH * WIDTH];
        let mut add = |gradient: Vec<f32>| expected.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
        let alone = |name| {
            let gradients = GradientsParams::from_grads(loss(name).backward(), &linear);
            numbers(gradients.get::<2>(linear.weight.id).unwrap())
        };
        let mut tape = Tape::new(());
        tape.backward(&loss("a"), &linear);
        add(alone("a"));
        // A parameter that is in both modules of a pair counts once.
        tape.backward_pair(&loss("b"), &linear, &linear);
        add(alone("b"));
        for _ in 0..2 {
            // A tensor with a graph, which the gradients for an optimiser must not have.
            tape.register(linear.weight.id, linear.weight.val() * 2.0);
            add(numbers(linear.weight.val() * 2.0));
        }
        let got = tape.gradients().get::<2>(linear.weight.id).unwrap();
        assert!(!got.device().is_autodiff(), "{name}");
        assert_close(&numbers(got), &expected, 1e-6, &name);
    }
}
