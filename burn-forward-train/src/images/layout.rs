//! The order of channels, rows and columns in files of images with several channels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The meaning of the four sizes in a file of images. The first one is always the number of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `[N, C, H, W]`: one plane after another, as in PyTorch and CIFAR.
    ChannelsFirst,
    /// `[N, H, W, C]`: the channels of a pixel are adjacent, as in image files and TensorFlow.
    ChannelsLast,
}

/// Maximum usual number of channels: grey, grey with alpha, colour, colour with alpha.
const USUAL_CHANNELS: usize = 4;

impl Layout {
    /// The shape `[C, H, W]` of images whose sizes in a file are `sizes`.
    pub fn shape(self, sizes: [usize; 3]) -> [usize; 3] {
        let [a, b, c] = sizes;
        match self {
            Self::ChannelsFirst => [a, b, c],
            Self::ChannelsLast => [c, a, b],
        }
    }

    /// [`ChannelsFirst`](Self::ChannelsFirst) if the sizes of an image are evidence for it: it gives a square image or few
    /// channels, and nothing favours the other layout more. `None` if both are plausible, or the other one is more so.
    pub fn evident(sizes: [usize; 3]) -> Option<Self> {
        let speaks = |layout: Self| {
            let [channels, height, width] = layout.shape(sizes);
            [height == width, channels <= USUAL_CHANNELS]
        };
        let (first, last) = (speaks(Self::ChannelsFirst), speaks(Self::ChannelsLast));
        let all = first.iter().zip(&last).all(|(first, last)| first >= last);
        // A single pixel with one channel is the same in both layouts.
        (sizes == [1, 1, 1] || all && first != last).then_some(Self::ChannelsFirst)
    }

    /// Pixels `[N, C, H, W]` from those of a file with this layout, for images of shape `[C, H, W]`.
    pub fn planes(self, pixels: Vec<u8>, shape: [usize; 3]) -> Vec<u8> {
        let [channels, height, width] = shape;
        if self == Self::ChannelsFirst || channels == 1 {
            return pixels;
        }
        let size = (channels * height * width).max(1);
        let mut planes = Vec::with_capacity(pixels.len());
        for image in pixels.chunks_exact(size) {
            for channel in 0..channels {
                planes.extend(image.iter().skip(channel).step_by(channels));
            }
        }
        planes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::cifar([3, 32, 32], true)]
    #[case::one_channel([1, 8, 8], true)]
    #[case::small_and_grey([1, 4, 4], true)]
    #[case::no_square([3, 28, 40], true)]
    #[case::many_channels([16, 8, 8], true)]
    #[case::a_pixel([1, 1, 1], true)]
    #[case::the_other_way_round([8, 8, 3], false)]
    #[case::the_other_way_round_no_square([28, 40, 3], false)]
    #[case::a_cube([3, 3, 3], false)]
    #[case::a_small_cube([4, 4, 4], false)]
    #[case::both_have_few_channels([3, 8, 4], false)]
    #[case::square_one_way_few_channels_the_other([3, 3, 8], false)]
    #[case::neither([10, 20, 30], false)]
    fn only_what_is_evident_is_taken(#[case] sizes: [usize; 3], #[case] evident: bool) {
        assert_eq!(Layout::evident(sizes).is_some(), evident);
    }

    #[test]
    fn channels_side_by_side_become_planes() {
        // Two 1x2 images with three channels.
        let pixels = vec![1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16];
        assert_eq!(Layout::ChannelsLast.shape([1, 2, 3]), [3, 1, 2]);
        let planes = Layout::ChannelsLast.planes(pixels.clone(), [3, 1, 2]);
        assert_eq!(planes, [1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16]);
        assert_eq!(Layout::ChannelsFirst.planes(pixels.clone(), [1, 2, 3]), pixels);
    }
}
