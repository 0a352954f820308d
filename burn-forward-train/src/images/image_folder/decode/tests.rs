use std::io::Write;

use super::*;
use flate2::write::ZlibEncoder;
use image::{ExtendedColorType, ImageEncoder};
use proptest::prelude::*;
use rstest::rstest;

const GREY: u8 = 0;
const COLOURS: u8 = 2;
const PALETTE: u8 = 3;
const GREY_ALPHA: u8 = 4;
const COLOURS_ALPHA: u8 = 6;

const AS_IT_IS: Conversion = Conversion { channels: None, size: None };

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(kind);
    sum.update(content);
    let length = (content.len() as u32).to_be_bytes();
    [&length[..], kind, content, &sum.sum().to_be_bytes()].concat()
}

/// A PNG file by hand: rows of packed samples, unfiltered; `before` are chunks ahead of the pixels.
fn png([height, width]: [u32; 2], depth: u8, kind: u8, before: &[Vec<u8>], rows: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, kind, 0, 0, 0]].concat();
    let mut zlib = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for row in rows.chunks(rows.len() / height as usize) {
        zlib.write_all(&[&[0], row].concat()).unwrap();
    }
    let pixels = chunk(b"IDAT", &zlib.finish().unwrap());
    let start = b"\x89PNG\r\n\x1a\n".to_vec();
    [start, chunk(b"IHDR", &header), before.concat(), pixels, chunk(b"IEND", &[])].concat()
}

/// A segment of a JPEG file.
fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    [&[0xff, marker][..], &(content.len() as u16 + 2).to_be_bytes(), content].concat()
}

/// A JPEG file by hand: one grey block of 8x8 whose pixels are all `value`, from 192 to 255.
///
/// The coefficient of the mean is 8 (value - 128), 512 to 1016: ten bits, which the only code of the first table announces.
/// The only code of the second ends the block.
fn jpeg(value: u8) -> Vec<u8> {
    let code = |class: u8, symbol: u8| [&[class, 1][..], &[0; 15], &[symbol]].concat();
    let mean = 8 * (u16::from(value) - 128);
    // One zero bit, ten of the coefficient, one zero bit, four ones.
    let bits = (mean << 5) | 0b1111;
    [
        vec![0xff, 0xd8],
        segment(0xdb, &[&[0][..], &[1; 64]].concat()),
        segment(0xc0, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]),
        segment(0xc4, &code(0x00, 10)),
        segment(0xc4, &code(0x10, 0)),
        segment(0xda, &[1, 1, 0, 0, 63, 0]),
        bits.to_be_bytes().to_vec(),
        vec![0xff, 0xd9],
    ]
    .concat()
}

/// As the crate `image` writes it.
fn written(format: ImageFormat, samples: &[u8], [height, width]: [u32; 2], kind: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    match format {
        ImageFormat::Png => {
            image::codecs::png::PngEncoder::new(&mut bytes).write_image(samples, width, height, kind).unwrap();
        }
        _ => image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 100)
            .write_image(samples, width, height, kind)
            .unwrap(),
    }
    bytes
}

fn picture(bytes: &[u8], conversion: Conversion) -> Picture {
    decode(bytes, Path::new("x"), conversion).unwrap()
}

fn error(bytes: &[u8]) -> String {
    decode(bytes, Path::new("x"), AS_IT_IS).unwrap_err().to_string()
}

#[test]
fn planes_by_hand() {
    let colours = png([1, 2], 8, COLOURS, &[], &[1, 2, 3, 4, 5, 6]);
    assert_eq!(picture(&colours, AS_IT_IS), Picture { pixels: vec![1, 4, 2, 5, 3, 6], shape: [3, 1, 2] });
    let grey = png([2, 3], 8, GREY, &[], &[1, 2, 3, 4, 5, 6]);
    assert_eq!(picture(&grey, AS_IT_IS), Picture { pixels: vec![1, 2, 3, 4, 5, 6], shape: [1, 2, 3] });
    assert_eq!(picture(&jpeg(200), AS_IT_IS), Picture { pixels: vec![200; 64], shape: [1, 8, 8] });
}

/// Few bits: sample `s` of `d` bits is `255 s / (2^d - 1)`, of 16 bits rounded to the nearest.
#[rstest]
#[case(1, &[0b1010_0000], &[255, 0, 255])]
#[case(2, &[0b0001_1011], &[0, 85, 170, 255])]
#[case(4, &[0x0f, 0x35], &[0, 255, 51, 85])]
#[case(16, &[0, 0, 0, 128, 0, 129, 0xff, 0x7e, 0xff, 0xff], &[0, 0, 1, 254, 255])]
fn samples_of_other_depths_are_stretched_to_bytes(#[case] depth: u8, #[case] row: &[u8], #[case] expected: &[u8]) {
    let file = png([1, expected.len() as u32], depth, GREY, &[], row);
    assert_eq!(picture(&file, AS_IT_IS).pixels, expected);
}

