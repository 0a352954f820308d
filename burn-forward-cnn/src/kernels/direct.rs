//! Convolutions with kernels of side 3 straight from padded maps, on processors with AVX-512.
//!
//! The matrix of patches of [`columns`](super::columns) holds every pixel nine times, and a product packs it once more: with
//! few channels that takes longer than the product. Here 16 output channels are the lanes of a register, pixels are
//! broadcast from where they lie, and up to 16 sums stay in registers until they are done:
//!
//! - output: for some pixels of a row, `y[pixel] += x[pixel + tap] w[tap]` over the taps of all input channels;
//! - gradient of the weights: for the nine taps of a channel, `dw[tap] += x[pixel + tap] dy[pixel]` over all pixels;
//! - gradient of the input, at step 1: an output with the kernel turned round.
//!
//! Maps with channels as lanes are transposed in tiles of 16 x 16 on their way in and out.

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps,
    _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use rayon::prelude::*;

use super::columns::{Padded, Space, of_length, pad, parts};
use super::geometry::Sizes;

/// Lanes of a register.
const LANES: usize = 16;
/// Taps of a kernel.
const TAPS: usize = 9;
/// Most weights, which are read once per sample: 4 MiB. With more of them, products that take many samples at a time are
/// the faster way (512 channels on maps of 4 x 4: 55 against 24 GFLOP/s).
const MOST_WEIGHTS: usize = 1 << 20;

/// Whether this module computes such a convolution, on this processor.
pub(super) fn fits(sizes: &Sizes) -> bool {
    let [_, width] = sizes.output;
    sizes.groups == 1
        && sizes.kernel == [3, 3]
        && sizes.channels[0] * sizes.channels[1] * TAPS <= MOST_WEIGHTS
        && (width.is_multiple_of(4) || width.is_multiple_of(7))
        && sizes.positions() > 0
        && std::arch::is_x86_feature_detected!("avx512f")
}

/// Whether the gradient of its input is one too.
pub(super) fn fits_input_gradient(sizes: &Sizes) -> bool {
    sizes.stride == 1 && sizes.padding <= 2 && fits(&turned(sizes))
}

/// The convolution of an output's gradient, with the kernel turned round, that is the input's gradient.
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

/// Channels, filled up to whole registers.
fn wide(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// Registers of channels that are worked on together, as `(first lane, number of registers)`.
fn blocks(channels: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let registers = wide(channels) / LANES;
    let mut done = 0;
    std::iter::from_fn(move || {
        let left = registers - done;
        let take = [4, 2, 1].into_iter().find(|n| *n <= most.min(left))?;
        done += take;
        Some(((done - take) * LANES, take))
    })
}

/// Most registers of channels at a time for maps of this width: fewer pixels of a row leave more registers for channels.
fn most_registers(width: usize) -> usize {
    if width.is_multiple_of(8) || width.is_multiple_of(7) { 2 } else { 4 }
}

/// `weight(channel read, channel made, tap)` in the order in which it is used: by block of made channels, then by tap of
/// every read channel, then by lane.
fn packed([read, made]: [usize; 2], most: usize, weight: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let mut out = vec![0.0; read * TAPS * wide(made)];
    for (first, registers) in blocks(made, most) {
        let block = &mut out[first * read * TAPS..][..registers * LANES * read * TAPS];
        for (k, lanes) in block.chunks_exact_mut(registers * LANES).enumerate() {
            for (lane, value) in lanes.iter_mut().enumerate().take(made.saturating_sub(first)) {
                *value = weight(k / TAPS, first + lane, k % TAPS);
            }
        }
    }
    out
}

/// `Y` `[B, C_out, H', W']` of `x` `[B, C_in, H, W]` and `w` `[C_out, C_in, 3, 3]`.
pub(super) fn forward(sizes: &Sizes, x: &[f32], w: &[f32]) -> Vec<f32> {
    let [read, _] = sizes.channels;
    let weights =
        packed(sizes.channels, most_registers(sizes.output[1]), |from, to, tap| w[(to * read + from) * TAPS + tap]);
    convolve(sizes, x, &weights)
}

/// Gradient of the input `[B, C_in, H, W]`, at step 1.
pub(super) fn input_gradient(sizes: &Sizes, w: &[f32], dy: &[f32]) -> Vec<f32> {
    let turned = turned(sizes);
    let [read, _] = sizes.channels;
    let weights = packed(turned.channels, most_registers(turned.output[1]), |from, to, tap| {
        w[(from * read + to) * TAPS + TAPS - 1 - tap]
    });
    convolve(&turned, dy, &weights)
}

fn convolve(sizes: &Sizes, x: &[f32], weights: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; sizes.batch * sizes.sample_out()];
    let ([read, made], positions) = (sizes.channels, sizes.positions());
    let padded = Padded::new(sizes);
    let taps: Vec<usize> =
        (0..read * TAPS).map(|k| k / TAPS * padded.map() + k % TAPS / 3 * padded.sides[1] + k % 3).collect();
    let tasks = y.par_chunks_mut(sizes.sample_out()).zip(x.par_chunks(sizes.sample_in()));
    tasks.for_each_init(Space::default, |space, (y, x)| {
        let x = pad(sizes, x, &mut space.padded);
        let work = Work { sizes, x, taps: &taps, weights, row: padded.sides[1] };
        for (first, registers) in blocks(made, most_registers(sizes.output[1])) {
            let lanes = registers * LANES;
            let out = of_length(&mut space.rows, positions * lanes);
            // SAFETY: `fits` has seen the feature; sizes are checked inside.
            #[allow(unsafe_code, reason = "the only way to use what the processor has and the target need not have")]
            unsafe {
                work.run(first, registers, out);
                transpose(out, [positions, lanes.min(made - first)], lanes, &mut y[first * positions..], positions);
            }
        }
    });
    y
}

