//! A quick look at whether a config can learn: a run on a part of its data, from which no result is taken.

mod excerpt;
mod limited;
mod look;
#[cfg(test)]
mod tests;

pub use look::QuickLook;
