//! Operations within registers: sums over taps, and transposition.

use super::super::columns::Padded;
use super::super::geometry::Sizes;
use super::register::{Registers, wide};

/// Number of taps of a kernel.
pub(super) const TAPS: usize = 9;

/// The convolution of one sample.
pub(super) struct Work<'a> {
    pub(super) sizes: &'a Sizes,
    /// Padded maps.
    pub(super) x: &'a [f32],
    /// The offset that every tap of every channel reads for the first pixel.
    pub(super) taps: &'a [usize],
    /// The weights in the order of `super::packed`.
    pub(super) weights: &'a [f32],
    /// Width of a padded map.
    pub(super) row: usize,
}

#[allow(unsafe_code, reason = "vector instructions on pointers, whose bounds are checked first")]
impl Work<'_> {
    /// Fills `out` `[positions, count LANES]` with the channels from `first` on, `count` registers at a time.
    pub(super) fn run<L: Registers>(&self, registers: L, first: usize, count: usize, out: &mut [f32]) {
        let [height, width] = self.sizes.output;
        let last = (height - 1) * self.sizes.stride * self.row + (width - 1) * self.sizes.stride;
        let reach = self.taps.last().map_or(0, |tap| tap + last + 1);
        assert!(reach <= self.x.len(), "convolution of padded maps");
        assert!(out.len() >= height * width * count * L::LANES, "output of a convolution");
        let many = L::COUNT >= 32;
        match (count, width) {
            (4, _) => self.rows::<L, 4, 4>(registers, first, out),
            (2, w) if many && w.is_multiple_of(8) => self.rows::<L, 8, 2>(registers, first, out),
            (2, w) if many && w.is_multiple_of(7) => self.rows::<L, 7, 2>(registers, first, out),
            (2, _) => self.rows::<L, 4, 2>(registers, first, out),
            (_, w) if many && w.is_multiple_of(16) => self.rows::<L, 16, 1>(registers, first, out),
            (_, w) if w.is_multiple_of(8) => self.rows::<L, 8, 1>(registers, first, out),
            (_, w) if w.is_multiple_of(7) => self.rows::<L, 7, 1>(registers, first, out),
            _ => self.rows::<L, 4, 1>(registers, first, out),
        }
    }

    /// Computes `V` registers of channels, for `R` pixels of a row at a time; the width must be a multiple of `R`.
    fn rows<L: Registers, const R: usize, const V: usize>(&self, registers: L, first: usize, out: &mut [f32]) {
        let ([height, width], step) = (self.sizes.output, self.sizes.stride);
        let weights = &self.weights[first * self.taps.len()..][..V * L::LANES * self.taps.len()];
        assert!(width.is_multiple_of(R), "pixels of a row");
        registers.vectorised(
            #[inline(always)]
            || {
                for first_pixel in (0..height * width).step_by(R) {
                    let (y, x) = (first_pixel / width, first_pixel % width);
                    // SAFETY: `run` has checked the last tap of the last pixel and the end of the output. The width is a
                    // multiple of `R`, so no pixel is beyond its row, and all have a place in `out`.
                    unsafe {
                        let out = out.as_mut_ptr().add(first_pixel * V * L::LANES);
                        let pixel = self.x.as_ptr().add((y * self.row + x) * step);
                        self.pixels::<L, R, V>(registers, pixel, weights.as_ptr(), out);
                    }
                }
            },
        );
    }

    /// Computes `R` pixels of a row, the first of which is at `pixel`.
    ///
    /// # Safety
    /// All taps of the pixels, the weights of `V` registers, and `out` `[R, V LANES]` must be valid.
    #[inline(always)]
    unsafe fn pixels<L: Registers, const R: usize, const V: usize>(
        &self,
        registers: L,
        pixel: *const f32,
        mut weight: *const f32,
        out: *mut f32,
    ) {
        // SAFETY: by the caller's promise.
        unsafe {
            let mut sums = [[registers.zero(); V]; R];
            for tap in self.taps {
                let read = pixel.add(*tap);
                let mut w = [registers.zero(); V];
                for (v, w) in w.iter_mut().enumerate() {
                    *w = registers.load(weight.add(v * L::LANES));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let value = registers.splat(*read.add(r * self.sizes.stride));
                    for (sum, w) in sums.iter_mut().zip(&w) {
                        *sum = registers.mul_add(value, *w, *sum);
                    }
                }
                weight = weight.add(V * L::LANES);
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    registers.store(*sum, out.add((r * V + v) * L::LANES));
                }
            }
        }
    }
}