/// One sample's convolution.
struct Work<'a> {
    sizes: &'a Sizes,
    /// Padded maps.
    x: &'a [f32],
    /// Where every tap of every channel reads for the first pixel.
    taps: &'a [usize],
    weights: &'a [f32],
    /// Width of a padded map.
    row: usize,
}

#[allow(unsafe_code, reason = "vector instructions on pointers, whose ends are checked first")]
impl Work<'_> {
    /// `out` `[positions, 16 registers]`: channels from `first` on.
    #[target_feature(enable = "avx512f")]
    fn run(&self, first: usize, registers: usize, out: &mut [f32]) {
        let [height, width] = self.sizes.output;
        let last = (height - 1) * self.sizes.stride * self.row + (width - 1) * self.sizes.stride;
        let reach = self.taps.last().map_or(0, |tap| tap + last + 1);
        assert!(reach <= self.x.len(), "convolution of padded maps");
        assert!(out.len() >= height * width * registers * LANES, "output of a convolution");
        match (registers, width) {
            (4, _) => self.rows::<4, 4>(first, out),
            (2, w) if w.is_multiple_of(8) => self.rows::<8, 2>(first, out),
            (2, w) if w.is_multiple_of(7) => self.rows::<7, 2>(first, out),
            (2, _) => self.rows::<4, 2>(first, out),
            (_, w) if w.is_multiple_of(16) => self.rows::<16, 1>(first, out),
            (_, w) if w.is_multiple_of(8) => self.rows::<8, 1>(first, out),
            (_, w) if w.is_multiple_of(7) => self.rows::<7, 1>(first, out),
            _ => self.rows::<4, 1>(first, out),
        }
    }

    /// `V` registers of channels, `R` pixels of a row at a time, of which a row holds a whole number.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn rows<const R: usize, const V: usize>(&self, first: usize, out: &mut [f32]) {
        let ([height, width], step) = (self.sizes.output, self.sizes.stride);
        let weights = &self.weights[first * self.taps.len()..][..V * LANES * self.taps.len()];
        assert!(width.is_multiple_of(R), "pixels of a row");
        for first_pixel in (0..height * width).step_by(R) {
            let (y, x) = (first_pixel / width, first_pixel % width);
            // SAFETY: `run` has checked the last pixel's last tap, and the output's end; no pixel is beyond its row.
            unsafe {
                let pixel = self.x.as_ptr().add((y * self.row + x) * step);
                let mut sums = [[_mm512_setzero_ps(); V]; R];
                let mut weight = weights.as_ptr();
                for tap in self.taps {
                    let read = pixel.add(*tap);
                    let mut w = [_mm512_setzero_ps(); V];
                    for (v, w) in w.iter_mut().enumerate() {
                        *w = _mm512_loadu_ps(weight.add(v * LANES));
                    }
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let value = _mm512_set1_ps(*read.add(r * step));
                        for (sum, w) in sums.iter_mut().zip(&w) {
                            *sum = _mm512_fmadd_ps(value, *w, *sum);
                        }
                    }
                    weight = weight.add(V * LANES);
                }
                for (r, sums) in sums.iter().enumerate() {
                    let to = out.as_mut_ptr().add((first_pixel + r) * V * LANES);
                    for (v, sum) in sums.iter().enumerate() {
                        _mm512_storeu_ps(to.add(v * LANES), *sum);
                    }
                }
            }
        }
    }
}

