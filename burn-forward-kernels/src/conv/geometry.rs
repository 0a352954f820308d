//! The sizes of a convolution, and the parts in which it is computed.

use std::ops::Range;

/// Settings of a convolution apart from its weights; they are the same in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Stride.
    pub(crate) stride: usize,
    /// Number of zeros on every side.
    pub(crate) padding: usize,
    /// Number of groups of channels.
    pub(crate) groups: usize,
}

/// All sizes of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) groups: usize,
    /// Number of input and output channels of a group.
    pub(super) channels: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
}

/// Number of columns of a matrix product below which samples are combined, and above which the rows of maps are divided.
const COLUMNS: usize = 512;

impl Sizes {
    /// The sizes for the shapes `[B, C_in, H, W]` and `[C_out, C_in / groups, k_h, k_w]`.
    pub(super) fn new(x: [usize; 4], weight: [usize; 4], geometry: Geometry) -> Self {
        let Geometry { stride, padding, groups } = geometry;
        let side = |i: usize| (x[2 + i] + 2 * padding + 1).saturating_sub(weight[2 + i]).div_ceil(stride);
        Self {
            batch: x[0],
            groups,
            channels: [weight[1], weight[0] / groups],
            kernel: [weight[2], weight[3]],
            stride,
            padding,
            input: [x[2], x[3]],
            output: [side(0), side(1)],
        }
    }

    /// `[B, C_out, H', W']`.
    pub(super) fn output_shape(&self) -> [usize; 4] {
        [self.batch, self.groups * self.channels[1], self.output[0], self.output[1]]
    }

    /// Number of positions in an output map.
    pub(super) fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Number of pixels in an input map.
    pub(super) fn pixels(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Number of floats in the input of one sample.
    pub(super) fn sample_in(&self) -> usize {
        self.groups * self.channels[0] * self.pixels()
    }

    /// Number of floats in the output of one sample.
    pub(super) fn sample_out(&self) -> usize {
        self.groups * self.channels[1] * self.positions()
    }

    /// Number of terms in an output value of a group.
    pub(super) fn depth(&self) -> usize {
        self.channels[0] * self.kernel[0] * self.kernel[1]
    }

    /// Whether output positions correspond to input pixels, so that the maps themselves are the matrix.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == 1 && self.padding == 0
    }

    /// Whether every channel has its own kernel.
    pub(super) fn is_depthwise(&self) -> bool {
        self.channels == [1, 1] && self.groups > 1
    }

    /// Number of samples per task, chosen so that its products have enough columns.
    pub(super) fn samples_per_task(&self) -> usize {
        (COLUMNS / self.positions().max(1)).clamp(1, self.batch.max(1))
    }

    /// The tiles of a task with `samples` samples: all of them at once, or bands of rows of one sample.
    pub(super) fn tiles(&self, samples: usize) -> impl Iterator<Item = Tile> + use<> {
        let rows = self.output[0];
        let band = match samples {
            1 => (COLUMNS / self.output[1].max(1)).clamp(1, rows.max(1)),
            _ => rows,
        };
        (0..rows).step_by(band.max(1)).map(move |start| Tile { samples, rows: start..(start + band).min(rows) })
    }
}

/// A unit of multiplication: some rows of the output maps of some samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) samples: usize,
    pub(super) rows: Range<usize>,
}

impl Tile {
    /// Number of positions in the tile of one sample.
    pub(super) fn per_sample(&self, sizes: &Sizes) -> usize {
        self.rows.len() * sizes.output[1]
    }

    /// Number of columns of the matrix.
    pub(super) fn columns(&self, sizes: &Sizes) -> usize {
        self.samples * self.per_sample(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_sides() {
        // Computed by hand: (32 + 2 - 3) / 1 + 1 = 32; (33 + 2 - 3) / 2 + 1 = 17; (32 + 2 - 3) / 2 + 1 = 16; (5 - 5) / 3 + 1 =
        // 1.
        for (side, kernel, stride, padding, expected) in
            [(32, 3, 1, 1, 32), (33, 3, 2, 1, 17), (32, 3, 2, 1, 16), (5, 5, 3, 0, 1)]
        {
            let geometry = Geometry { stride, padding, groups: 1 };
            assert_eq!(Sizes::new([1, 1, side, side], [1, 1, kernel, kernel], geometry).output, [expected; 2]);
        }
    }

    #[test]
    fn tiles_cover_every_row_once() {
        let sizes = |side| Sizes::new([8, 3, side, side], [4, 3, 3, 3], Geometry { stride: 1, padding: 1, groups: 1 });
        assert_eq!(sizes(4).samples_per_task(), 8); // 512/16 = 32, but there are 8
        assert_eq!(sizes(64).samples_per_task(), 1);
        let rows: Vec<usize> = sizes(64).tiles(1).flat_map(|tile| tile.rows).collect();
        assert_eq!(rows, (0..64).collect::<Vec<_>>());
        assert_eq!(sizes(64).tiles(1).count(), 8);
        assert_eq!(sizes(4).tiles(8).collect::<Vec<_>>(), [Tile { samples: 8, rows: 0..4 }]);
    }
}
