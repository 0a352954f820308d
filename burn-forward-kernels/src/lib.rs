//! CPU operations for the flex backend of the [Burn](https://burn.dev) deep-learning framework. Each equals Burn's own
//! operation up to rounding, and is faster, or uses less memory, or both.
//!
//! Any Burn program can use them, since they do not depend on local learning. Every operation accepts Burn's tensors and
//! modules, returns tensors, has its own gradient in Burn's autodiff graph, and works with gradient checkpointing. Burn's own
//! operations are used for tensors on another backend and for number types other than single precision. The exceptions are
//! products of sparse matrices, which Burn does not have; there, the caller needs an alternative. Results do not depend on the
//! number of threads.
//!
//! - [`conv`]: [convolution](conv::conv2d), [batch normalisation](conv::batch_norm) with an [activation
//!   function](conv::FusedActivation) in the same pass, average pools
//! - [`affine`]: `x W + b` and [`relu(x W + b)`](affine::affine_relu) for many rows; [`relu`]: a ReLU that keeps its output
//! - [`sparse`]: products and graph attention with a constant [`Sparse`](sparse::Sparse) matrix
//! - [`optim`]: a step of [SGD](optim::FusedSgd), [Adam](optim::FusedAdam) or [AdamW](optim::FusedAdamW) in one pass
//! - [`prototypes`]: scores of rows against the last rows; [`gemm`]: matrix products on slices
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::{Device, Distribution, Tensor};
//! use burn_forward_kernels::affine::affine_relu;
//!
//! let device = Device::flex().autodiff();
//! let x = Tensor::<2>::random([5000, 64], Distribution::Default, &device);
//! let weight = Tensor::<2>::random([64, 32], Distribution::Default, &device).require_grad();
//! let bias = Tensor::<1>::zeros([32], &device);
//!
//! let h = affine_relu(x, weight.clone(), Some(bias));
//! let gradients = h.sum().backward();
//! assert_eq!(weight.grad(&gradients).map(|gradient| gradient.dims()), Some([64, 32]));
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod affine;
pub mod conv;
pub mod device;
mod error;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
pub mod gemm;
#[cfg(feature = "optim")]
pub mod optim;
pub mod prototypes;
pub mod relu;
pub mod shape;
pub mod sparse;
pub mod testing;
#[cfg(all(feature = "flex", feature = "optim"))]
mod vectorised;

pub use error::{Error, Result};
