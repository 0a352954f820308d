//! IDX files: the format of MNIST, Fashion-MNIST, EMNIST, QMNIST and many similar data sets.
//!
//! A file consists of a big-endian magic number `0x0000TTDD` (element type `TT`, number of dimensions `DD`), one `u32` per
//! dimension, and the elements. Images are unsigned bytes (`0x08`) of shape `[N, H, W]`, `[N, C, H, W]` or `[N, H, W, C]`
//! (see [`Layout`]). Labels are unsigned bytes of shape `[N]`, or QMNIST's rows of eight 32-bit integers (`0x0c`), the first
//! of which is the class. Gzip is detected from the content of a file, not from its name.
//!
//! A header is not trusted: no memory is reserved on the basis of it, and decompression stops one byte after the declared
//! size.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{ImageSet, Layout};
use burn_forward::data::gzip::{decompressed, unreadable};
use burn_forward::{Error, Result};

/// The images of an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxImages {
    /// Pixels `[N, C, H, W]`, whatever the layout of the file.
    pub pixels: Vec<u8>,
    /// `[C, H, W]`; `C` is 1 for a file with three dimensions.
    pub shape: [usize; 3],
}

impl IdxImages {
    /// Number of images `N`.
    pub fn count(&self) -> usize {
        self.pixels.len() / self.shape.iter().product::<usize>().max(1)
    }
}

/// Information that the files in a folder do not contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdxSettings<'a> {
    /// Prefix of the file names, in a folder with the files of several data sets, such as `emnist-letters`.
    pub prefix: Option<&'a str>,
    /// Layout of images with four dimensions; `None` means channels first, if the sizes are unambiguous.
    pub layout: Option<Layout>,
    /// The label of the first class.
    pub first_label: u8,
}

/// Reads the images in the file at `path`, gzipped or raw.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read. [`Error::Data`] if it is not a complete IDX file of images and nothing else, or
/// if neither its sizes nor `layout` determine its layout.
pub fn read_images(path: &Path, layout: Option<Layout>) -> Result<IdxImages> {
    images(open(path)?, path, layout)
}

/// Reads the labels in the file at `path`, gzipped or raw.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Data`] if it is not a complete IDX file of labels and nothing else.
pub fn read_labels(path: &Path) -> Result<Vec<u16>> {
    labels(open(path)?, path)
}

/// Images from the `bytes` of an IDX file, gzipped or raw; errors name `origin`.
///
/// # Errors
/// [`Error::Data`] in the same cases as for [`read_images`].
pub fn decode_images(bytes: &[u8], origin: &Path, layout: Option<Layout>) -> Result<IdxImages> {
    images(bytes, origin, layout)
}

/// Labels from the `bytes` of an IDX file, gzipped or raw; errors name `origin`.
///
/// # Errors
/// [`Error::Data`] in the same cases as for [`read_labels`].
pub fn decode_labels(bytes: &[u8], origin: &Path) -> Result<Vec<u16>> {
    labels(bytes, origin)
}

/// The four files of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxFiles {
    train: Pair,
    test: Pair,
}

/// A file of images and a file of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    images: PathBuf,
    labels: PathBuf,
}

impl IdxFiles {
    /// Finds the files of a data set in `folder`.
    ///
    /// Accepted names start with `train-` for the training set, and `t10k-` or `test-` for the test set. Then follows
    /// `images-idx3-ubyte` or `images.idx3-ubyte` (also with `idx4`), `labels-idx1-ubyte`, `labels.idx1-ubyte` or QMNIST's
    /// `labels-idx2-int`, with or without `.gz`. All names may have the same prefix (`emnist-letters-`, `qmnist-`). `origin`
    /// tells in errors where the files are available.
    ///
    /// # Errors
    /// [`Error::Data`] for a missing file, or if there are several data sets and `prefix` does not select one.
    pub fn find(folder: &Path, prefix: Option<&str>, origin: &str) -> Result<Self> {
        let prefix = chosen_prefix(folder, prefix, &TRAIN)?;
        let pair = |parts: &[&str]| Pair::find(folder, &prefix, parts, origin);
        Ok(Self { train: pair(&TRAIN)?, test: pair(&TEST)? })
    }

    /// Reads the training and the test set. The number of classes is the largest label of both sets plus one, minus the first
    /// label.
    ///
    /// # Errors
    /// [`Error::Data`] for a damaged file, or files that do not match: images and labels in number, training and test set in
    /// image size.
    pub fn read(&self, settings: IdxSettings<'_>) -> Result<(ImageSet, ImageSet)> {
        let (train_images, train_labels) = self.train.read(settings)?;
        let (test_images, test_labels) = self.test.read(settings)?;
        if train_images.shape != test_images.shape {
            let size = |[c, h, w]: [usize; 3]| format!("images of {c}x{h}x{w}");
            let needed = format!("{}, as in {}", size(train_images.shape), self.train.images.display());
            return Err(Error::data(&self.test.images, size(test_images.shape), needed));
        }
        let classes = train_labels.iter().chain(&test_labels).max().map_or(0, |l| usize::from(*l) + 1);
        let set = |images: IdxImages, labels| ImageSet::new(images.pixels, labels, images.shape, classes, 255.0);
        Ok((set(train_images, train_labels)?, set(test_images, test_labels)?))
    }
}

