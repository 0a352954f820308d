//! Images: data sets in their public file formats, a data set embedded in the crate, and a data loader for training.
//!
//! The way of an image: file ([`idx`], [`cifar`], [`image_folder`], [`digits`]) -> [`ImageSet`] (bytes, decoded once) -> [`Splits`] (views:
//! training, validation, test) -> [`ImageLoader`] (normalised, augmented, in batches, on a device). [`ImageData::load`]
//! goes all the way from a [`DataConfig`].

mod augment;
mod batch;
pub mod cifar;
mod config;
pub mod digits;
mod entries;
mod folder;
pub mod idx;
mod image;
pub mod image_folder;
mod layout;
mod loader;
mod misfit;
mod pixel_normalisation;
mod prefetch;
mod preparation;
mod source;
mod split;

pub use augment::Augment;
pub use batch::HostBatch;
pub use config::{DataConfig, DataName};
pub use entries::data_entries;
pub use image::ImageSet;
pub use layout::Layout;
pub use loader::{ImageLoader, TrainingOrder};
pub use pixel_normalisation::{ChannelStatistics, PixelNormalisation, PixelNormaliser, Preset, normaliser_of};
pub use source::ImageData;
pub use split::{ImageSubset, SplitSizes, Splits, stratified};
