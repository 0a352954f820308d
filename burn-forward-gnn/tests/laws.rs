//! The laws that every learning rule of the core crate and of this crate obeys on every graph network, on toy data.
//!
//! The rules come from the registry. Those that reject graphs are left out, and a separate test checks which these are.
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
