//! Laws that every row of the rule registry obeys, on every CPU device of the build.
//!
//! A new rule is picked up by its row: [`laws::toy::cases`] reads its settings from the row's own schema. Expected values
//! come from definitions (closed forms, finite differences, equivalent programs), never from what the code returned.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod laws {
    mod adding;
    mod audit;
    mod closed_form;
    mod equivalence;
    mod extreme_data;
    mod finished;
    mod finite_difference;
    mod labels;
    mod learning;
    mod locality;
    mod outside;
    mod readouts;
    mod smoothing;
    mod state;
    mod supervision;
    mod toy;
    mod values;
    mod walk;
    mod wrong_inputs;
}
