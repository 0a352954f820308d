//! The audit compares the updates of every rule with the gradients of back-propagation.

use burn_forward_train::measure::{Alignment, audit};
use serde_json::json;

use crate::values::with_perturbed_rule;
use crate::verdict::{Outcome, Verdict, concerns, ensure};
use crate::{Case, seed};

/// Whether a block has a finite angle and norm ratio.
pub fn is_finite(block: &Alignment) -> bool {
    block.angle_degrees.is_some_and(|a| (0.0..=180.0).contains(&a)) && block.norm_ratio.is_some_and(f64::is_finite)
}

/// Whether a block's update equals the gradient.
pub fn is_exact(block: &Alignment) -> bool {
    block.angle_degrees.is_some_and(|a| a < 0.1) && block.norm_ratio.is_some_and(|r| (r - 1.0).abs() < 1e-4)
}

/// Every block of every rule has an angle to the gradient and a norm ratio, and both are finite.
pub fn every_rule_is_audited_in_finite_numbers(case: &Case) -> Verdict {
    let model = with_perturbed_rule(case.model(seed())?);
    let blocks = audit(&model, &case.batch(0), seed())?;
    ensure!(blocks.len() == model.network.len() && blocks.iter().all(is_finite), "{blocks:?}");
    Ok(Outcome::Tried)
}

/// The updates of `backprop` are the gradients.
pub fn back_propagation_is_its_own_gradient(case: &Case) -> Verdict {
    concerns!(case.rule() == "backprop");
    let blocks = audit(&case.model(seed())?, &case.batch(0), seed())?;
    ensure!(blocks.iter().all(is_exact), "{blocks:?}");
    Ok(Outcome::Tried)
}

/// The last block of `mono-forward`, together with its output layer, forms a network of its own, so it learns from the
/// gradient.
pub fn the_last_block_of_mono_forward_learns_from_the_gradient(case: &Case) -> Verdict {
    concerns!(case.rule() == "mono-forward" && case.settings() == &json!({}));
    let blocks = audit(&case.model(seed())?, &case.batch(0), seed())?;
    ensure!(blocks.last().is_some_and(is_exact), "{blocks:?}");
    Ok(Outcome::Tried)
}
