//! Graph data: files, splits, loaders.

mod config;
mod features;
mod folder;
mod graph_data;
mod graph_dataset;
mod karate;
mod links;
mod loader;
mod node_split;
mod npy;
mod npz;
mod split;
mod text;

pub use config::{GraphConfig, GraphName, SamplingConfig, TaskName, data_entries};
pub use features::{FeatureScaling, Features, MAX_FEATURES};
pub use graph_data::GraphData;
pub use graph_dataset::GraphDataset;
pub use links::LinkConfig;
pub use loader::GraphLoader;
pub use node_split::NodeSplit;
pub use split::SplitConfig;