/// Gradient of the weights `[C_out, C_in, 3, 3]`; the same for any number of threads, as that of
/// [`columns`](super::columns::weight_gradient).
pub(super) fn weight_gradient(sizes: &Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let ([read, made], positions) = (sizes.channels, sizes.positions());
    let (lanes, per_task) = (wide(made), sizes.samples_per_task());
    let per_part = sizes.batch.div_ceil(per_task).div_ceil(parts(sizes)) * per_task;
    let chunks = x.par_chunks(per_part * sizes.sample_in()).zip(dy.par_chunks(per_part * sizes.sample_out()));
    let sums: Vec<Vec<f32>> = chunks
        .map_init(Space::default, |space, (x, dy)| {
            let mut sum = vec![0.0; read * TAPS * lanes];
            let tasks = x.chunks(per_task * sizes.sample_in()).zip(dy.chunks(per_task * sizes.sample_out()));
            for (x, dy) in tasks {
                let samples = dy.len() / sizes.sample_out();
                let x = pad(sizes, x, &mut space.padded);
                for (first, registers) in blocks(made, 2) {
                    let lanes = registers * LANES;
                    let gradient = of_length(&mut space.rows, samples * positions * lanes);
                    // Lanes beyond the last channel hold what was there before, and what is made of them is never read.
                    let maps = lanes.min(made - first);
                    for (to, from) in gradient.chunks_exact_mut(positions * lanes).zip(dy.chunks(sizes.sample_out())) {
                        // SAFETY: `fits` has seen the feature; sizes are checked inside.
                        #[allow(unsafe_code, reason = "as above")]
                        unsafe {
                            transpose(&from[first * positions..], [maps, positions], positions, to, lanes);
                        }
                    }
                    // SAFETY: as above.
                    #[allow(unsafe_code, reason = "as above")]
                    unsafe {
                        match registers {
                            2 => add_taps::<2>(sizes, samples, x, gradient, &mut sum, first),
                            _ => add_taps::<1>(sizes, samples, x, gradient, &mut sum, first),
                        }
                    }
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

/// Adds to `sum` `[C_in 9, wide]`, from lane `first` on, what some samples say: `x` padded maps, `dy`
/// `[samples, positions, 16 V]`.
#[allow(unsafe_code, reason = "vector instructions on pointers, whose ends are checked first")]
#[target_feature(enable = "avx512f")]
fn add_taps<const V: usize>(sizes: &Sizes, samples: usize, x: &[f32], dy: &[f32], sum: &mut [f32], first: usize) {
    let (padded, [height, width], [read, made]) = (Padded::new(sizes), sizes.output, sizes.channels);
    let last = ((height - 1) * padded.sides[1] + width - 1) * sizes.stride + 2 * padded.sides[1] + 2;
    assert!(x.len() >= padded.len(samples) && last < padded.map(), "padded maps");
    assert!(dy.len() >= samples * height * width * V * LANES, "gradient of an output");
    assert!(sum.len() == read * TAPS * wide(made) && first + V * LANES <= wide(made), "gradient of weights");
    for channel in 0..read {
        // SAFETY: ends of maps, gradient and sum have just been checked.
        unsafe { add_channel::<V>(sizes, samples, x, dy, sum, channel, first) };
    }
}

/// One input channel's nine taps and `V` registers of output channels.
///
/// # Safety
/// The slices hold what [`add_taps`] checks.
#[allow(unsafe_code, reason = "vector instructions on pointers")]
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn add_channel<const V: usize>(
    sizes: &Sizes,
    samples: usize,
    x: &[f32],
    dy: &[f32],
    sum: &mut [f32],
    channel: usize,
    first: usize,
) {
    let (padded, [height, width], step) = (Padded::new(sizes), sizes.output, sizes.stride);
    let (row, lanes) = (padded.sides[1], wide(sizes.channels[1]));
    let mut sums: [[__m512; V]; TAPS] = [[_mm512_setzero_ps(); V]; TAPS];
    // Rows of all samples, one after the other: plain loops, since what an iterator of pairs keeps costs registers.
    let mut gradient = dy.as_ptr();
    for row_of_all in 0..samples * height {
        let (map, y) = (row_of_all / height * padded.channels + channel, row_of_all % height);
        // SAFETY: the caller's promise.
        unsafe {
            let mut pixel = x.as_ptr().add(map * padded.map() + y * step * row);
            for _ in 0..width {
                let mut g = [_mm512_setzero_ps(); V];
                for (v, g) in g.iter_mut().enumerate() {
                    *g = _mm512_loadu_ps(gradient.add(v * LANES));
                }
                for (tap, sums) in sums.iter_mut().enumerate() {
                    let value = _mm512_set1_ps(*pixel.add(tap / 3 * row + tap % 3));
                    for (sum, g) in sums.iter_mut().zip(&g) {
                        *sum = _mm512_fmadd_ps(value, *g, *sum);
                    }
                }
                pixel = pixel.add(step);
                gradient = gradient.add(V * LANES);
            }
        }
    }
    for (tap, sums) in sums.iter().enumerate() {
        for (v, value) in sums.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                let to = sum.as_mut_ptr().add((channel * TAPS + tap) * lanes + first + v * LANES);
                _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), *value));
            }
        }
    }
}

