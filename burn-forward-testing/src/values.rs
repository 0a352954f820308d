//! Parameters and gradients of a model by path, and functions to compare them.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use burn_forward::activation::{Activation, AnyActivation};
use burn_forward::model::LocalModel;
use burn_forward::parameters::Owner;

use crate::verdict::{Violation, ensure};

/// Values by parameter path, such as `network.blocks.0.layers.0.linear.weight`.
pub type Values = BTreeMap<String, Vec<f32>>;

/// The block that the parameter at `path` [belongs to](Owner).
pub fn block_of(path: &str) -> Option<usize> {
    Owner::of(path)?.block()
}

/// The values of a tensor, in row-major order.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The features of an activation, row by row.
pub fn features(activation: &AnyActivation) -> Vec<f32> {
    numbers(activation.features())
}

struct Collect<'a> {
    path: Vec<String>,
    gradients: Option<&'a GradientsParams>,
    found: Values,
    wrong: Vec<String>,
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
        let Some(value) = value.map(numbers) else { return };
        let path = self.path.join(".");
        if value.iter().any(|v| !v.is_finite()) {
            self.wrong.push(format!("{path} is not finite: {value:?}"));
        }
        if self.found.insert(path.clone(), value).is_some() {
            self.wrong.push(format!("two parameters have the path {path}"));
        }
    }
}

fn collect(model: &LocalModel, gradients: Option<&GradientsParams>) -> Result<Values, Violation> {
    let mut collect = Collect { path: Vec::new(), gradients, found: Values::new(), wrong: Vec::new() };
    model.visit(&mut collect);
    ensure!(collect.wrong.is_empty(), "{}", collect.wrong.join("; "));
    Ok(collect.found)
}

/// All float parameters of a model, including running statistics.
///
/// # Errors
/// If one is not finite, or two have the same path.
pub fn parameters(model: &LocalModel) -> Result<Values, Violation> {
    collect(model, None)
}

/// The gradients of a model, which must be all gradients in `gradients`.
///
/// # Errors
/// If one is not finite, two have the same path, or one belongs to no parameter of the model.
pub fn gradients(model: &LocalModel, gradients: &GradientsParams) -> Result<Values, Violation> {
    let found = collect(model, Some(gradients))?;
    let strangers = gradients.len() - found.len();
    ensure!(strangers == 0, "{strangers} gradients belong to no parameter of the model");
    Ok(found)
}

/// Like [`gradients`], but there may be gradients of other modules as well.
///
/// # Errors
/// If one is not finite, or two have the same path.
pub fn gradients_among(model: &LocalModel, gradients: &GradientsParams) -> Result<Values, Violation> {
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

/// The model with its float parameters edited in place, each passed with its path. It takes a new model, since a clone shares
/// running statistics.
pub fn edit(model: LocalModel, edit: impl FnMut(&str, &mut Vec<f32>)) -> LocalModel {
    model.map(&mut Edit { path: Vec::new(), edit })
}

/// The model with every float parameter changed whose path `which` accepts.
pub fn perturb(model: LocalModel, which: impl Fn(&str) -> bool) -> LocalModel {
    edit(model, |path, values| {
        if which(path) {
            values.iter_mut().enumerate().for_each(|(i, v)| *v = *v * 1.5 + 0.1 * (i % 3) as f32);
        }
    })
}

/// The model with the rule's own parameters changed. Some of them start at zero, and no gradient passes through a head of
/// zeros.
pub fn with_perturbed_rule(model: LocalModel) -> LocalModel {
    edit(model, |path, values| {
        if path.starts_with("rule.") && !path.contains(".running_") {
            values.iter_mut().enumerate().for_each(|(i, v)| *v += 0.3 * (1.7 * (i * i) as f32).sin());
        }
    })
}

/// Whether two lists of numbers are identical bit for bit.
pub fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Checks that `a` and `b` have the same paths and, bit for bit, the same values.
///
/// # Errors
/// The first path that differs.
pub fn same(a: &Values, b: &Values) -> Result<(), Violation> {
    let only = |a: &Values, b: &Values| a.keys().filter(|path| !b.contains_key(*path)).cloned().collect::<Vec<_>>();
    let (here, there) = (only(a, b), only(b, a));
    ensure!(here.is_empty() && there.is_empty(), "only in the first: {here:?}; only in the second: {there:?}");
    for (path, value) in a {
        ensure!(same_bits(value, &b[path]), "{path} is {value:?} in the first, {:?} in the second", b[path]);
    }
    Ok(())
}

/// Checks that two lists of numbers differ by at most `tolerance`, relative for numbers above 1.
///
/// # Errors
/// The first entry that differs by more.
pub fn close(a: &[f32], b: &[f32], tolerance: f32) -> Result<(), Violation> {
    ensure!(a.len() == b.len(), "{} numbers, expected {}", a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        ensure!((a - b).abs() <= tolerance * b.abs().max(1.0), "[{i}] is {a}, expected {b}");
    }
    Ok(())
}

/// Asserts that `a` and `b` are the [`same`].
///
/// # Panics
/// If they are not.
pub fn assert_same(a: &Values, b: &Values, what: &str) {
    let differs = same(a, b).err();
    assert!(differs.is_none(), "{what}: {}", differs.unwrap_or_else(|| Violation(String::new())));
}

/// Asserts that `a` and `b` are [`close`].
///
/// # Panics
/// If they are not.
pub fn assert_close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    let differs = close(a, b, tolerance).err();
    assert!(differs.is_none(), "{what} {}", differs.unwrap_or_else(|| Violation(String::new())));
}

/// The part of `values` that belongs to `block`.
pub fn of_block(values: &Values, block: usize) -> Values {
    values.iter().filter(|(path, _)| block_of(path) == Some(block)).map(|(p, v)| (p.clone(), v.clone())).collect()
}
