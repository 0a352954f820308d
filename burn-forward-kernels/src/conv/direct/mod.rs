//! Convolutions with kernels of side 3, computed directly from padded maps on x86-64 processors with AVX-512 or AVX2.
//!
//! The matrix of patches in [`columns`](super::columns) contains every pixel nine times, and the matrix product packs it again.
//! With few channels, this takes longer than the product. Here, the output channels are the lanes of a register, pixels are
//! broadcast from their place in the maps, and up to 16 sums stay in registers until they are complete:
//!
//! - output: for some pixels of a row, `y[pixel] += x[pixel + tap] w[tap]` over the taps of all input channels;
//! - gradient of the weights: for the nine taps of a channel, `dw[tap] += x[pixel + tap] dy[pixel]` over all pixels;
//! - gradient of the input, at stride 1: a convolution with the kernel rotated by 180 degrees.
//!
//! Maps are transposed in square tiles so that channels become lanes, and back. All code is generic over the kind of
//! [`Registers`] and compiled for each.

mod loops;
mod register;

use rayon::prelude::*;

use self::loops::{TAPS, Work, add_taps, transpose};
use self::register::{Avx2, Avx512, Registers, wide};
use super::columns::{self, Padded, Space, of_length, pad, parts};
use super::geometry::Sizes;

/// Largest number of weights (4 MiB), which are read once per sample. With more weights, matrix products over many samples are
/// faster (512 channels on maps of 4 x 4: 55 against 24 GFLOP/s).
const MOST_WEIGHTS: usize = 1 << 20;
/// Largest number of pairs of channels for a gradient of weights in registers with 8 lanes, see [`fits_weight_gradient`].
const MOST_CHANNEL_PAIRS_AVX2: usize = 64 * 64;

/// The widest registers of this processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Widest {
    Avx512(Avx512),
    Avx2(Avx2),
}

impl Widest {
    fn here() -> Option<Self> {
        Avx512::detect().map(Self::Avx512).or_else(|| Avx2::detect().map(Self::Avx2))
    }
}

/// Calls a function with the widest registers of this processor, or evaluates the alternative if there are none.
macro_rules! with_widest {
    ($f:ident($($argument:expr),*), else $otherwise:expr) => {
        match Widest::here() {
            Some(Widest::Avx512(registers)) => $f(registers, $($argument),*),
            Some(Widest::Avx2(registers)) => $f(registers, $($argument),*),
            None => $otherwise,
        }
    };
}

/// Whether this module can compute the convolution on this processor.
pub(super) fn fits(sizes: &Sizes) -> bool {
    let [_, width] = sizes.output;
    sizes.groups == 1
        && sizes.kernel == [3, 3]
        && sizes.channels[0] * sizes.channels[1] * TAPS <= MOST_WEIGHTS
        && (width.is_multiple_of(4) || width.is_multiple_of(7))
        && sizes.positions() > 0
        && Widest::here().is_some()
}

/// Whether this module can also compute the gradient of its input.
pub(super) fn fits_input_gradient(sizes: &Sizes) -> bool {
    sizes.stride == 1 && sizes.padding <= 2 && fits(&turned(sizes))
}

/// Whether the gradient of its weights is also faster here.
///
/// It reads the gradient of the output once per input channel, and the maps once per register of output channels. With many
/// channels and narrow registers, a matrix product is faster (128 x 128 channels, AVX2: 42 against 33 GFLOP/s; 64 x 64: 44
/// against 41 on maps of 8 x 8, 43 against 51 on maps of 32 x 32).
pub(super) fn fits_weight_gradient(sizes: &Sizes) -> bool {
    let few = sizes.channels[0] * sizes.channels[1] <= MOST_CHANNEL_PAIRS_AVX2;
    fits(sizes) && (few || matches!(Widest::here(), Some(Widest::Avx512(_))))
}

/// The convolution of the gradient of the output with the rotated kernel, which gives the gradient of the input.
fn turned(sizes: &Sizes) -> Sizes {
    let [read, made] = sizes.channels;
    Sizes {
        channels: [made, read],
        padding: 2usize.saturating_sub(sizes.padding),
        input: sizes.output,
        output: sizes.input,
        ..*sizes
    }
}

/// Groups of registers of channels that are computed together, as `(first lane, number of registers)`.
fn blocks<L: Registers>(channels: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let registers = wide::<L>(channels) / L::LANES;
    let mut done = 0;
    std::iter::from_fn(move || {
        let left = registers - done;
        let take = [4, 2, 1].into_iter().find(|n| *n <= most.min(left))?;
        done += take;
        Some(((done - take) * L::LANES, take))
    })
}

