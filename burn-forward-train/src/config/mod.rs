//! JSON configs. Every mistake in a config is reported before any data is read or anything runs.
//!
//! A config passes through [`document::parse_document`] (syntax, duplicate keys), [`overrides::apply`] (`--set`),
//! [`schema::check`] (all mistakes at once) and [`document::parse`] (the typed config).

mod contradictions;
pub mod document;
mod fixed;
pub mod overrides;
mod parts;
pub mod paths;
mod registry_schema;
mod run_config;
pub mod schema;
pub mod suggest;
mod training_config;

pub use registry_schema::schema_of;
pub use run_config::RunConfig;
pub use training_config::{CheckpointEvery, FinalWeights, TrainingConfig};
