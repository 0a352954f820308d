//! IDX files: the format of MNIST, Fashion-MNIST and many sets made in their likeness.
//!
//! A file is a big-endian magic number `0x0000TTDD` (element type `TT`, number of dimensions `DD`), one `u32` per
//! dimension, and the elements. Images are unsigned bytes (`0x08`) of shape `[N, H, W]` or `[N, C, H, W]`, labels
//! unsigned bytes of shape `[N]`. Gzip is recognised by its content, not by the file's name.
//!
//! A header is a claim: no memory is reserved on its word, and no more is decompressed than it announces and one byte.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::ImageSet;
use super::gzip::{decompressed, unreadable};
use crate::{Error, Result};

/// The images of an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxImages {
    /// Pixels `[N, C, H, W]`.
    pub pixels: Vec<u8>,
    /// `[C, H, W]`; `C` is 1 for a file of three dimensions.
    pub shape: [usize; 3],
}

impl IdxImages {
    /// Number of images `N`.
    pub fn count(&self) -> usize {
        self.pixels.len() / self.shape.iter().product::<usize>().max(1)
    }
}

/// Reads the images of the file at `path`, gzipped or raw.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Data`] if it is not a whole IDX file of images and nothing else.
pub fn read_images(path: &Path) -> Result<IdxImages> {
    images(open(path)?, path)
}

/// Reads the labels of the file at `path`, gzipped or raw.
///
/// # Errors
/// As [`read_images`].
pub fn read_labels(path: &Path) -> Result<Vec<u8>> {
    labels(open(path)?, path)
}

/// Images from the `bytes` of an IDX file, gzipped or raw; `origin` is named in errors.
///
/// # Errors
/// [`Error::Data`] if the bytes are not a whole IDX file of images and nothing else.
pub fn decode_images(bytes: &[u8], origin: &Path) -> Result<IdxImages> {
    images(bytes, origin)
}

/// Labels from the `bytes` of an IDX file, gzipped or raw; `origin` is named in errors.
///
/// # Errors
/// As [`decode_images`].
pub fn decode_labels(bytes: &[u8], origin: &Path) -> Result<Vec<u8>> {
    labels(bytes, origin)
}

/// Reads the training and the test set of `folder`.
///
/// Accepted names: `train-` for the training set, `t10k-` or `test-` for the test set; `images-idx3-ubyte`,
/// `images.idx3-ubyte` (`idx4` too), `labels-idx1-ubyte`, `labels.idx1-ubyte`; with or without `.gz`. The number of
/// classes is the largest label of both sets and one. `origin` says in errors where the files can be had.
///
/// # Errors
/// [`Error::Data`] for a missing or damaged file, or files at odds with each other: images and labels in number,
/// training and test set in image size.
pub fn read_folder(folder: &Path, origin: &str) -> Result<(ImageSet, ImageSet)> {
    let train = Pair::find(folder, &["train"], origin)?;
    let test = Pair::find(folder, &["t10k", "test"], origin)?;
    let (train_images, train_labels) = train.read()?;
    let (test_images, test_labels) = test.read()?;
    if train_images.shape != test_images.shape {
        let size = |[c, h, w]: [usize; 3]| format!("images of {c}x{h}x{w}");
        let needed = format!("{}, as in {}", size(train_images.shape), train.images.display());
        return Err(Error::data(&test.images, size(test_images.shape), needed));
    }
    let classes = train_labels.iter().chain(&test_labels).max().map_or(0, |l| usize::from(*l) + 1);
    let set = |images: IdxImages, labels: Vec<u8>| {
        let labels = labels.into_iter().map(u16::from).collect();
        ImageSet::new(images.pixels, labels, images.shape, classes, 255.0)
    };
    Ok((set(train_images, train_labels)?, set(test_images, test_labels)?))
}

/// The two files of a set.
struct Pair {
    images: PathBuf,
    labels: PathBuf,
}

impl Pair {
    fn find(folder: &Path, prefixes: &[&str], origin: &str) -> Result<Self> {
        Ok(Self {
            images: find(folder, prefixes, "images", &["idx3", "idx4"], origin)?,
            labels: find(folder, prefixes, "labels", &["idx1"], origin)?,
        })
    }