/// `to[j][i] = from[i][j]` of a matrix `[rows, columns]` whose rows are `apart` from each other, to rows that are `apart_to`.
/// What `to` holds beyond those entries stays.
#[allow(unsafe_code, reason = "vector instructions on pointers, whose ends are checked first")]
#[target_feature(enable = "avx512f")]
fn transpose(from: &[f32], [rows, columns]: [usize; 2], apart: usize, to: &mut [f32], apart_to: usize) {
    let ends = |n: usize, m: usize, apart: usize| if n == 0 || m == 0 { 0 } else { (n - 1) * apart + m };
    assert!(ends(rows, columns, apart) <= from.len() && ends(columns, rows, apart_to) <= to.len(), "transpose");
    for i in (0..rows).step_by(LANES) {
        for j in (0..columns).step_by(LANES) {
            if i + LANES <= rows && j + LANES <= columns {
                // SAFETY: a whole tile within both, whose ends have just been checked.
                unsafe {
                    transpose_tile(
                        from.as_ptr().add(i * apart + j),
                        apart,
                        to.as_mut_ptr().add(j * apart_to + i),
                        apart_to,
                    );
                }
                continue;
            }
            for i in i..rows.min(i + LANES) {
                for j in j..columns.min(j + LANES) {
                    to[j * apart_to + i] = from[i * apart + j];
                }
            }
        }
    }
}

/// A tile of 16 x 16.
///
/// # Safety
/// 16 rows of 16 floats, `apart` and `apart_to` from each other, can be read and written.
#[allow(unsafe_code, reason = "vector instructions on pointers")]
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn transpose_tile(from: *const f32, apart: usize, to: *mut f32, apart_to: usize) {
    let pairs = |a: __m512, b: __m512| {
        let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
        (_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)))
    };
    let zero = _mm512_setzero_ps();
    let (mut a, mut b) = ([zero; LANES], [zero; LANES]);
    for (i, row) in a.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *row = unsafe { _mm512_loadu_ps(from.add(i * apart)) };
    }
    for i in 0..8 {
        b[2 * i] = _mm512_unpacklo_ps(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm512_unpackhi_ps(a[2 * i], a[2 * i + 1]);
    }
    // a[4 i + j]: in quarter q, column 4 q + j of rows 4 i to 4 i + 3.
    for i in 0..4 {
        (a[4 * i], a[4 * i + 1]) = pairs(b[4 * i], b[4 * i + 2]);
        (a[4 * i + 2], a[4 * i + 3]) = pairs(b[4 * i + 1], b[4 * i + 3]);
    }
    for j in 0..4 {
        let even = |x, y| _mm512_shuffle_f32x4::<0x88>(x, y);
        let odd = |x, y| _mm512_shuffle_f32x4::<0xdd>(x, y);
        let (low, high) = (even(a[j], a[4 + j]), even(a[8 + j], a[12 + j]));
        (b[j], b[8 + j]) = (even(low, high), odd(low, high));
        let (low, high) = (odd(a[j], a[4 + j]), odd(a[8 + j], a[12 + j]));
        (b[4 + j], b[12 + j]) = (even(low, high), odd(low, high));
    }
    for (i, row) in b.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(to.add(i * apart_to), *row) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns;
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
        // Every width of registers and of pixels, channels that fill no register, steps, and borders.
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
            if !std::arch::is_x86_feature_detected!("avx512f") {
                return;
            }
            assert!(fits(&sizes), "{sizes:?}");
            let x = numbers(sizes.batch * sizes.sample_in(), 5);
            let w = numbers(channels[0] * channels[1] * TAPS, 3);
            let dy = numbers(sizes.batch * sizes.sample_out(), 7);
            let what = |part: &str| format!("{part} of {channels:?} {side:?} step {stride} padding {padding}");
            close(&what("output"), &forward(&sizes, &x, &w), &columns::forward(&sizes, &x, &w));
            let dw = columns::weight_gradient(&sizes, &x, &dy);
            close(&what("gradient of the weights"), &weight_gradient(&sizes, &x, &dy), &dw);
            if fits_input_gradient(&sizes) {
                let dx = columns::input_gradient(&sizes, &w, &dy);
                close(&what("gradient of the input"), &input_gradient(&sizes, &w, &dy), &dx);
            }
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