/// Largest number of registers of channels at a time for maps with this width: with fewer pixels per row, more registers are
/// left for channels.
fn most_registers<L: Registers>(width: usize) -> usize {
    match (L::COUNT, width) {
        (32.., w) if w.is_multiple_of(8) || w.is_multiple_of(7) => 2,
        (32.., _) => 4,
        (_, w) if w.is_multiple_of(4) => 2,
        _ => 1,
    }
}

/// The weights `weight(input channel, output channel, tap)` in the order of use: by block of output channels, then by tap of
/// every input channel, then by lane.
fn packed<L: Registers>(
    [read, made]: [usize; 2],
    most: usize,
    weight: impl Fn(usize, usize, usize) -> f32,
) -> Vec<f32> {
    let mut out = vec![0.0; read * TAPS * wide::<L>(made)];
    for (first, count) in blocks::<L>(made, most) {
        let block = &mut out[first * read * TAPS..][..count * L::LANES * read * TAPS];
        for (k, lanes) in block.chunks_exact_mut(count * L::LANES).enumerate() {
            for (lane, value) in lanes.iter_mut().enumerate().take(made.saturating_sub(first)) {
                *value = weight(k / TAPS, first + lane, k % TAPS);
            }
        }
    }
    out
}

/// `Y` `[B, C_out, H', W']` for `x` `[B, C_in, H, W]` and `w` `[C_out, C_in, 3, 3]`.
pub(super) fn forward(sizes: &Sizes, x: &[f32], w: &[f32]) -> Vec<f32> {
    let [read, _] = sizes.channels;
    with_widest!(
        convolve(sizes, x, |from, to, tap| w[(to * read + from) * TAPS + tap]),
        else columns::forward(sizes, x, w)
    )
}

/// Gradient of the input `[B, C_in, H, W]`, at stride 1.
pub(super) fn input_gradient(sizes: &Sizes, w: &[f32], dy: &[f32]) -> Vec<f32> {
    let turned = turned(sizes);
    let [read, _] = sizes.channels;
    with_widest!(
        convolve(&turned, dy, |from, to, tap| w[(from * read + to) * TAPS + TAPS - 1 - tap]),
        else columns::input_gradient(sizes, w, dy)
    )
}

/// `weight` is called with an input channel, an output channel and a tap.
fn convolve<L: Registers>(
    registers: L,
    sizes: &Sizes,
    x: &[f32],
    weight: impl Fn(usize, usize, usize) -> f32,
) -> Vec<f32> {
    let most = most_registers::<L>(sizes.output[1]);
    let weights = &packed::<L>(sizes.channels, most, weight);
    let mut y = vec![0.0; sizes.batch * sizes.sample_out()];
    let ([read, made], positions) = (sizes.channels, sizes.positions());
    let padded = Padded::new(sizes);
    let taps: Vec<usize> =
        (0..read * TAPS).map(|k| k / TAPS * padded.map() + k % TAPS / 3 * padded.sides[1] + k % 3).collect();
    let tasks = y.par_chunks_mut(sizes.sample_out()).zip(x.par_chunks(sizes.sample_in()));
    tasks.for_each_init(Space::default, |space, (y, x)| {
        let x = pad(sizes, x, &mut space.padded);
        let work = Work { sizes, x, taps: &taps, weights, row: padded.sides[1] };
        for (first, count) in blocks::<L>(made, most) {
            let lanes = count * L::LANES;
            let out = of_length(&mut space.rows, positions * lanes);
            let y = &mut y[first * positions..];
            work.run(registers, first, count, out);
            transpose(registers, out, [positions, lanes.min(made - first)], lanes, y, positions);
        }
    });
    y
}

/// Gradient of the weights `[C_out, C_in, 3, 3]`. It is the same for any number of threads, like that of
/// [`columns`](super::columns::weight_gradient).
pub(super) fn weight_gradient(sizes: &Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    with_widest!(gradient_of_weights(sizes, x, dy), else columns::weight_gradient(sizes, x, dy))
}