    fn read(&self) -> Result<(IdxImages, Vec<u8>)> {
        let images = read_images(&self.images)?;
        let labels = read_labels(&self.labels)?;
        if images.count() != labels.len() {
            let needed = format!("{}, one per image of {}", images.count(), self.images.display());
            return Err(Error::data(&self.labels, format!("{} labels", labels.len()), needed));
        }
        Ok((images, labels))
    }
}

/// The first file that exists among the accepted names.
fn find(folder: &Path, prefixes: &[&str], kind: &str, ranks: &[&str], origin: &str) -> Result<PathBuf> {
    let stems = prefixes.iter().flat_map(|prefix| {
        ranks.iter().flat_map(move |rank| ["-", "."].map(|dot| format!("{prefix}-{kind}{dot}{rank}-ubyte")))
    });
    for stem in stems {
        for name in [format!("{stem}.gz"), stem] {
            let path = folder.join(name);
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    let names: Vec<_> = prefixes.iter().map(|prefix| format!("{prefix}-{kind}-{}-ubyte", ranks[0])).collect();
    let needed = format!("{}, with or without .gz; {origin}", names.join(" or "));
    Err(Error::data(folder, format!("no file of {} {kind}", prefixes[0].replace("t10k", "test")), needed))
}

fn open(path: &Path) -> Result<BufReader<File>> {
    File::open(path).map(BufReader::new).map_err(|e| Error::io(path, e))
}

fn images(reader: impl BufRead, path: &Path) -> Result<IdxImages> {
    let (sizes, pixels) = elements(reader, path, &[0x0803, 0x0804], "images of unsigned bytes")?;
    let shape = match sizes[..] {
        [_, channels, height, width] => [channels, height, width],
        [_, height, width] => [1, height, width],
        _ => [0; 3],
    };
    Ok(IdxImages { pixels, shape })
}

fn labels(reader: impl BufRead, path: &Path) -> Result<Vec<u8>> {
    elements(reader, path, &[0x0801], "labels of unsigned bytes").map(|(_, labels)| labels)
}

/// Dimensions and elements of a file whose magic number is among `magics`.
fn elements(reader: impl BufRead, path: &Path, magics: &[u32], kind: &str) -> Result<(Vec<usize>, Vec<u8>)> {
    let mut reader = decompressed(reader).map_err(|e| Error::io(path, e))?;
    let magic = be32(&take(&mut reader, 4, path, "a header")?);
    if !magics.contains(&magic) {
        let valid: Vec<_> = magics.iter().map(|m| format!("{m:#010x}")).collect();
        let needed = format!("{} ({kind})", valid.join(" or "));
        return Err(Error::data(path, format!("magic number {magic:#010x}"), needed));
    }
    let header = take(&mut reader, u64::from(magic & 0xff) * 4, path, "a header")?;
    let sizes: Vec<u32> = header.chunks_exact(4).map(be32).collect();
    let text = sizes.iter().map(u32::to_string).collect::<Vec<_>>().join(" x ");
    // A Vec holds at most isize::MAX bytes; what announces more is no file of this machine's.
    let announced = sizes.iter().try_fold(1u64, |product, size| product.checked_mul(u64::from(*size)));
    let announced = match announced {
        Some(n) if n > 0 && n < isize::MAX as u64 => n,
        Some(0) => return Err(Error::data(path, format!("a header that announces {text} elements"), "at least one")),
        _ => {
            return Err(Error::data(path, format!("a header that announces {text} elements"), "as many as fit memory"));
        }
    };
    let data = take(&mut reader, announced, path, &format!("{text} elements"))?;
    let mut beyond = Vec::new();
    reader.take(1).read_to_end(&mut beyond).map_err(|e| unreadable(path, e))?;
    if !beyond.is_empty() {
        return Err(Error::data(path, format!("bytes after the last of {text} elements"), "the end of the file there"));
    }
    Ok((sizes.iter().map(|s| *s as usize).collect(), data))
}

/// Exactly `n` bytes. The buffer grows with what is there, whatever `n` is.
fn take(reader: &mut dyn Read, n: u64, path: &Path, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(n).read_to_end(&mut bytes).map_err(|e| unreadable(path, e))?;
    if (bytes.len() as u64) < n {
        return Err(Error::data(path, format!("{} bytes of {what}", bytes.len()), format!("{n} bytes")));
    }
    Ok(bytes)
}

fn be32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests;
