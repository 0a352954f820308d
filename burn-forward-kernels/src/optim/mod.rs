//! Burn's optimisers in one pass over memory: [`FusedSgd`], [`FusedAdam`] and [`FusedAdamW`].
//!
//! Burn's own optimisers compute a step with operations on whole tensors. With Adam, a parameter is read and written about
//! fifteen times, mostly on one thread, and three or four tensors of its size are created. Here, weights, gradient and moments
//! are read once, and weights and moments are written once. This happens in place if they are not used elsewhere, and on all
//! threads if a parameter is large.
//!
//! Every number results from the same single-precision operations, in the same order, as in Burn. Results are therefore
//! identical to the bit, including NaN and infinity, and do not depend on the number of threads. Records are those of Burn's
//! optimisers: a record that one has saved can be loaded by the other.
//!
//! Burn's own operations are used for tensors on another backend, of another number type or with autodiff, and for the settings
//! `amsgrad` and `cautious_weight_decay`.
//!
//! A step changes weights in place only if they are not used elsewhere. If a clone of the model exists during a step, the
//! weights are copied.
//!
//! ```
//! use burn::module::ParamGroup;
//! use burn::nn::LinearConfig;
//! use burn::optim::{GradientsParams, ModuleOptimizer};
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::{Device, Tensor};
//! use burn_forward_kernels::optim::FusedAdam;
//!
//! let device = Device::flex().autodiff();
//! let mut layer = LinearConfig::new(3, 2).init(&device);
//! let mut optimizer = ModuleOptimizer::from(FusedAdam::default());
//! let loss = layer.forward(Tensor::<2>::ones([4, 3], &device)).square().mean();
//! let gradients = GradientsParams::from_grads(loss.backward(), &layer);
//! layer = optimizer.step(1e-3, layer, gradients);
//! # }
//! ```

mod adam;
mod adamw;
#[cfg(feature = "flex")]
mod flex;
mod inputs;
#[cfg(feature = "flex")]
mod moments;
#[cfg(feature = "flex")]
mod pass;
mod sgd;
#[cfg(feature = "flex")]
mod update;

pub use adam::FusedAdam;
pub use adamw::FusedAdamW;
pub use sgd::{FusedSgd, FusedSgdState};
