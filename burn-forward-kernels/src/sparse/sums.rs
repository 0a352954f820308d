//! Sums over the entries of compressed rows, and dot products.

use super::compressed::Compressed;

/// Rows that a thread takes at least: handing out fewer costs more than computing them.
pub(crate) const ROWS: usize = 256;

/// Entries between the one that is added and the one whose row is asked for: entries point anywhere, so that no processor
/// knows by itself what is read next.
pub(super) const AHEAD: usize = 8;

/// Single-precision numbers of a cache line.
#[cfg(target_arch = "x86_64")]
const NUMBERS_OF_A_LINE: usize = 16;

/// A sum in eight parts: one after the other would wait for each addition.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_with(a, b, |a, b, sum| sum + a * b)
}

/// [`dot`] with the instruction that multiplies and adds.
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

/// `sum_k f_kh x_k` over the entries `k` of a row, with a factor per entry and head.
pub(super) struct RowSum<'a> {
    pub(super) s: &'a Compressed,
    pub(super) x: &'a [f32],
    pub(super) width: usize,
    /// `[entries, heads]`, from the entry `first_entry` on.
    pub(super) factors: &'a [f32],
    pub(super) first_entry: usize,
    pub(super) heads: usize,
}

impl RowSum<'_> {
    /// Fills the rows from `first` on.
    ///
    /// As many columns at a time as half the registers hold sums of: entries point anywhere, and the more there is to read
    /// where one points, the less the way there counts.
    pub(super) fn rows(&self, first: usize, out: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512f") {
            #[allow(unsafe_code, reason = "the only way to use what the processor has and the target need not have")]
            // SAFETY: the processor has it.
            return unsafe { self.rows_avx512(first, out) };
        } else if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            #[allow(unsafe_code, reason = "the only way to use what the processor has and the target need not have")]
            // SAFETY: the processor has both.
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

    /// `N` columns of all rows; returns `N`.
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

/// Has `count` numbers of `x` from `from` on brought near, where there is an instruction for it.
#[inline(always)]
pub(super) fn ask_for(x: &[f32], from: usize, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..count).step_by(NUMBERS_OF_A_LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[allow(unsafe_code, reason = "the instruction has no other name")]
        // SAFETY: a prefetch reads nothing, whatever the address; every processor of the kind has it.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(from + line).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (x, from, count);
}
