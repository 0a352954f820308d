pub mod document;
pub mod overrides;
pub mod paths;
mod registry_schema;
mod run_config;
pub mod schema;
pub mod suggest;
mod training_config;

pub use registry_schema::schema_of;
pub use run_config::RunConfig;
pub use training_config::{Keep, TrainingConfig};
