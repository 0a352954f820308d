//! Overlapping local updates: gradients cross every block border in one of two steps, and not in the other.

use burn_forward::data::{Batch, BatchKey};
use burn_forward::model::LocalModel;
use serde_json::json;

use super::toy::{batch, on_all_devices, seed};
use burn_forward_testing::values::{Values, gradients, of_block, perturb};

fn step(model: LocalModel, key: BatchKey, device: &burn::tensor::Device) -> Values {
    let batch = Batch { key, ..batch(16, 0, device) };
    gradients(&model, &model.learn(&batch).grads).unwrap()
}

#[test]
fn every_border_is_open_in_one_of_two_steps() {
    for case in on_all_devices("trifecta", &json!({})) {
        let blocks = case.model(seed()).unwrap().network.len();
        // This does not depend on the number of batches per epoch: with one batch, steps alternate from epoch to epoch.
        for (batches, number) in [1, 2, 3].into_iter().flat_map(|batches| (0..4).map(move |number| (batches, number))) {
            let key = BatchKey::new(1 + number / batches, number % batches, batches as usize);
            let base = step(case.model(seed()).unwrap(), key, case.device());
            for k in 0..blocks - 1 {
                let above = format!("network.blocks.{}.", k + 1);
                let moved = perturb(case.model(seed()).unwrap(), |path| path.starts_with(&above));
                let moved = step(moved, key, case.device());
                let reached = of_block(&base, k) != of_block(&moved, k);
                // Even steps pair (0, 1), (2, 3) ...; odd steps pair (1, 2), (3, 4) ...
                let open = (k as u64 + number).is_multiple_of(2);
                assert_eq!(reached, open, "{case}: {batches} batches an epoch, step {number}, border {k}");
            }
        }
    }
}
