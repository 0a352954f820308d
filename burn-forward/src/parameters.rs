//! How many parameters a model has.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Number of parameters of a module, the quantity that publications give: all weights and biases, frozen ones too, but not
/// the running means and variances of batch normalisation.
///
/// [`Module::num_params`] counts those as well: a ResNet-18 for ten classes has 11,173,962 parameters, and Burn counts
/// 9,600 more.
pub fn parameters(module: &impl Module) -> usize {
    let mut count = 0;
    each_parameter(module, |_, elements| count += elements);
    count
}

/// Calls `f` with the path and the number of elements of every float parameter that is no running statistic.
pub(crate) fn each_parameter(module: &impl Module, f: impl FnMut(&[String], usize)) {
    module.visit(&mut Parameters { path: Vec::new(), f });
}

/// Whether a tensor of this name, or path, is a running statistic of batch normalisation.
pub(crate) fn is_running_statistic(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    ["running_mean", "running_var"].contains(&last)
}

struct Parameters<F> {
    path: Vec<String>,
    f: F,
}

impl<F: FnMut(&[String], usize)> ModuleVisitor for Parameters<F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.path.last().is_some_and(|name| is_running_statistic(name)) {
            (self.f)(&self.path, param.lazy_shape().num_elements());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{BatchNormConfig, LinearConfig};
    use burn::tensor::Device;

    #[test]
    fn running_statistics_are_not_counted() {
        let device = Device::flex();
        // 3 x 4 weights and 4 biases; 4 scales and 4 shifts.
        let modules = vec![(LinearConfig::new(3, 4).init(&device), BatchNormConfig::new(4).init(&device))];
        assert_eq!(parameters(&modules), 16 + 8);
        assert_eq!(parameters(&modules.no_grad()), 16 + 8);
    }
}
