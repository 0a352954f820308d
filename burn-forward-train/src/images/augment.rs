//! Random changes to training images.

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PixelNormaliser;
use super::misfit::Misfit;
use burn_forward::random::Rng;

/// A random change to an image. The changes in a list are applied in order to every training image, with new draws in every
/// epoch.
///
/// | name | setting | range | meaning |
/// |---|---|---|---|
/// | `shift` | `pixels` | 1 to side - 1 | moves by a uniformly drawn number of pixels in `-pixels..=pixels`, vertically and horizontally; fills with black |
/// | `crop` | `padding` | 1 to side - 1 | pads with black on all sides, and crops a random part of the original size |
/// | `flip` | | | mirrors horizontally, with probability 1/2 |
/// | `cutout` | `size` | 1 to side | sets a square around a random pixel to 0 (DeVries and Taylor 2017, arXiv:1708.04552) |
///
/// `crop` is equivalent to `shift`, under the name used in published recipes for natural images. `cutout` acts on normalised
/// pixels, as in the paper: 0 is black for `unit` and the mean for `standardise`. A square of even size extends one pixel
/// further above and to the left of its centre than below and to the right. The part of a square outside the image is
/// ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Augment {
    /// Moves the image.
    Shift {
        /// Maximum number of pixels in each direction.
        #[schemars(range(min = 1))]
        pixels: u32,
    },
    /// Pads and crops.
    Crop {
        /// Number of padding pixels on every side.
        #[schemars(range(min = 1))]
        padding: u32,
    },
    /// Mirrors horizontally.
    Flip {},
    /// Blanks a square.
    Cutout {
        /// Side of the square, in pixels.
        #[schemars(range(min = 1))]
        size: u32,
    },
}

impl Augment {
    /// What is wrong with the setting, for images of size `[H, W]` if that is known.
    pub(super) fn misfit(self, size: Option<[usize; 2]>) -> Option<Misfit> {
        let (what, value, inside) = match self {
            Self::Shift { pixels } => ("pixels", pixels, 1),
            Self::Crop { padding } => ("padding", padding, 1),
            Self::Cutout { size } => ("size", size, 0),
            Self::Flip {} => return None,
        };
        let (most, needed) = match size {
            None => (usize::MAX, "at least 1".into()),
            Some([height, width]) => {
                let most = height.min(width).saturating_sub(inside);
                (most, format!("from 1 to {most} for images of {height}x{width}"))
            }
        };
        let valid = value >= 1 && value as usize <= most;
        (!valid).then(|| Misfit { what, given: value.to_string(), needed })
    }

    /// Applies the change to one image in place, with draws from `rng`.
    pub(super) fn apply(self, image: &mut Image<'_>, rng: &mut Rng) {
        match self {
            Self::Shift { pixels: reach } | Self::Crop { padding: reach } => {
                let mut draw = || rng.random_range(0..=2 * i64::from(reach)) as isize - reach as isize;
                let (down, right) = (draw(), draw());
                image.translate(down, right);
            }
            Self::Flip {} => {
                if rng.random::<bool>() {
                    image.flip();
                }
            }
            Self::Cutout { size } => {
                let y = rng.random_range(0..image.height as u64) as usize;
                let x = rng.random_range(0..image.width as u64) as usize;
                image.cutout(y, x, size as usize);
            }
        }
    }
}

/// A normalised image `[C, H, W]` that is being changed.
pub(super) struct Image<'a> {
    pub(super) pixels: &'a mut [f32],
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) normaliser: &'a PixelNormaliser,
}