#[test]
fn palettes_become_colours() {
    let palette = chunk(b"PLTE", &[10, 20, 30, 40, 50, 60, 70, 80, 90]);
    for (depth, row) in [(2, vec![0b1000_0100]), (4, vec![0x20, 0x10]), (8, vec![2, 0, 1])] {
        let file = png([1, 3], depth, PALETTE, std::slice::from_ref(&palette), &row);
        let expected = Picture { pixels: vec![70, 10, 40, 80, 20, 50, 90, 30, 60], shape: [3, 1, 3] };
        assert_eq!(picture(&file, AS_IT_IS), expected, "{depth} bits");
    }
}

#[test]
fn opaque_pixels_lose_their_opacity_and_transparent_ones_are_refused() {
    let grey = |opacity| png([1, 2], 8, GREY_ALPHA, &[], &[5, 255, 6, opacity]);
    let colours = |opacity| png([1, 2], 8, COLOURS_ALPHA, &[], &[1, 2, 3, 255, 4, 5, 6, opacity]);
    assert_eq!(picture(&grey(255), AS_IT_IS), Picture { pixels: vec![5, 6], shape: [1, 1, 2] });
    assert_eq!(picture(&colours(255), AS_IT_IS).pixels, [1, 4, 2, 5, 3, 6]);
    let needed = "needed opaque pixels: lay the image over a background of your choice";
    for file in [grey(254), colours(254)] {
        assert_eq!(error(&file), format!("x: found a pixel that is transparent (opacity 254 of 255); {needed}"));
    }
    // One colour of a palette, or one grey value, can be transparent.
    let palette = [chunk(b"PLTE", &[10, 20, 30, 40, 50, 60]), chunk(b"tRNS", &[255, 7])];
    assert_eq!(picture(&png([1, 1], 8, PALETTE, &palette, &[0]), AS_IT_IS).pixels, [10, 20, 30]);
    assert!(error(&png([1, 1], 8, PALETTE, &palette, &[1])).contains("(opacity 7 of 255)"));
    let value = [chunk(b"tRNS", &[0, 9])];
    assert_eq!(picture(&png([1, 1], 8, GREY, &value, &[8]), AS_IT_IS).pixels, [8]);
    assert!(error(&png([1, 1], 8, GREY, &value, &[9])).contains("(opacity 0 of 255)"));
}

#[test]
fn channels_are_converted_on_demand() {
    let rgb = [255u8, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 12, 200, 99];
    let colours = png([1, 5], 8, COLOURS, &[], &rgb);
    let grey = picture(&colours, Conversion { channels: Some(1), size: None });
    let luma = |p: &[u8]| 0.2126 * f64::from(p[0]) + 0.7152 * f64::from(p[1]) + 0.0722 * f64::from(p[2]);
    let expected: Vec<u8> = rgb.chunks(3).map(|pixel| luma(pixel).round() as u8).collect();
    assert_eq!(grey, Picture { pixels: expected, shape: [1, 1, 5] });
    let grey = png([1, 2], 8, GREY, &[], &[3, 4]);
    let colours = picture(&grey, Conversion { channels: Some(3), size: None });
    assert_eq!(colours, Picture { pixels: vec![3, 4, 3, 4, 3, 4], shape: [3, 1, 2] });
}

/// Resampling one side with a triangle filter, by its definition, in double precision: pixel `i` of `new` is the mean of the
/// old ones, each weighted with `1 - |distance| / support` between the centres, where the support is one old pixel, or one
/// new one where those are larger.
fn triangle(old: &[f64], new: usize) -> Vec<f64> {
    let ratio = old.len() as f64 / new as f64;
    let support = ratio.max(1.0);
    let pixel = |i: usize| {
        let centre = (i as f64 + 0.5) * ratio;
        let weight = |j: usize| (1.0 - ((j as f64 + 0.5) - centre).abs() / support).max(0.0);
        let total: f64 = (0..old.len()).map(weight).sum();
        (0..old.len()).map(|j| weight(j) * old[j]).sum::<f64>() / total
    };
    (0..new).map(pixel).collect()
}