/// Adds the gradients of some samples to `sum` `[C_in 9, wide]`, from lane `first` on, `count` registers at a time. `x`
/// contains padded maps, and `dy` is `[samples, positions, count LANES]`.
#[allow(unsafe_code, reason = "vector instructions on pointers, whose bounds are checked first")]
#[allow(clippy::too_many_arguments, reason = "three slices and the sizes of their contents")]
pub(super) fn add_taps<L: Registers>(
    registers: L,
    sizes: &Sizes,
    samples: usize,
    x: &[f32],
    dy: &[f32],
    sum: &mut [f32],
    first: usize,
    count: usize,
) {
    let (padded, [height, width], [read, made]) = (Padded::new(sizes), sizes.output, sizes.channels);
    let last = ((height - 1) * padded.sides[1] + width - 1) * sizes.stride + 2 * padded.sides[1] + 2;
    assert!(x.len() >= padded.len(samples) && last < padded.map(), "padded maps");
    assert!(dy.len() >= samples * height * width * count * L::LANES, "gradient of an output");
    let lanes = wide::<L>(made);
    assert!(sum.len() == read * TAPS * lanes && first + count * L::LANES <= lanes, "gradient of weights");
    for channel in 0..read {
        registers.vectorised(
            #[inline(always)]
            || {
                // SAFETY: the bounds of maps, gradient and sum have just been checked.
                unsafe {
                    match count {
                        2 => add_channel::<L, 2>(registers, sizes, samples, x, dy, sum, channel, first),
                        _ => add_channel::<L, 1>(registers, sizes, samples, x, dy, sum, channel, first),
                    }
                }
            },
        );
    }
}

/// The nine taps of one input channel, for `V` registers of output channels.
///
/// # Safety
/// The slices must have the sizes that [`add_taps`] checks.
#[allow(unsafe_code, reason = "vector instructions on pointers")]
#[allow(clippy::too_many_arguments, reason = "as above")]
#[inline(always)]
unsafe fn add_channel<L: Registers, const V: usize>(
    registers: L,
    sizes: &Sizes,
    samples: usize,
    x: &[f32],
    dy: &[f32],
    sum: &mut [f32],
    channel: usize,
    first: usize,
) {
    let (padded, [height, width], step) = (Padded::new(sizes), sizes.output, sizes.stride);
    let (row, lanes) = (padded.sides[1], wide::<L>(sizes.channels[1]));
    // SAFETY: by the caller's promise.
    unsafe {
        let mut sums = [[registers.zero(); V]; TAPS];
        // The rows of all samples in sequence. These are plain loops, since the state of a zipped iterator would occupy
        // registers.
        let mut gradient = dy.as_ptr();
        for row_of_all in 0..samples * height {
            let (map, y) = (row_of_all / height * padded.channels + channel, row_of_all % height);
            let mut pixel = x.as_ptr().add(map * padded.map() + y * step * row);
            for _ in 0..width {
                let mut g = [registers.zero(); V];
                for (v, g) in g.iter_mut().enumerate() {
                    *g = registers.load(gradient.add(v * L::LANES));
                }
                for (tap, sums) in sums.iter_mut().enumerate() {
                    let value = registers.splat(*pixel.add(tap / 3 * row + tap % 3));
                    for (sum, g) in sums.iter_mut().zip(&g) {
                        *sum = registers.mul_add(value, *g, *sum);
                    }
                }
                pixel = pixel.add(step);
                gradient = gradient.add(V * L::LANES);
            }
        }
        for (tap, sums) in sums.iter().enumerate() {
            for (v, value) in sums.iter().enumerate() {
                let to = sum.as_mut_ptr().add((channel * TAPS + tap) * lanes + first + v * L::LANES);
                registers.store(registers.add(registers.load(to), *value), to);
            }
        }
    }
}

/// `to[j][i] = from[i][j]` for a matrix `[rows, columns]` whose rows are `apart` numbers from each other, written to rows that
/// are `apart_to` numbers from each other. Other entries of `to` do not change.
#[allow(unsafe_code, reason = "vector instructions on pointers, whose bounds are checked first")]
pub(super) fn transpose<L: Registers>(
    registers: L,
    from: &[f32],
    [rows, columns]: [usize; 2],
    apart: usize,
    to: &mut [f32],
    apart_to: usize,
) {
    let ends = |n: usize, m: usize, apart: usize| if n == 0 || m == 0 { 0 } else { (n - 1) * apart + m };
    assert!(ends(rows, columns, apart) <= from.len() && ends(columns, rows, apart_to) <= to.len(), "transpose");
    let (whole_rows, whole_columns) = (rows - rows % L::LANES, columns - columns % L::LANES);
    registers.vectorised(
        #[inline(always)]
        || {
            for i in (0..whole_rows).step_by(L::LANES) {
                for j in (0..whole_columns).step_by(L::LANES) {
                    // SAFETY: a complete tile within both, whose bounds have just been checked.
                    unsafe {
                        let (from, to) = (from.as_ptr().add(i * apart + j), to.as_mut_ptr().add(j * apart_to + i));
                        registers.transpose_tile(from, apart, to, apart_to);
                    }
                }
            }
        },
    );
    for i in 0..rows {
        let done = if i < whole_rows { whole_columns } else { 0 };
        for j in done..columns {
            to[j * apart_to + i] = from[i * apart + j];
        }
    }
}
