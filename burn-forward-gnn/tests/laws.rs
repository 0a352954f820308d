//! Laws that every learning rule of the core and of this crate obeys on every graph network, on toy data.
//!
//! Rules are found in the registry; those that refuse graphs are left out, and which they are is a test of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod laws {
    mod audit;
    mod extreme_data;
    mod learning;
    mod locality;
    mod readouts;
    mod refusals;
    mod sampling;
    mod state;
    mod toy;

    mod every_rule {
        use super::toy::laws;

        burn_forward_testing::laws!(laws());
    }
}
