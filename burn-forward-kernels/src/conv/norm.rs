//! Batch normalisation of maps followed by an activation, channel by channel. Every sum takes one pass, and no temporary maps
//! are needed except the result.
//!
//! `y = f(z)`, `z = gamma u + beta`, `u = (x - m) / sqrt(v + eps)`, with the batch mean `m` and biased variance `v` of every
//! channel. With the gradient `dz = f'(z) dy`: `dbeta = sum dz`, `dgamma = sum dz u`,
//! `dx = gamma / sqrt(v + eps) (dz - dbeta / n - u dgamma / n)` for `n` values per channel (Ioffe and Szegedy 2015, arXiv
//! 1502.03167). Only `x` is kept for the backward pass; `z` is computed again.

use rayon::prelude::*;

use super::activation::FusedActivation;

/// Calls `$run` with `f` and `f'`, so that the compiler generates a loop for each function. NaN stays NaN.
macro_rules! with_activation {
    ($then:expr, |$f:ident, $derivative:ident| $run:expr) => {
        match $then {
            FusedActivation::Identity => {
                let ($f, $derivative) = (|z: f32| z, |_: f32| 1.0f32);
                $run
            }
            FusedActivation::Relu => {
                let ($f, $derivative) =
                    (|z: f32| if z < 0.0 { 0.0 } else { z }, |z: f32| if z > 0.0 { 1.0f32 } else { 0.0 });
                $run
            }
            FusedActivation::Relu6 => {
                let ($f, $derivative) =
                    (|z: f32| z.clamp(0.0, 6.0), |z: f32| if z > 0.0 && z < 6.0 { 1.0f32 } else { 0.0 });
                $run
            }
            FusedActivation::HardSwish => {
                let slope = |z: f32| if z <= -3.0 { 0.0 } else { (2.0 * z + 3.0) / 6.0 };
                let ($f, $derivative) = (
                    |z: f32| z * (z + 3.0).clamp(0.0, 6.0) / 6.0,
                    move |z: f32| if z >= 3.0 { 1.0f32 } else { slope(z) },
                );
                $run
            }
        }
    };
}

/// The sizes of maps `[B, C, H, W]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct MapSizes {
    pub(super) batch: usize,
    pub(super) channels: usize,
    /// `H W`.
    pub(super) positions: usize,
}

impl MapSizes {
    /// The maps of one channel, sample after sample.
    fn maps(self, channel: usize, x: &[f32]) -> impl Iterator<Item = &[f32]> {
        let MapSizes { batch, channels, positions } = self;
        (0..batch).map(move |sample| &x[(sample * channels + channel) * positions..][..positions])
    }

    fn count(self) -> f64 {
        (self.batch * self.positions) as f64
    }
}

/// Sum of `f` over the numbers of two maps, in separate lanes so that the compiler can use wide registers.
fn sum_of(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| f64::from(f(*a, *b))).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += f(a[lane], b[lane]);
        }
    }
    sums.iter().map(|s| f64::from(*s)).sum::<f64>() + rest
}

/// Mean and biased variance of every channel `[C]`.
pub(super) fn statistics(sizes: MapSizes, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let of_channel = |channel| {
        let mean = sizes.maps(channel, x).map(|map| sum_of(map, map, |v, _| v)).sum::<f64>() / sizes.count();
        let m = mean as f32;
        let squares = sizes.maps(channel, x).map(|map| sum_of(map, map, |v, _| (v - m) * (v - m))).sum::<f64>();
        (m, (squares / sizes.count()) as f32)
    };
    (0..sizes.channels).into_par_iter().map(of_channel).unzip()
}

/// `1 / sqrt(v + eps)`.
fn inverse_deviation(variance: f32, epsilon: f64) -> f32 {
    (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32
}

/// The parameters and statistics of a batch normalisation for every channel `[C]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channels<'a> {
    pub(super) gamma: &'a [f32],
    pub(super) beta: &'a [f32],
    pub(super) mean: &'a [f32],
    pub(super) variance: &'a [f32],
    pub(super) epsilon: f64,
}

impl Channels<'_> {
    /// Mean, scale and shift of `z = (x - mean) scale + shift`.
    fn affine(&self, c: usize) -> [f32; 3] {
        [self.mean[c], self.gamma[c] * inverse_deviation(self.variance[c], self.epsilon), self.beta[c]]
    }
}

/// The normalised maps after their activation.
pub(super) fn forward(sizes: MapSizes, x: &[f32], channels: Channels<'_>, then: FusedActivation) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    let maps = y.par_chunks_mut(sizes.positions.max(1)).zip(x.par_chunks(sizes.positions.max(1))).enumerate();
    with_activation!(then, |f, _derivative| maps.for_each(|(i, (y, x))| {
        let [mean, scale, shift] = channels.affine(i % sizes.channels);
        y.iter_mut().zip(x).for_each(|(y, x)| *y = f((x - mean) * scale + shift));
    }));
    y
}

/// Gradients of the maps, of gamma and of beta.
pub(super) fn backward(
    sizes: MapSizes,
    x: &[f32],
    channels: Channels<'_>,
    then: FusedActivation,
    dy: &[f32],
) -> [Vec<f32>; 3] {
    with_activation!(then, |_f, derivative| backward_by(sizes, x, channels, derivative, dy))
}

fn backward_by(
    sizes: MapSizes,
    x: &[f32],
    channels: Channels<'_>,
    derivative: impl Fn(f32) -> f32 + Sync + Copy,
    dy: &[f32],
) -> [Vec<f32>; 3] {
    let sums = |c: usize| {
        let [mean, scale, shift] = channels.affine(c);
        let inverse = f64::from(inverse_deviation(channels.variance[c], channels.epsilon));
        let (mut gamma, mut beta) = (0.0, 0.0);
        for (x, dy) in sizes.maps(c, x).zip(sizes.maps(c, dy)) {
            let dz = move |v: f32, g: f32| g * derivative((v - mean) * scale + shift);
            beta += sum_of(x, dy, dz);
            gamma += sum_of(x, dy, |v, g| (v - mean) * dz(v, g));
        }
        ((gamma * inverse) as f32, beta as f32)
    };
    let (dgamma, dbeta): (Vec<f32>, Vec<f32>) = (0..sizes.channels).into_par_iter().map(sums).unzip();
    let mut dx = vec![0.0; x.len()];
    let maps = dx.par_chunks_mut(sizes.positions.max(1)).enumerate();
    maps.for_each(|(i, dx)| {
        let c = i % sizes.channels;
        let (x, dy) = (&x[i * sizes.positions..], &dy[i * sizes.positions..]);
        let [mean, scale, shift] = channels.affine(c);
        let inverse = inverse_deviation(channels.variance[c], channels.epsilon);
        let level = (f64::from(dbeta[c]) / sizes.count()) as f32;
        let slope = (f64::from(dgamma[c]) / sizes.count()) as f32 * inverse;
        dx.iter_mut().zip(x).zip(dy).for_each(|((d, x), g)| {
            let centred = x - mean;
            *d = scale * (g * derivative(centred * scale + shift) - level - centred * slope);
        });
    });
    [dx, dgamma, dbeta]
}
