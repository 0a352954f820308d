use std::io::Write;

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use rstest::rstest;

fn file(magic: u32, sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Two 2x3 images with hand-written pixels.
fn two_images() -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
    bytes.extend(0..12);
    bytes
}

#[test]
fn images_and_labels_by_hand() {
    let images = decode_images(&two_images(), Path::new("x"), None).unwrap();
    assert_eq!((images.count(), images.shape), (2, [1, 2, 3]));
    assert_eq!(images.pixels, (0..12).collect::<Vec<u8>>());
    assert_eq!(decode_images(&gz(&two_images()), Path::new("x"), None).unwrap(), images);
    let four = decode_images(&file(0x804, &[1, 3, 5, 5], &[7; 75]), Path::new("x"), None).unwrap();
    assert_eq!((four.count(), four.shape), (1, [3, 5, 5]));
    let labels = [0, 0, 8, 1, 0, 0, 0, 3, 9, 8, 7];
    assert_eq!(decode_labels(&labels, Path::new("x")).unwrap(), [9, 8, 7]);
    assert_eq!(decode_labels(&gz(&labels), Path::new("x")).unwrap(), [9, 8, 7]);
}

#[rstest]
#[case::empty(vec![], "x: found 0 bytes of a header; needed 4 bytes")]
#[case::header(vec![0, 0, 8, 3, 0], "x: found 1 bytes of a header; needed 12 bytes")]
#[case::labels(file(0x801, &[1], &[0]), "x: found magic number 0x00000801; needed 0x00000803 or 0x00000804 (images of unsigned bytes)")]
#[case::floats(file(0xd03, &[1, 1, 1], &[0; 4]), "x: found magic number 0x00000d03; needed 0x00000803 or 0x00000804 (images of unsigned bytes)")]
#[case::truncated(two_images()[..20].to_vec(), "x: found 4 bytes of 2 x 2 x 3 elements; needed 12 bytes")]
#[case::trailing([two_images(), vec![0]].concat(), "x: found bytes after the last of 2 x 2 x 3 elements; needed the end of the file")]
#[case::none(file(0x803, &[2, 0, 3], &[]), "x: found a header that declares 2 x 0 x 3 elements; needed at least one")]
#[case::huge(file(0x803, &[u32::MAX; 3], &[]), "x: found a header that declares 4294967295 x 4294967295 x 4294967295 elements; needed as many as fit into memory")]
#[case::large(file(0x803, &[u32::MAX, 1 << 15, 1 << 15], &[0; 5]), "x: found 5 bytes of 4294967295 x 32768 x 32768 elements; needed 4611686017353646080 bytes")]
fn damage_is_named(#[case] bytes: Vec<u8>, #[case] message: &str) {
    assert_eq!(decode_images(&bytes, Path::new("x"), None).unwrap_err().to_string(), message);
    assert_eq!(decode_images(&gz(&bytes), Path::new("x"), None).unwrap_err().to_string(), message);
}

#[test]
fn damaged_gzip_is_named() {
    let error = |bytes: &[u8]| decode_images(bytes, Path::new("x"), None).unwrap_err().to_string();
    let whole = gz(&two_images());
    let broken_off = "x: found a truncated gzip stream; needed a complete one";
    assert_eq!(error(&whole[..whole.len() - 1]), broken_off);
    assert_eq!(error(&whole[..12]), broken_off);
    let mut checksum = whole.clone();
    checksum[whole.len() - 8] ^= 1;
    assert!(error(&checksum).starts_with("x: found a damaged gzip stream ("), "{}", error(&checksum));
    assert!(error(&[whole, b"more".to_vec()].concat()).starts_with("x: found a"));
}

