//! The laws for every row of the rule registry, on every CPU device of the build, and tests specific to the rules of this
//! crate.
//!
//! A new rule is tested as soon as it has a row: the settings to test are taken from the row's own schema. Expected values
//! come from definitions (closed forms, finite differences, equivalent programs), never from what the code returned.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod laws {
    mod adding;
    mod closed_form;
    mod equivalence;
    mod feedback_alignment;
    mod in_place;
    mod labels;
    mod learning;
    mod matrix;
    mod outside;
    mod own_module;
    mod predictive_coding;
    mod supervision;
    mod toy;
    mod wrong_inputs;
    mod zeroth_order;

    mod every_rule {
        use super::toy::laws;

        burn_forward_testing::laws!(laws());
    }
}
