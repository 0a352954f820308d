//! The laws of local rules, for every rule of both crates on convolutional networks.
//!
//! The laws themselves are those of the core crate, tried on other networks and more rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

mod laws {
    #[path = "../../../burn-forward/tests/laws/audit.rs"]
    mod audit;
    #[path = "../../../burn-forward/tests/laws/extreme_data.rs"]
    mod extreme_data;
    #[path = "../../../burn-forward/tests/laws/finished.rs"]
    mod finished;
    #[path = "../../../burn-forward/tests/laws/finite_difference.rs"]
    mod finite_difference;
    #[path = "../../../burn-forward/tests/laws/locality.rs"]
    mod locality;
    #[path = "../../../burn-forward/tests/laws/readouts.rs"]
    mod readouts;
    #[path = "../../../burn-forward/tests/laws/smoothing.rs"]
    mod smoothing;
    #[path = "../../../burn-forward/tests/laws/state.rs"]
    mod state;
    #[path = "../../../burn-forward/tests/laws/supervision.rs"]
    mod supervision;
    #[path = "../../../burn-forward/tests/laws/values.rs"]
    mod values;
    #[path = "../../../burn-forward/tests/laws/walk.rs"]
    mod walk;

    mod batches;
    mod coverage;
    mod greedy;
    mod learning;
    mod overlap;
    mod toy;
    mod units;
}
