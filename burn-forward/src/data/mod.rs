//! Data: what a rule is given ([`Batch`]), and what a run needs of a data set, images or not ([`DataSpec`],
//! [`TrainingData`]).

mod batch;
mod batching;
mod classes;
mod fingerprint;
mod folder;
pub mod gzip;
mod set;
mod signature;

pub use batch::{Batch, BatchKey};
pub use batching::{Batching, LastBatch};
pub use classes::empty_classes;
pub use fingerprint::Fingerprint;
pub use folder::DataFolders;
pub use set::{DataEntry, DataSpec, DataSplit, JoinedSamples, ParseData, TrainingData, data_entry};
pub use signature::{ModelSignature, PixelScaling};
