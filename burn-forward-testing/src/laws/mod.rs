//! The laws. Each is a function of one case, whose documentation states what the law promises.

pub mod audit;
pub mod direct_feedback;
pub mod extreme_data;
pub mod finished;
pub mod finite_difference;
pub mod learning;
pub mod locality;
pub mod owners;
pub mod readouts;
pub mod smoothing;
pub mod state;
pub mod supervision;
