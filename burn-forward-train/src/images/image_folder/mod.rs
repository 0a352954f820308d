//! Image files in folders, one folder per class: PNG and JPEG.
//!
//! `cats/1.png`, `cats/2.jpg`, `dogs/1.png` ... are a set of two classes. Classes are counted in the order of their folders'
//! names. Every image becomes bytes `[C, H, W]` of one shape for the whole set; [`Conversion`] says which changes are
//! allowed on the way. The format of a file is told by its content.
//!
//! Burn's own `ImageFolderDataset` is not used here: it panics on a damaged image, and brings decoders and network
//! clients that nothing else needs.

mod config;
mod decode;
mod listing;
mod read;

pub use config::{ImageFolderConfig, TestPart, row};
pub use decode::{Conversion, Picture, decode, is_image};
pub use listing::images_in;
pub use read::read_files;
