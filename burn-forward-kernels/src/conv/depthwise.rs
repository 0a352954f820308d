//! Convolution with a separate kernel for every channel, plane by plane.
//!
//! A plane is copied into a zero-padded one. At stride 1, an output position and the pixel that a tap reads are then at a fixed
//! distance, so each tap is a single pass over two long arrays. For other strides, the same is done on the grid of stride 1,
//! and every `stride`-th position is used.

use rayon::prelude::*;

use super::geometry::Sizes;

/// A zero-padded plane, and a plane on the grid of output positions at stride 1 with rows of the same length.
struct Planes {
    width: usize,
    rows: usize,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl Planes {
    fn new(sizes: &Sizes) -> Self {
        let [height, width] = sizes.input.map(|side| side + 2 * sizes.padding);
        let rows = (height + 1).saturating_sub(sizes.kernel[0]);
        // A tap reads up to `k_w - 1` numbers beyond the last row.
        let input = vec![0.0; height * width + sizes.kernel[1]];
        Self { width, rows, input, output: vec![0.0; rows * width] }
    }

    /// Distance between a position and the pixel that a tap reads for it.
    fn shift(&self, sizes: &Sizes, tap: usize) -> usize {
        tap / sizes.kernel[1] * self.width + tap % sizes.kernel[1]
    }

    fn load_input(&mut self, sizes: &Sizes, x: &[f32]) {
        let (p, width) = (sizes.padding, sizes.input[1]);
        for (y, row) in x.chunks(width).enumerate() {
            self.input[(y + p) * self.width + p..][..width].copy_from_slice(row);
        }
    }

    fn store_input(&self, sizes: &Sizes, x: &mut [f32]) {
        let (p, width) = (sizes.padding, sizes.input[1]);
        for (y, row) in x.chunks_mut(width).enumerate() {
            row.copy_from_slice(&self.input[(y + p) * self.width + p..][..width]);
        }
    }

    /// Positions that the stride skips, and those beyond the end of a row, are set to 0.
    fn load_output(&mut self, sizes: &Sizes, y: &[f32]) {
        self.output.fill(0.0);
        for (i, row) in y.chunks(sizes.output[1]).enumerate() {
            let to = &mut self.output[i * sizes.stride * self.width..];
            to.iter_mut().step_by(sizes.stride).zip(row).for_each(|(t, f)| *t = *f);
        }
    }

    fn store_output(&self, sizes: &Sizes, y: &mut [f32]) {
        for (i, row) in y.chunks_mut(sizes.output[1]).enumerate() {
            let from = &self.output[i * sizes.stride * self.width..];
            row.iter_mut().zip(from.iter().step_by(sizes.stride)).for_each(|(t, f)| *t = *f);
        }
    }

    fn len(&self) -> usize {
        self.rows * self.width
    }
}

/// `Y` `[B, C, H', W']` for `x` `[B, C, H, W]` and `w` `[C, 1, k_h, k_w]`.
pub(super) fn forward(sizes: &Sizes, x: &[f32], w: &[f32]) -> Vec<f32> {
    let taps = sizes.depth();
    let mut y = vec![0.0; sizes.batch * sizes.sample_out()];
    let planes = y.par_chunks_mut(sizes.positions()).zip(x.par_chunks(sizes.pixels())).enumerate();
    planes.for_each_init(
        || Planes::new(sizes),
        |planes, (i, (y, x))| {
            let kernel = &w[i % sizes.groups * taps..][..taps];
            planes.load_input(sizes, x);
            planes.output.fill(0.0);
            for (tap, weight) in kernel.iter().enumerate() {
                let from = &planes.input[planes.shift(sizes, tap)..];
                planes.output.iter_mut().zip(from).for_each(|(o, i)| *o += weight * i);
            }
            planes.store_output(sizes, y);
        },
    );
    y
}

/// Gradient of the weights `[C, 1, k_h, k_w]`; for every channel, samples are summed in order.
pub(super) fn weight_gradient(sizes: &Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let taps = sizes.depth();
    let mut dw = vec![0.0; sizes.groups * taps];
    dw.par_chunks_mut(taps).enumerate().for_each_init(
        || Planes::new(sizes),
        |planes, (channel, dw)| {
            for sample in 0..sizes.batch {
                let plane = sample * sizes.groups + channel;
                planes.load_input(sizes, &x[plane * sizes.pixels()..][..sizes.pixels()]);
                planes.load_output(sizes, &dy[plane * sizes.positions()..][..sizes.positions()]);
                for (tap, sum) in dw.iter_mut().enumerate() {
                    let shift = planes.shift(sizes, tap);
                    *sum += dot(&planes.output, &planes.input[shift..][..planes.len()]);
                }
            }
        },
    );
    dw
}

/// Gradient of the input `[B, C, H, W]`.
pub(super) fn input_gradient(sizes: &Sizes, w: &[f32], dy: &[f32]) -> Vec<f32> {
    let taps = sizes.depth();
    let mut dx = vec![0.0; sizes.batch * sizes.sample_in()];
    let planes = dx.par_chunks_mut(sizes.pixels()).zip(dy.par_chunks(sizes.positions())).enumerate();
    planes.for_each_init(
        || Planes::new(sizes),
        |planes, (i, (dx, dy))| {
            let kernel = &w[i % sizes.groups * taps..][..taps];
            planes.load_output(sizes, dy);
            planes.input.fill(0.0);
            for (tap, weight) in kernel.iter().enumerate() {
                let shift = planes.shift(sizes, tap);
                planes.input[shift..].iter_mut().zip(&planes.output).for_each(|(i, o)| *i += weight * o);
            }
            planes.store_input(sizes, dx);
        },
    );
    dx
}

/// Sum of products, in separate lanes so that the compiler can use wide registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}