fn gradient_of_weights<L: Registers>(registers: L, sizes: &Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let ([read, made], positions) = (sizes.channels, sizes.positions());
    let (lanes, per_task) = (wide::<L>(made), sizes.samples_per_task());
    // Each needs nine sums; with two of the narrower registers, no register would be left for reading.
    let most = if L::COUNT >= 32 { 2 } else { 1 };
    let per_part = sizes.batch.div_ceil(per_task).div_ceil(parts(sizes)) * per_task;
    let chunks = x.par_chunks(per_part * sizes.sample_in()).zip(dy.par_chunks(per_part * sizes.sample_out()));
    let sums: Vec<Vec<f32>> = chunks
        .map_init(Space::default, |space, (x, dy)| {
            let mut sum = vec![0.0; read * TAPS * lanes];
            let tasks = x.chunks(per_task * sizes.sample_in()).zip(dy.chunks(per_task * sizes.sample_out()));
            for (x, dy) in tasks {
                let samples = dy.len() / sizes.sample_out();
                let x = pad(sizes, x, &mut space.padded);
                for (first, count) in blocks::<L>(made, most) {
                    let lanes = count * L::LANES;
                    let gradient = of_length(&mut space.rows, samples * positions * lanes);
                    // Lanes beyond the last channel contain old values, and results computed from them are never used.
                    let maps = lanes.min(made - first);
                    for (to, from) in gradient.chunks_exact_mut(positions * lanes).zip(dy.chunks(sizes.sample_out())) {
                        transpose(registers, &from[first * positions..], [maps, positions], positions, to, lanes);
                    }
                    add_taps(registers, sizes, samples, x, gradient, &mut sum, first, count);
                }
            }
            sum
        })
        .collect();
    let mut out = vec![0.0; made * read * TAPS];
    for sum in sums {
        for (k, of_channels) in sum.chunks_exact(lanes).enumerate() {
            for (channel, value) in of_channels[..made].iter().enumerate() {
                out[channel * read * TAPS + k] += value;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::geometry::Geometry;
    use super::*;

    fn numbers(n: usize, step: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * step + i / 7) % 23) as f32 / 11.0 - 1.0).collect()
    }

    fn close(what: &str, ours: &[f32], theirs: &[f32]) {
        assert_eq!(ours.len(), theirs.len());
        for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
            assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{what}[{i}]: {a}, by columns {b}");
        }
    }

    #[test]
    fn the_same_as_by_columns() {
        // All widths of registers and of groups of pixels, numbers of channels that do not fill a register, strides, and
        // padding.
        for (channels, side, stride, padding) in [
            ([3, 16], [32, 32], 1, 1),
            ([16, 32], [8, 16], 1, 1),
            ([5, 48], [9, 8], 1, 1),
            ([20, 10], [28, 28], 1, 1),
            ([33, 40], [5, 7], 1, 1),
            ([16, 128], [4, 4], 1, 1),
            ([7, 96], [6, 14], 1, 0),
            ([16, 32], [32, 32], 2, 1),
            ([4, 100], [15, 15], 2, 1),
            ([2, 3], [9, 10], 1, 2),
            ([2, 3], [3, 6], 1, 0),
        ] {
            let shape = [5, channels[0], side[0], side[1]];
            let sizes = Sizes::new(shape, [channels[1], channels[0], 3, 3], Geometry { stride, padding, groups: 1 });
            assert!(fits(&sizes) || Widest::here().is_none(), "{sizes:?}");
            same_as_columns::<Avx512>(&sizes);
            same_as_columns::<Avx2>(&sizes);
        }
    }

    /// On processors with wider registers, the narrower ones are tested as well.
    fn same_as_columns<L: Registers>(sizes: &Sizes) {
        let Some(registers) = L::detect() else { return };
        let [read, made] = sizes.channels;
        let x = numbers(sizes.batch * sizes.sample_in(), 5);
        let w = numbers(read * made * TAPS, 3);
        let dy = numbers(sizes.batch * sizes.sample_out(), 7);
        let what = |part: &str| format!("{part} with {} lanes of {sizes:?}", L::LANES);
        let y = convolve(registers, sizes, &x, |from, to, tap| w[(to * read + from) * TAPS + tap]);
        close(&what("output"), &y, &columns::forward(sizes, &x, &w));
        let dw = columns::weight_gradient(sizes, &x, &dy);
        close(&what("gradient of the weights"), &gradient_of_weights(registers, sizes, &x, &dy), &dw);
        if fits_input_gradient(sizes) {
            let dx = columns::input_gradient(sizes, &w, &dy);
            close(&what("gradient of the input"), &input_gradient(sizes, &w, &dy), &dx);
        }
    }

    #[test]
    fn what_does_not_fit_is_left_to_columns() {
        let sizes = |channels, width, kernel, groups| {
            let weight = [channels, channels / groups, kernel, kernel];
            Sizes::new([1, channels, 8, width], weight, Geometry { stride: 1, padding: kernel / 2, groups })
        };
        assert!(!fits(&sizes(8, 8, 5, 1)) && !fits(&sizes(8, 8, 3, 2)) && !fits(&sizes(8, 10, 3, 1)));
        assert!(!fits(&sizes(512, 8, 3, 1)));
        let nothing = Sizes::new([1, 8, 2, 10], [8, 8, 3, 3], Geometry { stride: 1, padding: 0, groups: 1 });
        assert!(nothing.positions() == 0 && !fits(&nothing));
    }
}
