//! Convolution as a product with the matrix of input patches, one tile at a time.
//!
//! For a tile with `n` output positions and a group of channels, the patches form a matrix `P` `[K, n]` with
//! `K = C_in k_h k_w`. The output is `Y = W P`, the gradient of the weights is `dY P^T`, and the gradient of the patches is
//! `W^T dY`. Each thread stores the patches of only one tile at a time.

use rayon::prelude::*;

use super::geometry::{Sizes, Tile};
use crate::gemm::{Strides, multiply};

/// The workspace of a thread.
#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) padded: Vec<f32>,
    patches: Vec<f32>,
    pub(super) rows: Vec<f32>,
}

/// Returns `len` floats of a buffer, with any content; new floats are 0.
pub(super) fn of_length(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Zero-padded maps, with all channels of the samples of a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Padded {
    pub(super) sides: [usize; 2],
    pub(super) channels: usize,
}

impl Padded {
    pub(super) fn new(sizes: &Sizes) -> Self {
        Self { sides: sizes.input.map(|side| side + 2 * sizes.padding), channels: sizes.groups * sizes.channels[0] }
    }

    /// Number of floats in a map.
    pub(super) fn map(self) -> usize {
        self.sides[0] * self.sides[1]
    }

    /// Number of floats for some samples.
    pub(super) fn len(self, samples: usize) -> usize {
        samples * self.channels * self.map()
    }

    /// Calls `f(row of pixels, its position among the padded ones)` for every row of all maps of a task.
    fn each_row(self, sizes: &Sizes, samples: usize, mut f: impl FnMut(usize, usize)) {
        let [height, width] = sizes.input;
        for map in 0..samples * self.channels {
            for y in 0..height {
                let place = map * self.map() + (y + sizes.padding) * self.sides[1] + sizes.padding;
                f((map * height + y) * width, place);
            }
        }
    }

    /// Calls `f(row of the patch matrix times columns plus first column, first pixel)` for the pixels that every tap reads from
    /// every map of a group; the next row is `stride` rows of pixels further on.
    fn each_tap(self, sizes: &Sizes, tile: &Tile, group: usize, mut f: impl FnMut(usize, usize)) {
        let [kh, kw] = sizes.kernel;
        let (n, per_sample) = (tile.columns(sizes), tile.per_sample(sizes));
        let top = tile.rows.start * sizes.stride;
        for channel in 0..sizes.channels[0] {
            for tap in 0..kh * kw {
                let offset = (top + tap / kw) * self.sides[1] + tap % kw;
                for sample in 0..tile.samples {
                    let map = sample * self.channels + group * sizes.channels[0] + channel;
                    f((channel * kh * kw + tap) * n + sample * per_sample, map * self.map() + offset);
                }
            }
        }
    }
}

/// Calls `f::<N>` for rows with a common length, so that the compiler unrolls the operations on a row, and `f::<0>` otherwise.
macro_rules! by_width {
    ($f:ident, $width:expr, $($argument:expr),*) => {
        match $width {
            4 => $f::<4>($($argument),*),
            7 => $f::<7>($($argument),*),
            8 => $f::<8>($($argument),*),
            14 => $f::<14>($($argument),*),
            16 => $f::<16>($($argument),*),
            28 => $f::<28>($($argument),*),
            32 => $f::<32>($($argument),*),
            _ => $f::<0>($($argument),*),
        }
    };
}

/// Copies rows of `width` numbers that are `apart` numbers from each other to adjacent rows.
fn gather_rows<const N: usize>(to: &mut [f32], width: usize, from: &[f32], apart: usize, stride: usize) {
    let width = if N > 0 { N } else { width };
    for (to, from) in to.chunks_exact_mut(width).zip(from.chunks(apart)) {
        match stride {
            1 => to.copy_from_slice(&from[..width]),
            _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(t, f)| *t = *f),
        }
    }
}

/// Adds adjacent rows to rows that are `apart` numbers from each other.
fn scatter_rows<const N: usize>(from: &[f32], width: usize, to: &mut [f32], apart: usize, stride: usize) {
    let width = if N > 0 { N } else { width };
    for (from, to) in from.chunks_exact(width).zip(to.chunks_mut(apart)) {
        match stride {
            1 => to[..width].iter_mut().zip(from).for_each(|(t, f)| *t += *f),
            _ => to.iter_mut().step_by(stride).zip(from).for_each(|(t, f)| *t += *f),
        }
    }
}

/// The zero-padded maps of the samples of a task. All tasks of an operation use the same `buffer`, so the padding remains zero.
pub(super) fn pad<'a>(sizes: &Sizes, x: &[f32], buffer: &'a mut Vec<f32>) -> &'a [f32] {
    let (padded, width) = (Padded::new(sizes), sizes.input[1]);
    let samples = x.len() / sizes.sample_in().max(1);
    let to = of_length(buffer, padded.len(samples));
    padded.each_row(sizes, samples, |from, place| to[place..][..width].copy_from_slice(&x[from..][..width]));
    to
}

