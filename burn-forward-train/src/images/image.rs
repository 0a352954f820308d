//! A labelled set of images in memory.

use std::fmt;

use burn_forward::activation::RowShape;
use burn_forward::{Error, Result};

/// `N` labelled images of the same size with one byte per value, decoded once and shared by all users.
#[derive(Clone, PartialEq)]
pub struct ImageSet {
    pixels: Vec<u8>,
    labels: Vec<u16>,
    shape: [usize; 3],
    classes: usize,
    scale: f32,
}

impl ImageSet {
    /// A set of `N = labels.len()` images.
    ///
    /// # Shapes
    /// - `pixels`: `[N, C, H, W]`, row-major, each in `0..=scale`.
    /// - `labels`: `[N]`, each in `0..classes`.
    /// - `shape`: `[C, H, W]`, each at least 1.
    ///
    /// `scale` is the value of a white pixel in `(0, 255]`; pixels are divided by it to lie in `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the counts do not match, or a pixel, label, size or scale is out of range.
    pub fn new(pixels: Vec<u8>, labels: Vec<u16>, shape: [usize; 3], classes: usize, scale: f32) -> Result<Self> {
        let refuse = |what: &str, given: String, needed: String| Err(Error::argument("ImageSet", what, given, needed));
        let [channels, height, width] = shape;
        let size = channels.checked_mul(height).and_then(|s| s.checked_mul(width)).unwrap_or(0);
        if size == 0 {
            return refuse("shape", format!("{channels}x{height}x{width}"), "CxHxW, each at least 1".into());
        }
        if labels.len() > u32::MAX as usize {
            return refuse("number of images", labels.len().to_string(), format!("at most {}", u32::MAX));
        }
        if labels.len().checked_mul(size) != Some(pixels.len()) {
            return refuse("number of pixels", pixels.len().to_string(), format!("{} x {size}", labels.len()));
        }
        if !(scale > 0.0 && scale <= 255.0) {
            return refuse("scale", scale.to_string(), "in (0, 255]".into());
        }
        if let Some(i) = labels.iter().position(|l| usize::from(*l) >= classes) {
            return refuse(&format!("label of image {i}"), labels[i].to_string(), format!("less than {classes}"));
        }
        if let Some(i) = pixels.iter().position(|p| f32::from(*p) > scale) {
            return refuse(
                &format!("a pixel of image {}", i / size),
                pixels[i].to_string(),
                format!("at most {scale}"),
            );
        }
        Ok(Self { pixels, labels, shape, classes, scale })
    }

    /// Number of images `N`.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels `[C, H, W]` of image `i`, row-major.
    ///
    /// # Panics
    /// Like a slice, if `i` is not less than [`len`](Self::len).
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.image_len();
        &self.pixels[i * size..(i + 1) * size]
    }

    /// Class of image `i`, in `0..classes`.
    ///
    /// # Panics
    /// Like a slice, if `i` is not less than [`len`](Self::len).
    pub fn label(&self, i: usize) -> usize {
        usize::from(self.labels[i])
    }

    /// Labels `[N]`.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// Pixels of all images `[N, C, H, W]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Bytes per image, `C * H * W`.
    pub fn image_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// `[C, H, W]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The shape of an image as the input of a network.
    pub fn row_shape(&self) -> RowShape {
        let [channels, height, width] = self.shape;
        RowShape::Maps { channels, height, width }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The divisor of pixels, after which they lie in `[0, 1]`.
    pub fn scale(&self) -> f32 {
        self.scale
    }
}

/// Prints a summary; the pixels would fill the screen.
impl fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageSet")
            .field("len", &self.len())
            .field("shape", &self.shape)
            .field("classes", &self.classes)
            .field("scale", &self.scale)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn images_are_consecutive() {
        let set = ImageSet::new((0..12).collect(), vec![1, 0], [1, 2, 3], 2, 255.0).unwrap();
        assert_eq!(set.len(), 2);
        assert_eq!(set.image(1), [6, 7, 8, 9, 10, 11]);
        assert_eq!(set.label(0), 1);
        assert_eq!(set.row_shape().len(), 6);
    }

    #[rstest]
    #[case(vec![0; 3], vec![0], [1, 0, 3], 1, 255.0, "ImageSet: shape is 1x0x3, but needs to be CxHxW, each at least 1")]
    #[case(vec![0; 3], vec![0, 0], [1, 2, 1], 1, 255.0, "ImageSet: number of pixels is 3, but needs to be 2 x 2")]
    #[case(vec![0; 2], vec![0, 2], [1, 1, 1], 2, 255.0, "ImageSet: label of image 1 is 2, but needs to be less than 2")]
    #[case(vec![3, 17], vec![0, 0], [1, 1, 1], 1, 16.0, "ImageSet: a pixel of image 1 is 17, but needs to be at most 16")]
    #[case(vec![0], vec![0], [1, 1, 1], 1, f32::NAN, "ImageSet: scale is NaN, but needs to be in (0, 255]")]
    fn what_cannot_be_is_refused(
        #[case] pixels: Vec<u8>,
        #[case] labels: Vec<u16>,
        #[case] shape: [usize; 3],
        #[case] classes: usize,
        #[case] scale: f32,
        #[case] message: &str,
    ) {
        assert_eq!(ImageSet::new(pixels, labels, shape, classes, scale).unwrap_err().to_string(), message);
    }
}