/// 64 MB of zeros in 65 kB: only the declared size plus one byte may be decompressed.
#[test]
fn a_gzip_bomb_is_not_unpacked() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&file(0x803, &[1, 1, 1], &[])).unwrap();
    (0..64).for_each(|_| encoder.write_all(&[0; 1 << 20]).unwrap());
    let bytes = encoder.finish().unwrap();
    struct Counted<'a>(&'a [u8], &'a std::cell::Cell<usize>);
    impl Read for Counted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.read(buffer)?;
            self.1.set(self.1.get() + n);
            Ok(n)
        }
    }
    let read = std::cell::Cell::new(0);
    let reader = BufReader::with_capacity(256, Counted(&bytes, &read));
    assert_eq!(
        images(reader, Path::new("x"), None).unwrap_err().to_string(),
        "x: found bytes after the last of 1 x 1 x 1 elements; needed the end of the file"
    );
    // The decompressor works in windows of 32 kB, which is far less than the whole.
    assert!(read.get() < bytes.len() / 10, "{} of {} bytes were read", read.get(), bytes.len());
}

/// A folder with a training set of 3 and a test set of 2 images of size 1x2.
fn folder(change: impl Fn(&mut [(&'static str, Vec<u8>); 4])) -> tempfile::TempDir {
    let mut files = [
        ("train-images-idx3-ubyte", file(0x803, &[3, 1, 2], &[1, 2, 3, 4, 5, 6])),
        ("train-labels.idx1-ubyte.gz", gz(&file(0x801, &[3], &[0, 1, 2]))),
        ("t10k-images.idx3-ubyte", gz(&file(0x803, &[2, 1, 2], &[7, 8, 9, 10]))),
        ("t10k-labels-idx1-ubyte.gz", file(0x801, &[2], &[4, 0])),
    ];
    change(&mut files);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files.iter().filter(|(name, _)| !name.is_empty()) {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

#[test]
fn a_folder_is_read_whatever_the_spelling() {
    for test in
        [["t10k-images.idx3-ubyte", "t10k-labels-idx1-ubyte"], ["test-images-idx3-ubyte.gz", "test-labels.idx1-ubyte"]]
    {
        let folder = folder(|files| (files[2].0, files[3].0) = (test[0], test[1]));
        let (train, test) = read_folder(folder.path(), IdxSettings::default(), "").unwrap();
        assert_eq!((train.len(), train.classes(), train.shape()), (3, 5, [1, 1, 2]));
        assert_eq!((test.len(), test.classes(), test.image(1)), (2, 5, &[9, 10][..]));
    }
}

#[test]
fn files_at_odds_are_named() {
    let error = |change: fn(&mut [(&'static str, Vec<u8>); 4])| {
        let folder = folder(change);
        let text = read_folder(folder.path(), IdxSettings::default(), "public files: here").unwrap_err().to_string();
        text.replace(&folder.path().display().to_string(), "F")
    };
    assert_eq!(
        error(|files| files[1].1 = file(0x801, &[2], &[0, 1])),
        "F/train-labels.idx1-ubyte.gz: found 2 labels; needed 3, one per image of F/train-images-idx3-ubyte"
    );
    assert_eq!(
        error(|files| files[2].1 = file(0x803, &[2, 2, 1], &[0; 4])),
        "F/t10k-images.idx3-ubyte: found images of 1x2x1; needed images of 1x1x2, as in F/train-images-idx3-ubyte"
    );
    assert_eq!(
        error(|files| files[0].0 = ""),
        "F: found no file of train images; needed train-images-idx3-ubyte, with or without .gz; public files: here"
    );
    assert_eq!(
        error(|files| files[3].0 = ""),
        "F: found no file of test labels; needed t10k-labels-idx1-ubyte or test-labels-idx1-ubyte, with or without .gz; \
         public files: here"
    );
}

/// Two 1x2 images with three channels, with the same pixels in both layouts.
#[test]
fn the_layout_says_what_sizes_do_not() {
    let first = file(0x804, &[2, 3, 1, 2], &[1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16]);
    let last = file(0x804, &[2, 1, 2, 3], &[1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]);
    let read = |bytes: &[u8], layout| decode_images(bytes, Path::new("x"), Some(layout)).unwrap();
    let images = read(&first, Layout::ChannelsFirst);
    assert_eq!((images.count(), images.shape), (2, [3, 1, 2]));
    assert_eq!(read(&last, Layout::ChannelsLast), images);
    // A file without channels has no layout.
    assert_eq!(read(&two_images(), Layout::ChannelsLast).shape, [1, 2, 3]);
    assert_eq!(
        decode_images(&file(0x804, &[1, 8, 8, 3], &[0; 192]), Path::new("x"), None).unwrap_err().to_string(),
        "x: found images of 8 x 8 x 3, from which the position of the channels is not clear; needed $.data.layout, \"channels-first\" for \
         8 channels of 8x3 or \"channels-last\" for 3 channels of 8x8"
    );
}

type Files = [(&'static str, Vec<u8>); 4];

fn named(files: &mut Files, names: [&'static str; 4]) {
    files.iter_mut().zip(names).for_each(|(file, name)| file.0 = name);
}

fn under_names_of_emnist(files: &mut Files) {
    named(
        files,
        [
            "emnist-letters-train-images-idx3-ubyte.gz",
            "emnist-letters-train-labels-idx1-ubyte",
            "emnist-letters-test-images-idx3-ubyte",
            "emnist-letters-test-labels-idx1-ubyte.gz",
        ],
    );
}

/// Labels in rows of eight integers.
fn qmnist(labels: &[u32]) -> Vec<u8> {
    let rows = labels.iter().flat_map(|l| [*l, 4, 7, 1000, 3, u32::MAX, 0, 9]);
    file(0xc02, &[labels.len() as u32, 8], &rows.flat_map(u32::to_be_bytes).collect::<Vec<u8>>())
}

fn under_names_of_qmnist(files: &mut Files) {
    named(
        files,
        [
            "qmnist-train-images-idx3-ubyte",
            "qmnist-train-labels-idx2-int.gz",
            "qmnist-test-images-idx3-ubyte.gz",
            "qmnist-test-labels-idx2-int",
        ],
    );
    (files[1].1, files[3].1) = (gz(&qmnist(&[0, 1, 2])), qmnist(&[4, 0]));
}

/// The same data set with its plain names, and with those of the public files of EMNIST and QMNIST.
#[test]
fn public_sets_have_their_own_names() {
    let parts = |change: fn(&mut Files)| {
        let folder = folder(change);
        read_folder(folder.path(), IdxSettings::default(), "").unwrap()
    };
    let plain = parts(|_| {});
    for change in [under_names_of_emnist, under_names_of_qmnist] {
        assert_eq!(parts(change), plain);
    }
}

/// EMNIST's own archive has six data sets in one folder.
#[test]
fn a_prefix_chooses_among_several_sets() {
    let (train, _) = read_folder(folder(|_| {}).path(), IdxSettings::default(), "").unwrap();
    let several = folder(under_names_of_emnist);
    std::fs::write(several.path().join("emnist-digits-train-images-idx3-ubyte.gz"), "").unwrap();
    let read = |prefix| {
        let settings = IdxSettings { prefix, ..IdxSettings::default() };
        let error = read_folder(several.path(), settings, "public files: here").map_err(|e| e.to_string());
        error.map_err(|e| e.replace(&several.path().display().to_string(), "F"))
    };
    assert_eq!(
        read(None).unwrap_err(),
        "F: found the files of several sets; needed $.data.prefix, one of \"emnist-digits\", \"emnist-letters\""
    );
    assert_eq!(
        read(Some("emnist")).unwrap_err(),
        "F: found no files whose names begin with \"emnist\"; needed $.data.prefix among \"emnist-digits\", \"emnist-letters\""
    );
    assert_eq!(read(Some("emnist-letters")).unwrap().0, train);
    assert_eq!(
        read(Some("emnist-digits")).unwrap_err(),
        "F: found no file of train labels; needed emnist-digits-train-labels-idx1-ubyte, with or without .gz; public files: \
         here"
    );
}

#[test]
fn damaged_rows_of_integers_are_named() {
    let error = |bytes: &[u8]| decode_labels(bytes, Path::new("x")).unwrap_err().to_string();
    assert_eq!(error(&qmnist(&[0, 256])), "x: found class 256 of image 1; needed 0 to 255");
    assert_eq!(error(&qmnist(&[u32::MAX])), "x: found class -1 of image 0; needed 0 to 255");
    assert_eq!(
        error(&file(0xc02, &[1, 2], &[0; 8])),
        "x: found rows of 2 integers; needed 8, the first of which is the class"
    );
    assert_eq!(error(&file(0xc02, &[2, 8], &[0; 63])), "x: found 63 bytes of 2 x 8 elements; needed 64 bytes");
}

#[test]
fn classes_count_from_the_first_label() {
    let folder = folder(|files| {
        files[1].1 = file(0x801, &[3], &[1, 3, 2]);
        files[3].1 = file(0x801, &[2], &[4, 1]);
    });
    let read = |first_label| read_folder(folder.path(), IdxSettings { first_label, ..IdxSettings::default() }, "");
    let (train, test) = read(1).unwrap();
    assert_eq!((train.classes(), train.labels(), test.labels()), (4, &[0, 2, 1][..], &[3, 0][..]));
    assert_eq!(read(0).unwrap().0.classes(), 5);
    assert_eq!(
        read(2).unwrap_err().to_string().replace(&folder.path().display().to_string(), "F"),
        "F/train-labels.idx1-ubyte.gz: found label 1 of image 0; needed at least 2, the value of $.data.first-label"
    );
}

/// A folder that contains only what was downloaded.
#[test]
fn an_archive_is_not_its_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gzip.zip"), "PK").unwrap();
    let error = IdxFiles::find(folder.path(), None, "here").unwrap_err().to_string();
    let found = "found no file of train images, but the archive gzip.zip, which has to be unpacked first; needed ";
    assert!(error.contains(found), "{error}");
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        (sizes, pixels) in prop::array::uniform4(1u32..5)
            .prop_flat_map(|s| (Just(s), prop::collection::vec(any::<u8>(), s.iter().product::<u32>() as usize))),
        labels in prop::collection::vec(any::<u8>(), 1..50),
        zip: bool,
    ) {
        let pack = |bytes: Vec<u8>| if zip { gz(&bytes) } else { bytes };
        let layout = Some(Layout::ChannelsFirst);
        let images = decode_images(&pack(file(0x804, &sizes, &pixels)), Path::new("x"), layout).unwrap();
        prop_assert_eq!(images.count(), sizes[0] as usize);
        prop_assert_eq!(images.shape, [sizes[1], sizes[2], sizes[3]].map(|s| s as usize));
        prop_assert_eq!(images.pixels, pixels);
        let bytes = pack(file(0x801, &[labels.len() as u32], &labels));
        let labels: Vec<u16> = labels.into_iter().map(u16::from).collect();
        prop_assert_eq!(decode_labels(&bytes, Path::new("x")).unwrap(), labels);
    }

    #[test]
    fn any_bytes_give_images_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), magic: bool, zip: bool) {
        let mut bytes = bytes;
        if magic {
            bytes.splice(0..0, 0x0803u32.to_be_bytes());
        }
        survives(&if zip { gz(&bytes) } else { bytes })?;
    }

    #[test]
    fn a_damaged_file_gives_images_or_an_error(
        zip: bool, cut in 0usize..100, places in prop::collection::vec((0usize..100, any::<u8>()), 0..4),
    ) {
        let mut bytes = if zip { gz(&two_images()) } else { two_images() };
        for (place, value) in places {
            if let Some(byte) = bytes.get_mut(place) { *byte = value; }
        }
        bytes.truncate(cut);
        survives(&bytes)?;
    }
}

/// Checks that reading does not panic, that the result has the declared size, and that a rejected file is blamed.
fn survives(bytes: &[u8]) -> Result<(), TestCaseError> {
    match decode_images(bytes, Path::new("x"), None) {
        Ok(images) => prop_assert_eq!(images.pixels.len(), images.count() * images.shape.iter().product::<usize>()),
        Err(error) => prop_assert!(matches!(error, Error::Data { .. }), "{}", error),
    }
    if let Err(error) = decode_labels(bytes, Path::new("x")) {
        prop_assert!(matches!(error, Error::Data { .. }), "{}", error);
    }
    Ok(())
}
