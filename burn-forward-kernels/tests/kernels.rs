//! The operations against definitions written out and against Burn's own, and their refusals.
#![cfg(feature = "flex")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kernels {
    mod conv;
    #[cfg(feature = "optim")]
    mod optim;
    mod shapes;
}
