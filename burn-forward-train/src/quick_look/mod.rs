//! A quick look at whether a config can learn: a run on part of its data, not meant for results.

mod excerpt;
mod limited;
mod look;
#[cfg(test)]
mod tests;

pub use look::QuickLook;
