//! CIFAR-10 and CIFAR-100 in their binary versions.
//!
//! A file is a sequence of records: one label byte (CIFAR-10) or two (CIFAR-100: coarse, fine), followed by 3,072 pixel bytes
//! `[3, 32, 32]`. The public files contain 10,000 (CIFAR-10; 5 training files) or 50,000 records. Any number is accepted, so
//! that a data set reduced to a few images works, too. The labels of CIFAR-100 are the fine ones. Each file may be gzipped.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{ImageSet, idx};
use burn_forward::data::gzip::{decompressed, unreadable};
use burn_forward::{Error, Result};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// One of the two CIFAR data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cifar {
    /// 10 classes.
    Ten,
    /// 100 classes.
    Hundred,
}

impl Cifar {
    /// Exclusive upper bounds of the label bytes in a record; the last one is for the label.
    fn bounds(self) -> &'static [u8] {
        match self {
            Self::Ten => &[10],
            Self::Hundred => &[20, 100],
        }
    }

    fn train_files(self) -> &'static [&'static str] {
        match self {
            Self::Ten => {
                &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"]
            }
            Self::Hundred => &["train.bin"],
        }
    }

    fn test_files(self) -> &'static [&'static str] {
        match self {
            Self::Ten => &["test_batch.bin"],
            Self::Hundred => &["test.bin"],
        }
    }

    /// The folder within the public archive.
    fn archive_folder(self) -> &'static str {
        match self {
            Self::Ten => "cifar-10-batches-bin",
            Self::Hundred => "cifar-100-binary",
        }
    }

    fn classes(self) -> usize {
        self.bounds().last().map_or(0, |bound| usize::from(*bound))
    }
}

/// The files of the training and test set in `folder`, or in the archive's own folder within it (`cifar-10-batches-bin`,
/// `cifar-100-binary`). File names may end in `.gz`. `origin` tells in errors where the files are available.
///
/// # Errors
/// [`Error::Data`] for a missing file.
pub fn find_files(folder: &Path, which: Cifar, origin: &str) -> Result<[Vec<PathBuf>; 2]> {
    let folder = inside(folder, which);
    Ok([find_all(&folder, which.train_files(), origin)?, find_all(&folder, which.test_files(), origin)?])
}

/// The archive's own folder within `folder` if it exists, or else `folder`.
fn inside(folder: &Path, which: Cifar) -> PathBuf {
    let inner = folder.join(which.archive_folder());
    if inner.is_dir() { inner } else { folder.to_path_buf() }
}

fn find_all(folder: &Path, names: &[&str], origin: &str) -> Result<Vec<PathBuf>> {
    names.iter().map(|name| find(folder, name, names, origin)).collect()
}

fn find(folder: &Path, name: &str, names: &[&str], origin: &str) -> Result<PathBuf> {
    let paths = [name.to_string(), format!("{name}.gz")].map(|name| folder.join(name));
    paths.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        let needed = format!("{}, with or without .gz; {origin}", names.join(", "));
        Error::data(folder, format!("no file {name}{}", idx::packed(folder)), needed)
    })
}

/// Finds and reads the training and the test set in `folder`.
///
/// # Errors
/// The errors of [`find_files`], [`Error::Data`] for a damaged file, and [`Error::Io`] for one that cannot be read.
pub fn read_folder(folder: &Path, which: Cifar, origin: &str) -> Result<(ImageSet, ImageSet)> {
    let [train, test] = find_files(folder, which, origin)?;
    Ok((read_files(&train, which)?, read_files(&test, which)?))
}

/// Like [`read_folder`], for the test set alone.
///
/// # Errors
/// The errors of [`read_folder`].
pub fn read_test(folder: &Path, which: Cifar, origin: &str) -> Result<ImageSet> {
    read_files(&find_all(&inside(folder, which), which.test_files(), origin)?, which)
}

