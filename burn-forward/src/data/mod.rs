//! Data: the input of a rule ([`Batch`]), and with the feature `config` everything that a run needs from a data set
//! (`DataSpec`, `LoadedData`).

mod batch;
mod batching;
#[cfg(feature = "config")]
mod classes;
#[cfg(feature = "config")]
mod fingerprint;
#[cfg(feature = "config")]
mod folder;
#[cfg(feature = "config")]
pub mod gzip;
#[cfg(feature = "config")]
mod registry;
#[cfg(feature = "config")]
mod rows;
#[cfg(feature = "config")]
mod set;
mod signature;

pub use batch::{Batch, BatchKey};
pub use batching::{Batching, LastBatch};
#[cfg(feature = "config")]
pub use classes::empty_classes;
#[cfg(feature = "config")]
pub use fingerprint::Fingerprint;
#[cfg(feature = "config")]
pub use folder::DataFolders;
#[cfg(feature = "config")]
pub use registry::{DataEntry, ParseData, data_entry};
#[cfg(feature = "config")]
pub use rows::Rows;
#[cfg(feature = "config")]
pub use set::{DataSpec, DataSplit, GraphView, LoadedData};
pub use signature::{ModelSignature, PixelScaling};