impl Image<'_> {
    fn planes(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.pixels.chunks_exact_mut(self.height * self.width)
    }

    /// Moves the image and fills the border with black.
    fn translate(&mut self, down: isize, right: isize) {
        let (height, width, normaliser) = (self.height, self.width, self.normaliser);
        // Width of the part that stays in the image, and its start before and after the move.
        let stays = width.saturating_sub(right.unsigned_abs());
        let (from, to) = ((-right).max(0) as usize, right.max(0) as usize);
        for (channel, plane) in self.planes().enumerate() {
            let black = normaliser.black(channel);
            let mut row = |y: usize| {
                let target = y * width;
                match y.checked_add_signed(-down).filter(|source| *source < height) {
                    Some(source) if stays > 0 => {
                        let start = source * width + from;
                        plane.copy_within(start..start + stays, target + to);
                        plane[target..target + to].fill(black);
                        plane[target + to + stays..target + width].fill(black);
                    }
                    _ => plane[target..target + width].fill(black),
                }
            };
            // The move is in place, so a row must be read before it is overwritten.
            if down > 0 { (0..height).rev().for_each(&mut row) } else { (0..height).for_each(&mut row) }
        }
    }

    fn flip(&mut self) {
        let width = self.width;
        self.pixels.chunks_exact_mut(width).for_each(<[f32]>::reverse);
    }

    /// Sets the square of side `size` around `(y, x)` to 0, as far as it is within the image.
    fn cutout(&mut self, y: usize, x: usize, size: usize) {
        let span = |centre: usize, end: usize| {
            let start = centre as isize - (size / 2) as isize;
            start.max(0) as usize..((start + size as isize).max(0) as usize).min(end)
        };
        let (rows, columns, width) = (span(y, self.height), span(x, self.width), self.width);
        for plane in self.planes() {
            for row in rows.clone() {
                plane[row * width..][columns.clone()].fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::ChannelStatistics;
    use burn_forward::random::Seed;
    use proptest::prelude::*;

    fn normaliser(black: f64) -> PixelNormaliser {
        let statistics = ChannelStatistics { mean: vec![-black], std: vec![1.0] };
        PixelNormaliser::from_statistics(statistics, 1, 255.0).unwrap()
    }

    fn changed<const N: usize>(mut pixels: [f32; N], width: usize, change: impl Fn(&mut Image<'_>)) -> [f32; N] {
        let normaliser = normaliser(-1.0);
        let height = N / width;
        change(&mut Image { pixels: &mut pixels, height, width, normaliser: &normaliser });
        pixels
    }

    #[test]
    fn shifts_by_hand() {
        let image = [1., 2., 3., 4., 5., 6., 7., 8., 9.];
        let shift = |down, right| changed(image, 3, |i| i.translate(down, right));
        assert_eq!(shift(0, 0), image);
        assert_eq!(shift(1, 0), [-1., -1., -1., 1., 2., 3., 4., 5., 6.]);
        assert_eq!(shift(-1, 1), [-1., 4., 5., -1., 7., 8., -1., -1., -1.]);
        assert_eq!(shift(0, -2), [3., -1., -1., 6., -1., -1., 9., -1., -1.]);
        assert_eq!(shift(2, -1), [-1., -1., -1., -1., -1., -1., 2., 3., -1.]);
        assert_eq!(shift(3, 0), [-1.; 9]);
        assert_eq!(shift(1, -3), [-1.; 9]);
    }

    #[test]
    fn a_flip_mirrors_and_two_are_none() {
        let image = [1., 2., 3., 4., 5., 6.];
        assert_eq!(changed(image, 3, |i| i.flip()), [3., 2., 1., 6., 5., 4.]);
        assert_eq!(changed(changed(image, 3, |i| i.flip()), 3, |i| i.flip()), image);
    }

    #[test]
    fn cutout_blanks_the_square_that_is_inside() {
        let area = |y, x, size| changed([1.0; 30], 6, |i| i.cutout(y, x, size)).iter().filter(|p| **p == 0.0).count();
        assert_eq!(area(2, 3, 3), 9);
        assert_eq!(area(2, 2, 4), 16);
        assert_eq!(area(0, 0, 3), 4);
        assert_eq!(area(0, 0, 4), 4, "an even square reaches further up and left");
        assert_eq!(area(4, 5, 4), 9);
        assert_eq!(area(4, 5, 1), 1);
        assert_eq!(changed([1.; 9], 3, |i| i.cutout(0, 1, 3)), [0., 0., 0., 0., 0., 0., 1., 1., 1.]);
    }

    proptest! {
        /// Every draw is a shift within reach, and all of them occur.
        #[test]
        fn a_shift_stays_in_reach(reach in 1u32..4, seed: u64) {
            let mut seen = std::collections::BTreeSet::new();
            let normaliser = normaliser(0.0);
            let mut rng = Seed::new(seed).stream("test", &[]);
            for _ in 0..1000 {
                let mut pixels = [0.0; 121];
                pixels[60] = 1.0;
                let mut image = Image { pixels: &mut pixels, height: 11, width: 11, normaliser: &normaliser };
                Augment::Shift { pixels: reach }.apply(&mut image, &mut rng);
                let place = pixels.iter().position(|p| *p == 1.0).unwrap();
                seen.insert((place / 11, place % 11));
            }
            let reach = reach as usize;
            prop_assert_eq!(seen.len(), (2 * reach + 1).pow(2));
            prop_assert!(seen.iter().all(|(y, x)| y.abs_diff(5) <= reach && x.abs_diff(5) <= reach));
        }
    }

    #[test]
    fn about_half_are_flipped() {
        let mut rng = Seed::new(3).stream("test", &[]);
        let normaliser = normaliser(0.0);
        let flips = (0..10_000).filter(|_| {
            let mut pixels = [1.0, 2.0];
            Augment::Flip {}
                .apply(&mut Image { pixels: &mut pixels, height: 1, width: 2, normaliser: &normaliser }, &mut rng);
            pixels[0] == 2.0
        });
        // Six standard deviations of a fair coin.
        assert!(flips.count().abs_diff(5000) < 300);
    }

    #[test]
    fn unknown_and_missing_settings_are_refused() {
        for text in
            [r#"{"name":"flip","p":1}"#, r#"{"name":"shift"}"#, r#"{"name":"blur"}"#, r#"{"name":"crop","padding":-1}"#]
        {
            assert!(serde_json::from_str::<Augment>(text).is_err(), "{text}");
        }
    }
}
