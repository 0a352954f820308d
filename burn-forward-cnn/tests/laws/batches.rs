//! The number of values that one row provides to the batch normalisations of a network and of a rule's heads agrees with what
//! happens in a step on one row.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn_forward::network::Partition;
use serde_json::json;

use super::toy::{Case, batch, cases, network, seed};
use burn_forward_testing::step_trace::first_step;
use burn_forward_testing::values::numbers;

/// The running variances of a model by path.
#[derive(Default)]
struct Variances {
    path: Vec<String>,
    found: Vec<(String, Vec<f32>)>,
}

impl ModuleVisitor for Variances {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.path.last().is_some_and(|name| name == "running_var") {
            self.found.push((self.path.join("."), numbers(param.val().without_autodiff())));
        }
    }
}

/// With maps of 8x8 and 4x4, with maps down to 1x1, and without batch normalisation in the network.
fn on_networks(case: &Case) -> Vec<Case> {
    let stack = |channels: &[usize], norm: bool| {
        let settings = json!({
            "channels": channels, "activation": "tanh", "normalisation": "rms", "pool-kind": "average", "batch-norm": norm,
        });
        network("conv-stack", &settings, Partition::LAYER)
    };
    [stack(&[8, 8], true), stack(&[8, 8, 8, 8], true), stack(&[8, 8], false)]
        .map(|network| case.with_network(network))
        .into()
}

#[test]
fn a_step_on_one_row_shows_which_normalisations_see_a_single_value() {
    let mut singles = [0, 0];
    for case in
        cases().into_iter().filter(|case| case.network().name() == "conv-stack").flat_map(|case| on_networks(&case))
    {
        if !case.accepted().unwrap() {
            continue;
        }
        let model = case.model(seed()).unwrap();
        first_step(&model, &batch(1, 0, case.device()));
        let mut variances = Variances::default();
        // The running statistics of the step are in the inference version of the model.
        model.valid().visit(&mut variances);
        // A running variance starts at 1 and moves by a tenth towards that of the batch, which is 0 for a single value. If a
        // rule has several passes, this happens once per pass.
        let of_single =
            |values: &[f32]| (1..10).any(|passes| values.iter().all(|v| (v - 0.9f32.powi(passes)).abs() < 1e-6));
        let seen: Vec<&str> =
            variances.found.iter().filter(|(_, v)| of_single(v)).map(|(path, _)| path.as_str()).collect();
        let said = model.normalised_values_per_row();
        assert_eq!(said.is_some(), !variances.found.is_empty(), "{case}: {said:?}");
        assert!(seen.is_empty() || said == Some(1), "{case}: {said:?}, but {seen:?} saw a single value");
        // A batch of one sample is rejected even if the sample enters a pass several times, with right and wrong labels.
        // This also holds if batch normalisations are in inference mode.
        let refused = ["forward-forward", "trifecta", "zeroth-order"].contains(&case.rule());
        assert!(!seen.is_empty() || said != Some(1) || refused, "{case}: no normalisation saw a single value");
        singles[usize::from(!seen.is_empty())] += 1;
    }
    assert!(singles.iter().all(|n| *n > 10), "{singles:?}: both kinds are needed");
}