/// The patches of a tile of padded maps.
fn patches(sizes: &Sizes, tile: &Tile, group: usize, x: &[f32], out: &mut [f32]) {
    let padded = Padded::new(sizes);
    let (per_sample, width, apart) = (tile.per_sample(sizes), sizes.output[1], padded.sides[1] * sizes.stride);
    padded.each_tap(sizes, tile, group, |column, pixel| {
        by_width!(gather_rows, width, &mut out[column..][..per_sample], width, &x[pixel..], apart, sizes.stride);
    });
}

/// Adds the gradients of patches to padded maps.
fn scatter(sizes: &Sizes, tile: &Tile, group: usize, gradient: &[f32], x: &mut [f32]) {
    let padded = Padded::new(sizes);
    let (per_sample, width, apart) = (tile.per_sample(sizes), sizes.output[1], padded.sides[1] * sizes.stride);
    padded.each_tap(sizes, tile, group, |column, pixel| {
        by_width!(scatter_rows, width, &gradient[column..][..per_sample], width, &mut x[pixel..], apart, sizes.stride);
    });
}

/// Calls `f(offset in the maps, offset in the rows, length)` for the part of every output map of a group that a tile contains.
fn each_map(sizes: &Sizes, tile: &Tile, group: usize, mut f: impl FnMut(usize, usize, usize)) {
    let (n, len) = (tile.columns(sizes), tile.per_sample(sizes));
    for channel in 0..sizes.channels[1] {
        for sample in 0..tile.samples {
            let map = sample * sizes.sample_out() + (group * sizes.channels[1] + channel) * sizes.positions();
            f(map + tile.rows.start * sizes.output[1], channel * n + sample * len, len);
        }
    }
}

/// The position of a tile of one sample in its output maps.
fn place(sizes: &Sizes, tile: &Tile, group: usize) -> (usize, Strides) {
    let start = group * sizes.channels[1] * sizes.positions() + tile.rows.start * sizes.output[1];
    (start, Strides::rows(sizes.positions()))
}

/// `Y` `[B, C_out, H', W']` for `x` `[B, C_in, H, W]` and `w` `[C_out, C_in/groups, k_h, k_w]`.
pub(super) fn forward(sizes: &Sizes, x: &[f32], w: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; sizes.batch * sizes.sample_out()];
    let per_task = sizes.samples_per_task();
    let (d, [_, made]) = (sizes.depth(), sizes.channels);
    let tasks = y.par_chunks_mut(per_task * sizes.sample_out()).zip(x.par_chunks(per_task * sizes.sample_in()));
    tasks.for_each_init(Space::default, |space, (y, x)| {
        let samples = y.len() / sizes.sample_out();
        let x = enter(sizes, x, &mut space.padded);
        for tile in sizes.tiles(samples) {
            let n = tile.columns(sizes);
            for group in 0..sizes.groups {
                let weights = (&w[group * made * d..][..made * d], Strides::rows(d));
                let (b, bt) = read(sizes, &tile, group, x, &mut space.patches);
                if samples == 1 {
                    let (start, strides) = place(sizes, &tile, group);
                    multiply([made, d, n], weights, (b, bt), (&mut y[start..], strides), false);
                } else {
                    let rows = of_length(&mut space.rows, made * n);
                    multiply([made, d, n], weights, (b, bt), (rows, Strides::rows(n)), false);
                    each_map(sizes, &tile, group, |map, row, len| y[map..][..len].copy_from_slice(&rows[row..][..len]));
                }
            }
        }
    });
    y
}

/// The maps of a task for [`read`], zero-padded if a kernel reaches beyond them.
fn enter<'a>(sizes: &Sizes, x: &'a [f32], buffer: &'a mut Vec<f32>) -> &'a [f32] {
    if sizes.padding == 0 { x } else { pad(sizes, x, buffer) }
}

/// The patches of a tile as a matrix; for pointwise kernels, these are the maps themselves.
fn read<'a>(sizes: &Sizes, tile: &Tile, group: usize, x: &'a [f32], buffer: &'a mut Vec<f32>) -> (&'a [f32], Strides) {
    if sizes.is_pointwise() && tile.samples == 1 {
        let start = group * sizes.channels[0] * sizes.pixels() + tile.rows.start * sizes.input[1];
        return (&x[start..], Strides::rows(sizes.pixels()));
    }
    let n = tile.columns(sizes);
    let buffer = of_length(buffer, sizes.depth() * n);
    patches(sizes, tile, group, x, buffer);
    (buffer, Strides::rows(n))
}