/// Finds and reads the training and the test set in `folder`.
///
/// # Errors
/// The errors of [`IdxFiles::find`] and [`IdxFiles::read`].
pub fn read_folder(folder: &Path, settings: IdxSettings<'_>, origin: &str) -> Result<(ImageSet, ImageSet)> {
    IdxFiles::find(folder, settings.prefix, origin)?.read(settings)
}

/// Like [`read_folder`], for the test set alone, for a network with the given number of `classes`.
///
/// # Errors
/// The errors of [`read_folder`], and [`Error::Data`] for a class that is not below `classes`.
pub fn read_test(folder: &Path, settings: IdxSettings<'_>, origin: &str, classes: usize) -> Result<ImageSet> {
    let test = Pair::find(folder, &chosen_prefix(folder, settings.prefix, &TEST)?, &TEST, origin)?;
    let (images, labels) = test.read(settings)?;
    if let Some(class) = labels.iter().find(|class| usize::from(**class) >= classes) {
        let needed = format!("less than {classes}, the number of classes that the run was trained on");
        return Err(Error::data(&test.labels, format!("class {class}"), needed));
    }
    ImageSet::new(images.pixels, labels, images.shape, classes, 255.0)
}

/// Start of the names of the training files of a data set.
const TRAIN: [&str; 1] = ["train"];
/// Start of the names of the test files of a data set.
const TEST: [&str; 2] = ["t10k", "test"];

impl Pair {
    fn find(folder: &Path, prefix: &str, parts: &[&str], origin: &str) -> Result<Self> {
        Ok(Self {
            images: find(folder, prefix, parts, "images", &["idx3-ubyte", "idx4-ubyte"], origin)?,
            labels: find(folder, prefix, parts, "labels", &["idx1-ubyte", "idx2-int"], origin)?,
        })
    }

    /// Images and labels, with classes counted from 0.
    fn read(&self, settings: IdxSettings<'_>) -> Result<(IdxImages, Vec<u16>)> {
        let images = read_images(&self.images, settings.layout)?;
        let mut labels = read_labels(&self.labels)?;
        if images.count() != labels.len() {
            let needed = format!("{}, one per image of {}", images.count(), self.images.display());
            return Err(Error::data(&self.labels, format!("{} labels", labels.len()), needed));
        }
        let first = u16::from(settings.first_label);
        for (i, label) in labels.iter_mut().enumerate() {
            let class = label.checked_sub(first).ok_or_else(|| {
                let needed = format!("at least {first}, the value of $.data.first-label");
                Error::data(&self.labels, format!("label {label} of image {i}"), needed)
            })?;
            *label = class;
        }
        Ok((images, labels))
    }
}

/// The prefix of a data set's files, including the dash.
fn chosen_prefix(folder: &Path, wanted: Option<&str>, parts: &[&str]) -> Result<String> {
    let found = prefixes(folder, parts)?;
    let listed = || {
        let names: Vec<_> = found.iter().map(|p| format!("{:?}", p.trim_end_matches('-'))).collect();
        names.join(", ")
    };
    match wanted {
        Some(wanted) => {
            let with_dash = format!("{}-", wanted.trim_end_matches('-'));
            if found.contains(&with_dash) || found.is_empty() {
                return Ok(with_dash);
            }
            let needed = format!("$.data.prefix among {}", listed());
            Err(Error::data(folder, format!("no files whose names begin with {wanted:?}"), needed))
        }
        None if found.is_empty() || found.contains("") => Ok(String::new()),
        None => match found.len() {
            1 => Ok(found.first().cloned().unwrap_or_default()),
            _ => {
                let needed = format!("$.data.prefix, one of {}", listed());
                Err(Error::data(folder, "the files of several sets", needed))
            }
        },
    }
}

/// Prefixes of the names of a split's images in a folder; an empty one for a data set without a prefix.
fn prefixes(folder: &Path, parts: &[&str]) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        // A name that is not valid Unicode is not an accepted one.
        let Ok(name) = entry.file_name().into_string() else { continue };
        for images in parts.iter().flat_map(|part| [format!("{part}-images-idx"), format!("{part}-images.idx")]) {
            if let Some((prefix, _)) = name.split_once(&images)
                && (prefix.is_empty() || prefix.ends_with('-'))
            {
                found.insert(prefix.to_string());
            }
        }
    }
    Ok(found)
}

