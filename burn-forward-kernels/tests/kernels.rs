//! The operations compared with their definitions and with Burn's own operations, and the arguments that they reject.
#![cfg(feature = "flex")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kernels {
    mod conv;
    #[cfg(feature = "optim")]
    mod optim;
    mod shapes;
}
