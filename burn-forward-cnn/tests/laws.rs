//! Tests the laws for every rule of both crates on convolutional networks, and the special properties of this crate's rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod laws {
    mod batches;
    mod coverage;
    mod feedback_alignment;
    mod greedy;
    mod overlap;
    mod predictive_coding;
    mod smoothing;
    mod toy;
    mod units;

    mod every_rule {
        use super::toy::laws;

        burn_forward_testing::laws!(laws());
    }
}
