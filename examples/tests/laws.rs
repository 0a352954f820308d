//! Tests the [rule of this crate](burn_forward_examples::brier) with the laws of burn-forward's rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn_forward_examples::registry;
use burn_forward_testing::{Laws, laws};

laws!(Laws::of(&registry()).rules(&["brier"]));