/// A tile of the gradient of the output as a matrix `[C_out/groups, n]`.
fn gradient_rows<'a>(
    sizes: &Sizes,
    tile: &Tile,
    group: usize,
    dy: &'a [f32],
    buffer: &'a mut Vec<f32>,
) -> (&'a [f32], Strides) {
    if tile.samples == 1 {
        let (start, strides) = place(sizes, tile, group);
        return (&dy[start..], strides);
    }
    let n = tile.columns(sizes);
    let rows = of_length(buffer, sizes.channels[1] * n);
    each_map(sizes, tile, group, |map, row, len| rows[row..][..len].copy_from_slice(&dy[map..][..len]));
    (rows, Strides::rows(n))
}

/// Largest number of floats in the partial sums of a weight's gradient (32 MiB).
const PARTIAL_FLOATS: usize = 8 << 20;
/// Largest number of partial sums.
const PARTS: usize = 16;

/// Number of partial sums of a weight's gradient.
pub(super) fn parts(sizes: &Sizes) -> usize {
    let weights = sizes.groups * sizes.channels[1] * sizes.depth();
    (PARTIAL_FLOATS / weights.max(1)).clamp(1, PARTS).min(sizes.batch.div_ceil(sizes.samples_per_task())).max(1)
}

/// Gradient of the weights `[C_out, C_in/groups, k_h, k_w]`.
///
/// The batch is divided into a number of parts that depends only on the sizes, and their sums are added in order. The result
/// therefore does not depend on the number of threads.
pub(super) fn weight_gradient(sizes: &Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let (d, [_, made]) = (sizes.depth(), sizes.channels);
    let weights = sizes.groups * made * d;
    let per_task = sizes.samples_per_task();
    let per_part = sizes.batch.div_ceil(per_task).div_ceil(parts(sizes)) * per_task;
    let chunks = x.par_chunks(per_part * sizes.sample_in()).zip(dy.par_chunks(per_part * sizes.sample_out()));
    let sums: Vec<Vec<f32>> = chunks
        .map_init(Space::default, |space, (x, dy)| {
            let mut sum = vec![0.0; weights];
            let tasks = x.chunks(per_task * sizes.sample_in()).zip(dy.chunks(per_task * sizes.sample_out()));
            for (x, dy) in tasks {
                let x = enter(sizes, x, &mut space.padded);
                for tile in sizes.tiles(dy.len() / sizes.sample_out()) {
                    let n = tile.columns(sizes);
                    for group in 0..sizes.groups {
                        let (b, bt) = read(sizes, &tile, group, x, &mut space.patches);
                        let transposed = Strides { row: bt.column, column: bt.row };
                        let a = gradient_rows(sizes, &tile, group, dy, &mut space.rows);
                        let c = &mut sum[group * made * d..][..made * d];
                        multiply([made, n, d], a, (b, transposed), (c, Strides::rows(d)), true);
                    }
                }
            }
            sum
        })
        .collect();
    let mut sums = sums.into_iter();
    let mut total = sums.next().unwrap_or_else(|| vec![0.0; weights]);
    for part in sums {
        total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
    }
    total
}

/// Gradient of the input `[B, C_in, H, W]`.
pub(super) fn input_gradient(sizes: &Sizes, w: &[f32], dy: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; sizes.batch * sizes.sample_in()];
    let per_task = sizes.samples_per_task();
    let (d, [_, made]) = (sizes.depth(), sizes.channels);
    let tasks = dx.par_chunks_mut(per_task * sizes.sample_in()).zip(dy.par_chunks(per_task * sizes.sample_out()));
    tasks.for_each_init(Space::default, |space, (dx, dy)| {
        let samples = dy.len() / sizes.sample_out();
        let padded = Padded::new(sizes);
        let around = of_length(&mut space.padded, if sizes.padding == 0 { 0 } else { padded.len(samples) });
        around.fill(0.0);
        for tile in sizes.tiles(samples) {
            let n = tile.columns(sizes);
            for group in 0..sizes.groups {
                let weights = (&w[group * made * d..][..made * d], Strides::transposed(d));
                let rows = gradient_rows(sizes, &tile, group, dy, &mut space.rows);
                if sizes.is_pointwise() && tile.samples == 1 {
                    let start = group * sizes.channels[0] * sizes.pixels() + tile.rows.start * sizes.input[1];
                    let to = (&mut dx[start..], Strides::rows(sizes.pixels()));
                    multiply([d, made, n], weights, rows, to, false);
                } else {
                    let buffer = of_length(&mut space.patches, d * n);
                    multiply([d, made, n], weights, rows, (&mut *buffer, Strides::rows(n)), false);
                    let to = if sizes.padding == 0 { &mut *dx } else { &mut *around };
                    scatter(sizes, &tile, group, buffer, to);
                }
            }
        }
        if sizes.padding > 0 {
            let width = sizes.input[1];
            padded.each_row(sizes, samples, |to, place| dx[to..][..width].copy_from_slice(&around[place..][..width]));
        }
    });
    dx
}