/// Names of the classes of CIFAR-100, from a file that comes with the data set; empty if it is missing.
pub fn class_names(folder: &Path) -> Vec<String> {
    let file = inside(folder, Cifar::Hundred).join("fine_label_names.txt");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| line.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Images from the `bytes` of one file; errors name `origin`.
///
/// # Errors
/// [`Error::Data`] if the bytes are not one or more complete records with valid labels.
pub fn decode(bytes: &[u8], which: Cifar, origin: &Path) -> Result<ImageSet> {
    let mut records = Records::default();
    records.append(bytes, which, origin)?;
    records.finish(which)
}

fn read_files(paths: &[PathBuf], which: Cifar) -> Result<ImageSet> {
    let mut records = Records::default();
    for path in paths {
        let mut bytes = Vec::new();
        let file = burn_forward::input::open(path)?;
        let read = decompressed(file).and_then(|mut reader| reader.read_to_end(&mut bytes));
        read.map_err(|e| unreadable(path, e))?;
        records.append(&bytes, which, path)?;
    }
    records.finish(which)
}

#[derive(Default)]
struct Records {
    pixels: Vec<u8>,
    labels: Vec<u16>,
}

impl Records {
    fn append(&mut self, bytes: &[u8], which: Cifar, path: &Path) -> Result<()> {
        let bounds = which.bounds();
        let record = bounds.len() + PIXELS;
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            let needed = format!("one or more complete records of {record} bytes");
            return Err(Error::data(path, format!("{} bytes", bytes.len()), needed));
        }
        for (i, record) in bytes.chunks_exact(record).enumerate() {
            let (labels, pixels) = record.split_at(bounds.len());
            for (label, bound) in labels.iter().zip(bounds) {
                if label >= bound {
                    return Err(Error::data(
                        path,
                        format!("label {label} in record {i}"),
                        format!("less than {bound}"),
                    ));
                }
            }
            self.labels.extend(labels.last().map(|label| u16::from(*label)));
            self.pixels.extend_from_slice(pixels);
        }
        Ok(())
    }

    fn finish(self, which: Cifar) -> Result<ImageSet> {
        ImageSet::new(self.pixels, self.labels, SHAPE, which.classes(), 255.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `n` records whose bytes are a function of their position.
    fn file(which: Cifar, n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for i in 0..n {
            bytes.extend(which.bounds().iter().map(|bound| (i % usize::from(*bound)) as u8));
            bytes.extend((0..PIXELS).map(|p| (p + i) as u8));
        }
        bytes
    }

    #[test]
    fn records_become_images() {
        let set = decode(&file(Cifar::Hundred, 101), Cifar::Hundred, Path::new("x")).unwrap();
        assert_eq!((set.len(), set.classes(), set.shape()), (101, 100, [3, 32, 32]));
        assert_eq!((set.label(21), set.label(100)), (21, 0), "the fine label");
        assert_eq!(set.image(5)[..3], [5, 6, 7]);
        assert_eq!(set.image(5).len(), 3072);
    }

    #[test]
    fn damage_is_named() {
        let error = |bytes: &[u8]| decode(bytes, Cifar::Ten, Path::new("b.bin")).unwrap_err().to_string();
        let mut bytes = file(Cifar::Ten, 2);
        bytes[3073] = 10;
        assert_eq!(error(&bytes), "b.bin: found label 10 in record 1; needed less than 10");
        assert_eq!(error(&bytes[..6145]), "b.bin: found 6145 bytes; needed one or more complete records of 3073 bytes");
        assert_eq!(error(&[]), "b.bin: found 0 bytes; needed one or more complete records of 3073 bytes");
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_folder(folder.path(), Cifar::Ten, "public files: here").unwrap_err().to_string();
        let names = Cifar::Ten.train_files().join(", ");
        let path = folder.path().display();
        assert_eq!(
            error,
            format!("{path}: found no file data_batch_1.bin; needed {names}, with or without .gz; public files: here")
        );
        let inner = folder.path().join("cifar-10-batches-bin");
        std::fs::create_dir(&inner).unwrap();
        for (i, name) in Cifar::Ten.train_files().iter().chain(Cifar::Ten.test_files()).enumerate() {
            let mut bytes = file(Cifar::Ten, 1);
            bytes[0] = i as u8;
            // Every other file is gzipped.
            match i % 2 {
                0 => std::fs::write(inner.join(name), bytes).unwrap(),
                _ => {
                    let gz = std::fs::File::create(inner.join(format!("{name}.gz"))).unwrap();
                    let mut encoder = flate2::write::GzEncoder::new(gz, flate2::Compression::fast());
                    std::io::Write::write_all(&mut encoder, &bytes).unwrap();
                    encoder.finish().unwrap();
                }
            }
        }
        let (train, test) = read_folder(folder.path(), Cifar::Ten, "").unwrap();
        assert_eq!((train.labels(), test.labels()), (&[0, 1, 2, 3, 4][..], &[5][..]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_give_images_or_an_error(
            hundred: bool, records in 0usize..3, cut in 0usize..4000, places in prop::collection::vec((0usize..9000, any::<u8>()), 0..4),
        ) {
            let which = if hundred { Cifar::Hundred } else { Cifar::Ten };
            let mut bytes = file(which, records);
            for (place, value) in places {
                if let Some(byte) = bytes.get_mut(place) { *byte = value; }
            }
            if cut % 2 == 0 { bytes.truncate(bytes.len().saturating_sub(cut / 2)); }
            let record = which.bounds().len() + PIXELS;
            match decode(&bytes, which, Path::new("x")) {
                Ok(set) => {
                    prop_assert_eq!(set.len() * record, bytes.len());
                    prop_assert!(set.labels().iter().all(|l| usize::from(*l) < which.classes()));
                }
                Err(Error::Data { .. }) => {}
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}
