//! One image file: PNG or JPEG bytes to pixels `[C, H, W]`.

use std::io::Cursor;
use std::path::Path;

use burn_forward::{Error, Result};
use image::imageops::{FilterType, resize};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Luma, Pixel, Rgb};

use crate::images::Layout;

/// Longest side of an image file, in pixels.
pub(super) const LONGEST_SIDE: u32 = 1 << 14;

/// Most bytes that the pixels of a file may take once they are decoded.
const MOST_BYTES: u64 = 1 << 28;

/// What may be changed of an image so that all of a set have one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conversion {
    /// 1: colours become grey, `0.2126 R + 0.7152 G + 0.0722 B` (the luma of ITU-R BT.709). 3: grey becomes three equal
    /// channels. `None`: as the file has.
    pub channels: Option<usize>,
    /// `[H, W]` that images are stretched to, each side by itself, with a triangle filter: linear interpolation where it
    /// grows, a weighted mean of all pixels where it shrinks. `None`: as the file has.
    pub size: Option<[usize; 2]>,
}

/// A decoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels `[C, H, W]`.
    pub pixels: Vec<u8>,
    /// `[C, H, W]`; `C` is 1 or 3.
    pub shape: [usize; 3],
}

/// Decodes the `bytes` of a PNG or JPEG file; `origin` is named in errors.
///
/// Palettes become colours, samples of 1, 2 and 4 bits are stretched to 0 to 255, those of 16 bits are rounded to 8. The
/// orientation that a camera wrote into the file is applied. Colour profiles are not. Of an animation the first picture is
/// taken.
///
/// # Errors
/// [`Error::Data`] for another format, a damaged or cut-off file, an image of more than 16,384 pixels a side or 256 MiB, and
/// one with transparent pixels.
pub fn decode(bytes: &[u8], origin: &Path, conversion: Conversion) -> Result<Picture> {
    let file = ImageFile::open(bytes, origin)?;
    let shape = file.shape(conversion);
    Ok(Picture { pixels: file.decode(conversion)?, shape })
}

/// Whether `bytes` begin as a PNG or a JPEG file.
pub fn is_image(bytes: &[u8]) -> bool {
    matches!(image::guess_format(bytes), Ok(ImageFormat::Png | ImageFormat::Jpeg))
}

/// A file whose header was read, and no pixel yet.
pub(super) struct ImageFile<'a> {
    decoder: Box<dyn ImageDecoder + 'a>,
    orientation: Orientation,
    format: &'static str,
    origin: &'a Path,
}

impl<'a> ImageFile<'a> {
    /// # Errors
    /// As [`decode`], but for what only the pixels show.
    pub(super) fn open(bytes: &'a [u8], origin: &'a Path) -> Result<Self> {
        let (format, name) = format_of(bytes, origin)?;
        let damaged = |error: ImageError| damaged(origin, name, &error);
        if format == ImageFormat::Jpeg && !has_jpeg_end(bytes) {
            return Err(Error::data(origin, "a JPEG file that is cut off", "a whole one"));
        }
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::default();
        limits.max_alloc = Some(MOST_BYTES);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(damaged)?;
        let (width, height) = decoder.dimensions();
        if width.max(height) > LONGEST_SIDE || decoder.total_bytes() > MOST_BYTES {
            let needed = format!("at most {LONGEST_SIDE} pixels a side, and {} MiB in all", MOST_BYTES >> 20);
            return Err(Error::data(origin, format!("an image of {height}x{width} pixels"), needed));
        }
        let orientation = decoder.orientation().map_err(damaged)?;
        Ok(Self { decoder: Box::new(decoder), orientation, format: name, origin })
    }

    /// `[C, H, W]` that the pixels will have.
    pub(super) fn shape(&self, conversion: Conversion) -> [usize; 3] {
        let (width, height) = self.decoder.dimensions();
        let channels = if self.decoder.color_type().has_color() { 3 } else { 1 };
        let own = if turns(self.orientation) { [width, height] } else { [height, width] };
        let [height, width] = conversion.size.unwrap_or(own.map(|side| side as usize));
        [conversion.channels.unwrap_or(channels), height, width]
    }

    /// Pixels `[C, H, W]`, of the [`shape`](Self::shape).
    ///
    /// # Errors
    /// As [`decode`].
    pub(super) fn decode(self, conversion: Conversion) -> Result<Vec<u8>> {
        let shape = self.shape(conversion);
        let Self { decoder, orientation, format, origin } = self;
        let mut image = DynamicImage::from_decoder(decoder).map_err(|error| damaged(origin, format, &error))?;
        image.apply_orientation(orientation);
        let sides = [image.height(), image.width()];
        let samples = with_channels(opaque(image, origin)?, shape[0]);
        let samples = match shape[0] {
            1 => resized::<Luma<u8>>(samples, sides, shape),
            _ => resized::<Rgb<u8>>(samples, sides, shape),
        };
        // Buffers of the sizes that the image states always fit.
        let samples = samples.ok_or_else(|| Error::burn("image", "an image of another size than it says"))?;
        Ok(Layout::ChannelsLast.planes(samples, shape))
    }
}

