//! Every optimiser that a config can name changes every parameter.

use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward_testing::values::parameters;
use serde_json::json;

use super::toy::{batch, on_all_devices, seed};

#[test]
fn every_optimizer_steps_every_parameter() {
    for name in OptimizerName::ALL {
        for case in on_all_devices("mono-forward", &json!({})) {
            let mut optimizer =
                OptimizerConfig::new(name, 1e-2).optimizer(&case.spec().unwrap().parameter_groups()).unwrap();
            let mut model = case.model(seed()).unwrap();
            // This also checks that every number is finite.
            let before = parameters(&model).unwrap();
            for step in 0..3 {
                let output = model.learn(&batch(32, step, case.device()));
                model = optimizer.step(1e-2, model, output.grads);
            }
            let still: Vec<String> = parameters(&model)
                .unwrap()
                .into_iter()
                .filter(|(path, now)| before[path] == *now)
                .map(|(path, _)| path)
                .collect();
            assert!(still.is_empty(), "{case}: {} leaves {still:?} as they were", name.name());
        }
    }
}
