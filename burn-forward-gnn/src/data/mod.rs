//! Graph data: files, splits, loaders.

mod config;
mod folder;
mod karate;
mod links;
mod loader;
mod npy;
mod npz;
mod set;
mod split;
mod text;

pub use config::{GraphConfig, GraphName, LinkConfig, RowScale, SamplingConfig, TaskName, data_entries};
pub use loader::GraphLoader;
pub use set::{Features, GraphData, GraphSet, MOST_FEATURES};
pub use split::{NodeSplit, SplitConfig};