/// The format by the first bytes, and its name.
fn format_of(bytes: &[u8], origin: &Path) -> Result<(ImageFormat, &'static str)> {
    let found = match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => return Ok((ImageFormat::Png, "PNG")),
        Ok(ImageFormat::Jpeg) => return Ok((ImageFormat::Jpeg, "JPEG")),
        Ok(other) => {
            format!("an image in the format {}", other.extensions_str().first().unwrap_or(&"?").to_uppercase())
        }
        Err(_) if bytes.is_empty() => "an empty file".to_string(),
        Err(_) => "a file that is no image".to_string(),
    };
    Err(Error::data(origin, found, "a PNG or JPEG file"))
}

fn damaged(origin: &Path, format: &str, error: &ImageError) -> Error {
    Error::data(origin, format!("a damaged {format} file ({error})"), "a whole one")
}

/// Whether an image lies on its side in the file.
fn turns(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Whether the end marker of a JPEG image is there: a decoder makes up the pixels of a file that was cut off.
///
/// Segments are passed over up to the first scan, since a small picture within one of them has an end of its own.
fn has_jpeg_end(bytes: &[u8]) -> bool {
    const SCAN: u8 = 0xda;
    const END: [u8; 2] = [0xff, 0xd9];
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let [0xff, marker, after @ ..] = rest {
        let length = match (marker, after) {
            // Fill bytes, and markers without a length.
            (0xff, _) => {
                rest = &rest[1..];
                continue;
            }
            (0x01 | 0xd0..=0xd8, _) => 0,
            (_, [high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
            _ => return false,
        };
        rest = after.get(length..).unwrap_or_default();
        if *marker == SCAN {
            return rest.windows(2).any(|pair| pair == END);
        }
    }
    // No scan in sight: the decoder says what is wrong.
    true
}

/// Samples of one byte, with the channels of a pixel side by side, and their number, 1 or 3, of an image without transparent
/// pixels.
fn opaque(image: DynamicImage, origin: &Path) -> Result<(Vec<u8>, usize)> {
    let color = image.color();
    let channels = usize::from(color.channel_count());
    let deep = color.bytes_per_pixel() > color.channel_count();
    let bytes = image.into_bytes();
    let samples: Vec<u8> = match deep {
        false => bytes,
        // To the nearest: 65535 / 257 is 255.
        true => {
            bytes.chunks_exact(2).map(|b| ((u32::from(u16::from_ne_bytes([b[0], b[1]])) + 128) / 257) as u8).collect()
        }
    };
    if !color.has_alpha() {
        return Ok((samples, channels));
    }
    let mut pixels = samples.chunks_exact(channels);
    if let Some(pixel) = pixels.find(|pixel| pixel[channels - 1] < u8::MAX) {
        let opacity = pixel[channels - 1];
        let found = format!("a pixel that is transparent (opacity {opacity} of 255)");
        return Err(Error::data(origin, found, "opaque pixels: lay the image over a background of your choice"));
    }
    let colours = samples.chunks_exact(channels).flat_map(|pixel| &pixel[..channels - 1]).copied().collect();
    Ok((colours, channels - 1))
}

/// Samples with so many `channels`, 1 or 3, side by side, from such with 1 or 3.
fn with_channels((samples, found): (Vec<u8>, usize), channels: usize) -> Vec<u8> {
    match (found, channels) {
        (1, 3) => samples.iter().flat_map(|grey| [*grey; 3]).collect(),
        (3, 1) => samples.chunks_exact(3).map(luma).collect(),
        _ => samples,
    }
}

/// The luma of ITU-R BT.709, rounded to the nearest.
fn luma(pixel: &[u8]) -> u8 {
    let sum: u32 = pixel.iter().zip([2126, 7152, 722]).map(|(sample, weight)| weight * u32::from(*sample)).sum();
    ((sum + 5000) / 10_000) as u8
}

/// Samples of an image of `[H, W]` with the channels of `P`, stretched to the sides of `shape` `[C, H, W]`.
fn resized<P>(samples: Vec<u8>, [height, width]: [u32; 2], shape: [usize; 3]) -> Option<Vec<u8>>
where
    P: Pixel<Subpixel = u8> + 'static,
{
    let sides = [shape[1] as u32, shape[2] as u32];
    if sides == [height, width] {
        return Some(samples);
    }
    let image = ImageBuffer::<P, _>::from_raw(width, height, samples)?;
    Some(resize(&image, sides[1], sides[0], FilterType::Triangle).into_raw())
}

#[cfg(test)]
mod tests;