fn stretched(pixels: &[u8], [height, width]: [usize; 2], [rows, columns]: [usize; 2]) -> Vec<f64> {
    let plane: Vec<f64> = pixels.iter().map(|p| f64::from(*p)).collect();
    let columnwise: Vec<Vec<f64>> =
        (0..width).map(|x| triangle(&(0..height).map(|y| plane[y * width + x]).collect::<Vec<_>>(), rows)).collect();
    (0..rows).flat_map(|y| triangle(&columnwise.iter().map(|c| c[y]).collect::<Vec<_>>(), columns)).collect()
}

/// The orientation of EXIF in a segment of its own, behind the start of a JPEG file.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &segment(0xe1, &exif), &jpeg[2..]].concat()
}

/// EXIF 2.3, tag 0x0112: which sides of the picture the first row and the first column are.
#[rstest]
#[case(1, [true, false, false, false])]
#[case(2, [false, true, false, false])]
#[case(3, [false, false, false, true])]
#[case(4, [false, false, true, false])]
#[case(5, [true, false, false, false])]
#[case(6, [false, true, false, false])]
#[case(7, [false, false, false, true])]
#[case(8, [false, false, true, false])]
fn pictures_are_turned_as_the_camera_says(#[case] orientation: u8, #[case] bright: [bool; 4]) {
    // Bright in the first rows and columns alone; corners of the picture in the order of reading.
    let samples: Vec<u8> = (0..16 * 32).map(|i| if i / 32 < 8 && i % 32 < 16 { 250 } else { 10 }).collect();
    let file = with_orientation(&written(ImageFormat::Jpeg, &samples, [16, 32], ExtendedColorType::L8), orientation);
    let Picture { pixels, shape } = picture(&file, AS_IT_IS);
    let [height, width] = if orientation > 4 { [32, 16] } else { [16, 32] };
    assert_eq!(shape, [1, height, width]);
    let corners = [[0, 0], [0, width - 1], [height - 1, 0], [height - 1, width - 1]];
    assert_eq!(corners.map(|[y, x]| pixels[y * width + x] > 128), bright);
    // The shape is known before the pixels.
    assert_eq!(ImageFile::open(&file, Path::new("x")).unwrap().shape(AS_IT_IS), shape);
}

#[test]
fn a_jpeg_image_is_near_what_was_written() {
    let samples: Vec<u8> = (0..20 * 30).flat_map(|i| [i / 30 * 12, i % 30 * 8, 100].map(|v: u32| v as u8)).collect();
    let file = written(ImageFormat::Jpeg, &samples, [20, 30], ExtendedColorType::Rgb8);
    let Picture { pixels, shape } = picture(&file, AS_IT_IS);
    assert_eq!(shape, [3, 20, 30]);
    let planes = Layout::ChannelsLast.planes(samples, shape);
    let off = planes.iter().zip(&pixels).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(off <= Some(6), "{off:?}");
}

#[test]
fn what_is_no_whole_image_is_named() {
    let grey = png([2, 3], 8, GREY, &[], &[1, 2, 3, 4, 5, 6]);
    assert_eq!(error(&[]), "x: found an empty file; needed a PNG or JPEG file");
    assert_eq!(error(b"cats"), "x: found a file that is no image; needed a PNG or JPEG file");
    assert_eq!(error(b"GIF89a\x01\0"), "x: found an image in the format GIF; needed a PNG or JPEG file");
    assert_eq!(error(&jpeg(255)[..141]), "x: found a JPEG file that is cut off; needed a whole one");
    let mut damaged = grey.clone();
    damaged[45] ^= 1;
    let said = error(&damaged);
    assert!(said.starts_with("x: found a damaged PNG file (") && said.ends_with("); needed a whole one"), "{said}");
    // A small picture in the first segments has an end of its own.
    let file = [&[0xff, 0xd8][..], &segment(0xe2, &jpeg(250)), &jpeg(200)[2..]].concat();
    assert_eq!(picture(&file, AS_IT_IS).pixels, [200; 64]);
    assert!(error(&file[..file.len() - 1]).contains("cut off"));
}

/// A short file may announce any size: nothing of it is believed.
#[rstest]
#[case([100_000, 1])]
#[case([1, 16_385])]
#[case([16_384, 16_385])]
#[case([16_384, 16_384])]
#[case([i32::MAX as u32, i32::MAX as u32])]
fn images_that_are_too_large_are_refused_by_their_header(#[case] sides: [u32; 2]) {
    let mut file = png([1, 1], 8, COLOURS, &[], &[0; 3]);
    let [height, width] = sides.map(u32::to_be_bytes);
    let header = chunk(b"IHDR", &[&width[..], &height, &[8, COLOURS, 0, 0, 0]].concat());
    file.splice(8..8 + header.len(), header);
    let said = error(&file);
    let expected = format!(
        "x: found an image of {}x{} pixels; needed at most 16384 pixels a side, and 256 MiB in all",
        sides[0], sides[1]
    );
    assert!(said == expected || said.contains("damaged PNG file"), "{said}");
}