/// The first existing file among the accepted names.
fn find(folder: &Path, prefix: &str, parts: &[&str], kind: &str, formats: &[&str], origin: &str) -> Result<PathBuf> {
    let stems = parts.iter().flat_map(|part| {
        formats.iter().flat_map(move |format| ["-", "."].map(|dot| format!("{prefix}{part}-{kind}{dot}{format}")))
    });
    for stem in stems {
        for name in [format!("{stem}.gz"), stem] {
            let path = folder.join(name);
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    let names: Vec<_> = parts.iter().map(|part| format!("{prefix}{part}-{kind}-{}", formats[0])).collect();
    let needed = format!("{}, with or without .gz; {origin}", names.join(" or "));
    let found = format!("no file of {} {kind}{}", parts[0].replace("t10k", "test"), packed(folder));
    Err(Error::data(folder, found, needed))
}

/// Whether the files may be in an archive in the folder, as text for an error.
pub(super) fn packed(folder: &Path) -> String {
    const ARCHIVES: [&str; 5] = [".zip", ".tar", ".tar.gz", ".tgz", ".7z"];
    let Ok(entries) = std::fs::read_dir(folder) else { return String::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let archive = names.filter(|name| ARCHIVES.iter().any(|end| name.ends_with(end))).min();
    archive.map_or(String::new(), |name| format!(", but the archive {name}, which has to be unpacked first"))
}

fn open(path: &Path) -> Result<BufReader<File>> {
    File::open(path).map(BufReader::new).map_err(|e| Error::io(path, e))
}

fn images(reader: impl BufRead, path: &Path, layout: Option<Layout>) -> Result<IdxImages> {
    let (sizes, pixels) = elements(reader, path, &[0x0803, 0x0804], "images of unsigned bytes")?;
    let sizes = match sizes[..] {
        [_, a, b, c] => [a, b, c],
        [_, height, width] => return Ok(IdxImages { pixels, shape: [1, height, width] }),
        _ => [0; 3],
    };
    let layout = layout.or_else(|| Layout::evident(sizes)).ok_or_else(|| {
        let means = |layout: Layout| {
            let [channels, height, width] = layout.shape(sizes);
            format!("{channels} channels of {height}x{width}")
        };
        let [a, b, c] = sizes;
        let (first, last) = (means(Layout::ChannelsFirst), means(Layout::ChannelsLast));
        let needed = format!("$.data.layout, \"channels-first\" for {first} or \"channels-last\" for {last}");
        Error::data(
            path,
            format!("images of {a} x {b} x {c}, from which the position of the channels is not clear"),
            needed,
        )
    })?;
    let shape = layout.shape(sizes);
    Ok(IdxImages { pixels: layout.planes(pixels, shape), shape })
}

/// Number of columns in QMNIST's labels, such as class, writer and origin of the image.
const QMNIST_COLUMNS: usize = 8;

fn labels(reader: impl BufRead, path: &Path) -> Result<Vec<u16>> {
    let kind = "labels of unsigned bytes, or rows of 32-bit integers";
    let (sizes, bytes) = elements(reader, path, &[0x0801, 0x0c02], kind)?;
    let [_, columns] = sizes[..] else {
        return Ok(bytes.into_iter().map(u16::from).collect());
    };
    if columns != QMNIST_COLUMNS {
        return Err(Error::data(path, format!("rows of {columns} integers"), "8, the first of which is the class"));
    }
    let class = |(i, row): (usize, &[u8])| {
        let class = be32(&row[..4]);
        u8::try_from(class)
            .map(u16::from)
            .map_err(|_| Error::data(path, format!("class {} of image {i}", class as i32), "0 to 255"))
    };
    bytes.chunks_exact(4 * columns).enumerate().map(class).collect()
}

/// Dimensions and elements of a file whose magic number is one of `magics`.
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
    // A Vec holds at most isize::MAX bytes; a file that declares more cannot exist on this machine.
    let element = if magic >> 8 == 0x0c { 4u64 } else { 1 };
    let announced = sizes.iter().try_fold(element, |product, size| product.checked_mul(u64::from(*size)));
    let announced = match announced {
        Some(n) if n > 0 && n < isize::MAX as u64 => n,
        Some(0) => return Err(Error::data(path, format!("a header that declares {text} elements"), "at least one")),
        _ => {
            return Err(Error::data(
                path,
                format!("a header that declares {text} elements"),
                "as many as fit into memory",
            ));
        }
    };
    let data = take(&mut reader, announced, path, &format!("{text} elements"))?;
    let mut beyond = Vec::new();
    reader.take(1).read_to_end(&mut beyond).map_err(|e| unreadable(path, e))?;
    if !beyond.is_empty() {
        return Err(Error::data(path, format!("bytes after the last of {text} elements"), "the end of the file"));
    }
    Ok((sizes.iter().map(|s| *s as usize).collect(), data))
}

/// Reads exactly `n` bytes. The buffer grows with the bytes that are there, whatever `n` is.
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
