//! The components of rules. None of them depends on a rule or an architecture.

pub mod activation_fn;
pub mod dropout;
pub mod feedback;
pub mod goodness;
pub mod goodness_loss;
pub mod label;
pub mod negatives;
pub mod normalisation;
pub mod pair_loss;
pub mod peer_norm;
pub mod projection;
pub mod prototypes;
