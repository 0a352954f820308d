//! Means over windows that cover the maps without overlap.

use rayon::prelude::*;

use super::norm::MapSizes;

/// Mean of every `window x window` square: `[B, C, H, W]` to `[B, C, H / window, W / window]`; `width` is `W`.
pub(super) fn forward(sizes: MapSizes, width: usize, window: usize, x: &[f32]) -> Vec<f32> {
    let positions = sizes.positions / (window * window);
    let (out_width, share) = (width / window, 1.0 / (window * window) as f32);
    let mut y = vec![0.0; sizes.batch * sizes.channels * positions];
    y.par_chunks_mut(positions.max(1)).zip(x.par_chunks(sizes.positions.max(1))).for_each(|(y, x)| {
        for (y, rows) in y.chunks_mut(out_width).zip(x.chunks(width * window)) {
            for row in rows.chunks(width) {
                match window {
                    // The most common size, with a length that is known at compile time.
                    2 => y.iter_mut().zip(row.chunks_exact(2)).for_each(|(y, part)| *y += part[0] + part[1]),
                    _ => y.iter_mut().zip(row.chunks(window)).for_each(|(y, part)| *y += part.iter().sum::<f32>()),
                }
            }
            y.iter_mut().for_each(|y| *y *= share);
        }
    });
    y
}

/// Gradient of the maps.
pub(super) fn backward(sizes: MapSizes, width: usize, window: usize, dy: &[f32]) -> Vec<f32> {
    let positions = sizes.positions / (window * window);
    let (out_width, share) = (width / window, 1.0 / (window * window) as f32);
    let mut dx = vec![0.0; sizes.batch * sizes.channels * sizes.positions];
    dx.par_chunks_mut(sizes.positions.max(1)).zip(dy.par_chunks(positions.max(1))).for_each(|(dx, dy)| {
        for (dy, rows) in dy.chunks(out_width).zip(dx.chunks_mut(width * window)) {
            for row in rows.chunks_mut(width) {
                match window {
                    2 => row.chunks_exact_mut(2).zip(dy).for_each(|(part, g)| part.copy_from_slice(&[g * share; 2])),
                    _ => row.chunks_mut(window).zip(dy).for_each(|(part, g)| part.fill(g * share)),
                }
            }
        }
    });
    dx
}
