//! Data: image sets in their public file formats, a set embedded in the crate, and a loader that feeds training. What a
//! run needs of any data set, images or not, is [`TrainingData`]; its registry is open to other crates.
//!
//! The way of an image: file ([`idx`], [`cifar`], [`digits`]) -> [`ImageSet`] (bytes, decoded once) -> [`Splits`] (views:
//! training, validation, test) -> [`ImageLoader`] (normalised, augmented, in batches, on a device). [`ImageData::load`]
//! goes all the way from a [`DataConfig`].

mod augment;
mod batch;
mod batching;
pub mod cifar;
mod config;
pub mod digits;
mod fingerprint;
mod folder;
pub mod gzip;
pub mod idx;
mod image;
mod layout;
mod loader;
mod normalise;
mod prefetch;
mod registry;
mod source;
mod split;

pub use augment::Augment;
pub use batch::{Batch, BatchKey, HostBatch};
pub use batching::{Batching, LastBatch};
pub use config::{DataConfig, DataName};
pub use fingerprint::Fingerprint;
pub use folder::DataFolders;
pub use image::ImageSet;
pub use layout::Layout;
pub use loader::{ImageLoader, Training};
pub use normalise::{ChannelStatistics, Normalise, Normaliser, Preset};
pub use registry::{DataEntry, DataSpec, DataSplit, JoinedSamples, ParseData, TrainingData, data_entries, data_entry};
pub use source::{ImageData, empty_classes};
pub use split::{Part, SplitSizes, Splits, stratified};
