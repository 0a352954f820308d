//! The audit compares updates with gradients under every rule.

use burn_forward_train::measure::{Alignment, audit};
use serde_json::json;

use super::toy::{batch, cases, on_all_devices, seed};
use super::values::edit;

fn finite(block: &Alignment) -> bool {
    block.angle_degrees.is_some_and(|a| (0.0..=180.0).contains(&a)) && block.norm_ratio.is_some_and(f64::is_finite)
}

/// The update is the gradient.
fn exact(block: &Alignment) -> bool {
    block.angle_degrees.is_some_and(|a| a < 0.1) && block.norm_ratio.is_some_and(|r| (r - 1.0).abs() < 1e-4)
}

#[test]
fn every_rule_is_audited_in_finite_numbers() {
    let mut wrong = Vec::new();
    for case in cases() {
        // Some heads start from zeros, behind which there is no gradient.
        let model = edit(case.model(seed()), |path, values| {
            if path.starts_with("rule.") && !path.contains(".running_") {
                values.iter_mut().enumerate().for_each(|(i, v)| *v += 0.3 * (1.7 * (i * i) as f32).sin());
            }
        });
        let blocks = audit(&model, &batch(24, 0, &case.device), seed()).unwrap_or_else(|e| panic!("{case}: {e}"));
        if blocks.len() != model.network.len() || !blocks.iter().all(finite) {
            wrong.push(format!("{case}: {blocks:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn back_propagation_is_its_own_gradient() {
    for settings in [json!({}), json!({"bias": false})] {
        for case in on_all_devices("backprop", &settings) {
            let blocks = audit(&case.model(seed()), &batch(24, 0, &case.device), seed()).unwrap();
            assert!(blocks.iter().all(exact), "{case}: {blocks:?}");
        }
    }
}

#[test]
fn the_last_block_of_mono_forward_learns_from_the_gradient() {
    for case in on_all_devices("mono-forward", &json!({})) {
        let model = case.model(seed());
        let blocks = audit(&model, &batch(24, 0, &case.device), seed()).unwrap();
        let last = blocks.last().unwrap();
        assert!(exact(last), "{case}: {blocks:?}");
    }
}
