//! Overlapping local updates: every border is open in one of two steps, and in the other it is closed.

use burn_forward::training::LocalModel;
use serde_json::json;

use super::toy::{batch, on_all_devices, seed};
use super::values::{Values, gradients, of_block, perturb};

fn step(model: LocalModel, index: u64, device: &burn::tensor::Device) -> Values {
    let batch = batch(16, index, device);
    gradients(&model, &model.learn(&batch).grads)
}

#[test]
fn every_border_is_open_in_one_of_two_steps() {
    for case in on_all_devices("trifecta", &json!({})) {
        let blocks = case.model(seed()).network.len();
        for index in [0, 1] {
            let base = step(case.model(seed()), index, &case.device);
            for k in 0..blocks - 1 {
                let above = format!("network.blocks.{}.", k + 1);
                let moved = perturb(case.model(seed()), |path| path.starts_with(&above));
                let moved = step(moved, index, &case.device);
                let reached = of_block(&base, k) != of_block(&moved, k);
                // Even steps pair (0, 1), (2, 3) ...; odd ones (1, 2), (3, 4) ...
                assert_eq!(reached, (k as u64 + index).is_multiple_of(2), "{case}: step {index}, border {k}");
            }
        }
    }
}