#[test]
fn a_cut_file_is_never_taken_for_a_whole_one() {
    let samples: Vec<u8> = (0..40 * 24).map(|i| (i * 7 % 256) as u8).collect();
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let file = written(format, &samples, [24, 40], ExtendedColorType::L8);
        let whole = picture(&file, AS_IT_IS);
        for length in 0..file.len() {
            match decode(&file[..length], Path::new("x"), AS_IT_IS) {
                // Nothing but the sum of an empty chunk is missing.
                Ok(picture) => assert!(picture == whole && format == ImageFormat::Png && length + 12 > file.len()),
                Err(error) => assert!(error.to_string().ends_with("; needed a whole one") || length < 9, "{error}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pixels_survive_the_round_trip(
        height in 1u32..20, width in 1u32..20, colours: bool, samples in prop::collection::vec(any::<u8>(), 1200),
    ) {
        let channels = if colours { 3 } else { 1 };
        let samples = &samples[..(height * width) as usize * channels];
        let kind = if colours { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
        let shape = [channels, height as usize, width as usize];
        let expected = Picture { pixels: Layout::ChannelsLast.planes(samples.to_vec(), shape), shape };
        let by_crate = written(ImageFormat::Png, samples, [height, width], kind);
        prop_assert_eq!(&picture(&by_crate, AS_IT_IS), &expected);
        let by_hand = png([height, width], 8, if colours { COLOURS } else { GREY }, &[], samples);
        prop_assert_eq!(&picture(&by_hand, AS_IT_IS), &expected);
        // A size that it has already changes nothing.
        let same = Conversion { channels: Some(channels), size: Some([shape[1], shape[2]]) };
        prop_assert_eq!(&picture(&by_hand, same), &expected);
    }

    #[test]
    fn images_are_stretched_with_a_triangle_filter(
        sides in prop::array::uniform2(1usize..16), new in prop::array::uniform2(1usize..16),
        colours: bool, samples in prop::collection::vec(any::<u8>(), 700),
    ) {
        let channels = if colours { 3 } else { 1 };
        let samples = &samples[..sides[0] * sides[1] * channels];
        let kind = if colours { COLOURS } else { GREY };
        let file = png(sides.map(|side| side as u32), 8, kind, &[], samples);
        let Picture { pixels, shape } = picture(&file, Conversion { channels: None, size: Some(new) });
        prop_assert_eq!(shape, [channels, new[0], new[1]]);
        let planes = Layout::ChannelsLast.planes(samples.to_vec(), [channels, sides[0], sides[1]]);
        let expected = planes.chunks(sides[0] * sides[1]).flat_map(|plane| stretched(plane, sides, new));
        for (found, expected) in pixels.iter().zip(expected) {
            prop_assert!((f64::from(*found) - expected).abs() <= 0.51, "{} for {}", found, expected);
        }
    }

    #[test]
    fn any_bytes_give_an_image_or_an_error(
        jpeg: bool, colours: bool, cut in 0usize..2000, places in prop::collection::vec((0usize..2000, any::<u8>()), 0..6),
        channels in prop::option::of(prop_oneof![Just(1usize), Just(3)]),
        size in prop::option::of(prop::array::uniform2(1usize..9)),
    ) {
        let (format, kind) = (
            if jpeg { ImageFormat::Jpeg } else { ImageFormat::Png },
            if colours { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 },
        );
        let samples: Vec<u8> = (0..12 * 17 * if colours { 3 } else { 1 }).map(|i| (i * 31 % 256) as u8).collect();
        let mut bytes = written(format, &samples, [12, 17], kind);
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(1000)));
        for (place, byte) in places {
            if let Some(target) = bytes.get_mut(place) {
                *target = byte;
            }
        }
        match decode(&bytes, Path::new("x"), Conversion { channels, size }) {
            Ok(picture) => {
                prop_assert_eq!(picture.pixels.len(), picture.shape.iter().product::<usize>());
                prop_assert!(channels.is_none_or(|channels| channels == picture.shape[0]));
                prop_assert!(size.is_none_or(|size| size == picture.shape[1..]));
            }
            Err(error) => prop_assert!(error.to_string().starts_with("x: found "), "{}", error),
        }
    }
}
