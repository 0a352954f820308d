//! Many image files, read and decoded in parallel.

use std::io::Read;
use std::path::{Path, PathBuf};

use burn_forward::{Error, Result};
use rayon::prelude::*;

use super::decode::{Conversion, ImageFile};
use crate::images::ImageSet;

/// Longest file, in bytes.
const LONGEST_FILE: u64 = 1 << 28;

/// The shape that images have to have, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needed {
    /// `[C, H, W]`.
    pub(super) shape: [usize; 3],
    /// `as a/0.png has`.
    pub(super) reason: String,
    /// Whether settings would convert images of other shapes.
    pub(super) convertible: bool,
}

impl Needed {
    /// What a network was trained on.
    pub(super) fn trained(shape: [usize; 3]) -> Self {
        Self { shape, reason: "as the run was trained on".into(), convertible: false }
    }

    /// What the first of some files has.
    pub(super) fn as_in(path: &Path, conversion: Conversion) -> Result<Self> {
        let shape = ImageFile::open(&bytes_of(path)?, path)?.shape(conversion);
        Ok(Self { shape, reason: format!("as {} has", path.display()), convertible: true })
    }

    /// What to say of an image at `path` of another shape `found`.
    fn misfit(&self, path: &Path, found: [usize; 3]) -> Error {
        let text = |[c, h, w]: [usize; 3]| format!("{c}x{h}x{w}");
        let differs = |range: std::ops::Range<usize>| found[range.clone()] != self.shape[range];
        let settings = [("channels", 0..1), ("size", 1..3)].into_iter().filter(|(_, range)| differs(range.clone()));
        let settings: Vec<String> = settings.map(|(name, _)| format!("$.data.{name}")).collect();
        let hint = match self.convertible {
            true => format!("; {} would convert it", settings.join(" and ")),
            false => String::new(),
        };
        let needed = format!("{} (channels x height x width), {}{hint}", text(self.shape), self.reason);
        Error::data(path, format!("an image of {}", text(found)), needed)
    }
}

/// Reads labelled image files, all of the shape that is `needed`.
///
/// # Errors
/// As [`decode`](super::decode()) of the first file that cannot be read, [`Error::Data`] for the first of another shape and for
/// more images than fit memory, [`Error::Io`] for a file that cannot be read.
pub(super) fn read(
    files: &[(PathBuf, u16)],
    classes: usize,
    conversion: Conversion,
    needed: &Needed,
) -> Result<ImageSet> {
    let pixels = pixels_of(files, |(path, _)| path, conversion, needed)?;
    ImageSet::new(pixels, files.iter().map(|(_, class)| *class).collect(), needed.shape, classes, 255.0)
}

/// Pixels `[N, C, H, W]` of image files for a network that takes images of `shape` `[C, H, W]`.
///
/// # Errors
/// [`Error::Data`] for a file that is no whole PNG or JPEG image or, once converted, has another shape; [`Error::Io`] for one
/// that cannot be read.
pub fn read_files(files: &[PathBuf], conversion: Conversion, shape: [usize; 3]) -> Result<Vec<u8>> {
    pixels_of(files, |path| path, conversion, &Needed::trained(shape))
}

/// Pixels `[N, C, H, W]` of the files at the `path` of every item.
fn pixels_of<T: Sync>(
    items: &[T],
    path: impl Fn(&T) -> &PathBuf + Sync,
    conversion: Conversion,
    needed: &Needed,
) -> Result<Vec<u8>> {
    let size: usize = needed.shape.iter().product();
    let mut pixels = Vec::new();
    let bytes = size.checked_mul(items.len());
    let Some(bytes) = bytes.filter(|bytes| pixels.try_reserve_exact(*bytes).is_ok()) else {
        let place = items.first().and_then(|item| path(item).parent()).unwrap_or(Path::new("."));
        let found = format!("{} images of {size} bytes each", items.len());
        return Err(Error::data(place, found, "as many as fit memory: fewer, or a smaller $.data.size"));
    };
    pixels.resize(bytes, 0);
    let error = pixels
        .par_chunks_mut(size.max(1))
        .zip(items.par_iter())
        .map(|(target, item)| read_into(target, path(item), conversion, needed))
        .find_map_first(Result::err);
    error.map_or(Ok(pixels), Err)
}

fn read_into(target: &mut [u8], path: &Path, conversion: Conversion, needed: &Needed) -> Result<()> {
    let bytes = bytes_of(path)?;
    let file = ImageFile::open(&bytes, path)?;
    let shape = file.shape(conversion);
    if shape != needed.shape {
        return Err(needed.misfit(path, shape));
    }
    target.copy_from_slice(&file.decode(conversion)?);
    Ok(())
}

/// The content of a file, unless it is too long for an image.
fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = burn_forward::input::open(path)?;
    file.take(LONGEST_FILE + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    match bytes.len() as u64 > LONGEST_FILE {
        true => Err(Error::data(path, format!("more than {LONGEST_FILE} bytes"), "an image file")),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
