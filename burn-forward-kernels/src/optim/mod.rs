//! Burn's optimisers in one pass over memory: [`FusedSgd`], [`FusedAdam`] and [`FusedAdamW`].
//!
//! Burn's own compute a step from operations on whole tensors. With Adam a parameter is read and written some fifteen times,
//! mostly in one thread, and three or four tensors of its size are made. Here weights, gradient and moments are read once and
//! weights and moments are written once, in place where nobody else holds them, in all threads where a parameter is large.
//!
//! Every number comes from the same operations on single-precision numbers, in the same order, as with Burn's: results are
//! the same to the bit, NaN and infinity included. They do not depend on the number of threads. Records are those of Burn's
//! optimisers: what one has saved, the other loads and goes on with.
//!
//! Tensors of another backend, of another number type or with autodiff, and the settings `amsgrad` and
//! `cautious_weight_decay`, are computed by Burn's own operations.
//!
//! A step changes weights in place only if nobody else holds them. A clone of a model that is alive during a step holds them:
//! they are copied then.
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
//! let loss = layer.forward(Tensor::ones([4, 3], &device)).square().mean();
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
