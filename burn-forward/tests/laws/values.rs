//! Parameters and gradients of a model by path, and bit-exact comparison of them.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::model::LocalModel;
use burn_forward::rules::Scores;

/// Numbers by parameter path: `network.blocks.0.layers.0.linear.weight`.
pub(crate) type Values = BTreeMap<String, Vec<f32>>;

/// The block that a parameter belongs to: `network.blocks.K.` and, for a block's own head or feedback, `rule.NAME.K.`;
/// `None` for what belongs to the network as a whole (an output layer).
pub(crate) fn block_of(path: &str) -> Option<usize> {
    path.split('.').nth(2)?.parse().ok()
}

/// The numbers of a tensor.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The features of an activation.
pub(crate) fn features(activation: &AnyActivation) -> Vec<f32> {
    numbers(activation.features())
}

struct Collect<'a> {
    path: Vec<String>,
    gradients: Option<&'a GradientsParams>,
    found: Values,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = match self.gradients {
            Some(gradients) => gradients.get::<D>(param.id),
            None => Some(param.val()),
        };
        if let Some(value) = value {
            let value = numbers(value);
            let path = self.path.join(".");
            assert!(value.iter().all(|v| v.is_finite()), "{path} is not finite: {value:?}");
            assert!(self.found.insert(path.clone(), value).is_none(), "two parameters at {path}");
        }
    }
}

fn collect(model: &LocalModel, gradients: Option<&GradientsParams>) -> Values {
    let mut collect = Collect { path: Vec::new(), gradients, found: Values::new() };
    model.visit(&mut collect);
    collect.found
}

/// All floats of a model, running states included.
pub(crate) fn parameters(model: &LocalModel) -> Values {
    collect(model, None)
}

/// The gradients there are, and no others that belong to no parameter of the model.
pub(crate) fn gradients(model: &LocalModel, gradients: &GradientsParams) -> Values {
    let found = collect(model, Some(gradients));
    assert_eq!(found.len(), gradients.len(), "gradients of parameters that the model does not have");
    found
}

/// As [`gradients`], of the network alone; the tape may hold others.
pub(crate) fn network_gradients(model: &LocalModel, gradients: &GradientsParams) -> Values {
    collect(model, Some(gradients))
}

struct Edit<F> {
    path: Vec<String>,
    edit: F,
}

impl<F: FnMut(&str, &mut Vec<f32>)> ModuleMapper for Edit<F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trained = param.is_require_grad();
        param.map(|tensor| {
            let (shape, device) = (tensor.dims(), tensor.device());
            let mut values = numbers(tensor);
            (self.edit)(&self.path.join("."), &mut values);
            Tensor::from_data(TensorData::new(values, shape), &device).set_require_grad(trained)
        })
    }
}

/// The model with its floats edited in place. It takes a fresh model, since a clone shares running states.
pub(crate) fn edit(model: LocalModel, edit: impl FnMut(&str, &mut Vec<f32>)) -> LocalModel {
    model.map(&mut Edit { path: Vec::new(), edit })
}

/// The model with every float whose path `which` accepts moved away from where it was.
pub(crate) fn perturb(model: LocalModel, which: impl Fn(&str) -> bool) -> LocalModel {
    edit(model, |path, values| {
        if which(path) {
            values.iter_mut().enumerate().for_each(|(i, v)| *v = *v * 1.5 + 0.1 * (i % 3) as f32);
        }
    })
}

/// Whether two lists of numbers are the same bit for bit.
pub(crate) fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Asserts that `a` and `b` have the same paths and, bit for bit, the same numbers.
pub(crate) fn assert_same(a: &Values, b: &Values, what: &str) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{what}: different parameters");
    for (path, value) in a {
        assert!(same_bits(value, &b[path]), "{what}: {path}\n{value:?}\n{:?}", b[path]);
    }
}

/// Asserts that two lists of numbers differ by at most `tolerance`, relative for numbers above 1.
pub(crate) fn assert_close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what} [{i}]: {a}, expected {b}");
    }
}

/// The part of `values` that belongs to `block`.
pub(crate) fn of_block(values: &Values, block: usize) -> Values {
    values.iter().filter(|(path, _)| block_of(path) == Some(block)).map(|(p, v)| (p.clone(), v.clone())).collect()
}

/// What is wrong with the readouts whose names say how they are made of the blocks' scores.
pub(crate) fn wrong_readouts(scores: &Scores, what: &str) -> Vec<String> {
    let Some(blocks) = scores.blocks.iter().cloned().collect::<Option<Vec<_>>>() else { return Vec::new() };
    let classes = scores.primary().dims()[1];
    let blocks: Vec<Vec<f64>> = blocks.into_iter().map(|b| numbers(b).into_iter().map(f64::from).collect()).collect();
    let softmax = |scores: &[f64]| -> Vec<f64> {
        let row = |row: &[f64]| {
            let largest = row.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = row.iter().map(|s| (s - largest).exp()).sum();
            row.iter().map(|s| (s - largest).exp() / sum).collect::<Vec<_>>()
        };
        scores.chunks(classes).flat_map(row).collect()
    };
    let weighted_sum = |all: &[Vec<f64>], weight: &dyn Fn(usize) -> f64| -> Vec<f64> {
        (0..all[0].len()).map(|i| all.iter().enumerate().map(|(l, b)| weight(l) * b[i]).sum()).collect()
    };
    let probabilities: Vec<Vec<f64>> = blocks.iter().map(|b| softmax(b)).collect();
    let n = blocks.len() as f64;
    let votes = n * (n + 1.0) / 2.0;
    let mut wrong = Vec::new();
    for (name, got) in &scores.readouts {
        let got: Vec<f64> = numbers(got.clone()).into_iter().map(f64::from).collect();
        let (got, expected) = match *name {
            "last" => (got, blocks[blocks.len() - 1].clone()),
            "sum" => (got, weighted_sum(&blocks, &|_| 1.0)),
            "mean" => (got, weighted_sum(&blocks, &|_| 1.0 / n)),
            "mean-probability" => (softmax(&got), weighted_sum(&probabilities, &|_| 1.0 / n)),
            "weighted" => (softmax(&got), weighted_sum(&probabilities, &|l| (l + 1) as f64 / votes)),
            _ => continue,
        };
        let far = got.iter().zip(&expected).find(|(a, b)| (*a - *b).abs() > 1e-4 * b.abs().max(1.0));
        wrong.extend(far.map(|(got, expected)| format!("{what}: readout \"{name}\" is {got}, not {expected}")));
    }
    wrong
}
