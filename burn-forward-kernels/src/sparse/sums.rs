//! Sums over the entries of compressed rows, and dot products.

use super::compressed::Compressed;

/// Smallest number of rows per thread: with fewer, distributing the work costs more than the work itself.
pub(crate) const ROWS: usize = 256;

/// Distance between the entry that is added and the entry whose row is prefetched. Entries point to arbitrary rows, so a
/// processor cannot predict the next read.
pub(super) const AHEAD: usize = 8;

/// Number of single-precision numbers in a cache line.
#[cfg(target_arch = "x86_64")]
const NUMBERS_OF_A_LINE: usize = 16;

/// A dot product with eight partial sums; a single sum would wait for every addition.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_with(a, b, |a, b, sum| sum + a * b)
}

/// [`dot`] with a fused multiply-add instruction.
#[inline(always)]
pub(super) fn dot_with(a: &[f32], b: &[f32], add: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum = add(*a, *b, *sum));
    }
    sums.iter().sum::<f32>() + rest
}

/// `sum_k f_kh x_k` over the entries `k` of a row, with one factor per entry and head.
pub(super) struct RowSum<'a> {
    pub(super) s: &'a Compressed,
    pub(super) x: &'a [f32],
    pub(super) width: usize,
    /// `[entries, heads]`, starting with the entry `first_entry`.
    pub(super) factors: &'a [f32],
    pub(super) first_entry: usize,
    pub(super) heads: usize,
}

impl RowSum<'_> {
    /// Fills the rows from `first` on.
    ///
    /// The number of columns processed at a time is that of the sums in half of the registers. Entries point to arbitrary rows,
    /// and the more is read per entry, the less its access time matters.
    pub(super) fn rows(&self, first: usize, out: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512f") {
            #[allow(unsafe_code, reason = "needed for instructions that the compilation target need not have")]
            // SAFETY: the processor has AVX-512.
            return unsafe { self.rows_avx512(first, out) };
        } else if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            #[allow(unsafe_code, reason = "needed for instructions that the compilation target need not have")]
            // SAFETY: the processor has AVX2 and FMA.
            return unsafe { self.rows_avx2(first, out) };
        }
        self.by_columns(first, out, 32, |factor, x, sum| sum + factor * x);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn rows_avx512(&self, first: usize, out: &mut [f32]) {
        self.by_columns(first, out, 128, |factor, x, sum| factor.mul_add(x, sum));
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn rows_avx2(&self, first: usize, out: &mut [f32]) {
        self.by_columns(first, out, 64, |factor, x, sum| factor.mul_add(x, sum));
    }

    #[inline(always)]
    fn by_columns(&self, first: usize, out: &mut [f32], widest: usize, add: impl Fn(f32, f32, f32) -> f32 + Copy) {
        let head = self.width / self.heads;
        for h in 0..self.heads {
            let (mut start, end) = (h * head, (h + 1) * head);
            while start < end {
                start += match end - start {
                    128.. if widest >= 128 => self.columns::<128>(first, out, h, start, add),
                    64.. if widest >= 64 => self.columns::<64>(first, out, h, start, add),
                    32.. => self.columns::<32>(first, out, h, start, add),
                    8.. => self.columns::<8>(first, out, h, start, add),
                    few => {
                        for (i, out) in (first..).zip(out.chunks_exact_mut(self.width)) {
                            self.add_entries(i, h, start, &mut out[start..end], add);
                        }
                        few
                    }
                };
            }
        }
    }

    /// Sums `N` columns of all rows; returns `N`.
    #[inline(always)]
    fn columns<const N: usize>(
        &self,
        first: usize,
        out: &mut [f32],
        h: usize,
        start: usize,
        add: impl Fn(f32, f32, f32) -> f32 + Copy,
    ) -> usize {
        for (i, out) in (first..).zip(out.chunks_exact_mut(self.width)) {
            let mut sums = [0.0f32; N];
            self.add_entries(i, h, start, &mut sums, add);
            out[start..start + N].copy_from_slice(&sums);
        }
        N
    }

    #[inline(always)]
    fn add_entries(&self, i: usize, h: usize, start: usize, sums: &mut [f32], add: impl Fn(f32, f32, f32) -> f32) {
        for k in self.s.offsets[i]..self.s.offsets[i + 1] {
            if let Some(place) = self.s.indices.get(k + AHEAD) {
                ask_for(self.x, *place as usize * self.width + start, sums.len());
            }
            let factor = self.factors[(k - self.first_entry) * self.heads + h];
            let x = &self.x[self.s.indices[k] as usize * self.width + start..][..sums.len()];
            sums.iter_mut().zip(x).for_each(|(sum, x)| *sum = add(factor, *x, *sum));
        }
    }
}

/// Prefetches `count` numbers of `x` from `from` on, if there is an instruction for this.
#[inline(always)]
pub(super) fn ask_for(x: &[f32], from: usize, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..count).step_by(NUMBERS_OF_A_LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[allow(unsafe_code, reason = "the instruction is only available as an intrinsic")]
        // SAFETY: a prefetch reads nothing, whatever the address; every processor of this kind supports it.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(from + line).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (x, from, count);
}
