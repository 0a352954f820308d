//! Vector registers of x86-64 processors behind one interface.

use std::arch::x86_64::{
    __m256, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_add_ps,
    _mm512_castpd_ps, _mm512_castps_pd, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
    _mm512_unpacklo_ps,
};

/// A register of numbers.
///
/// # Safety
/// Everything but [`on_this_processor`](Self::on_this_processor) needs a processor that has such registers, and is to be
/// called inside [`vectorised`](Self::vectorised), where it is compiled to single instructions.
#[allow(unsafe_code, reason = "the only way to use what the processor has and the target need not have")]
pub(super) trait Register: Copy {
    /// Numbers in a register.
    const LANES: usize;
    /// Registers that the processor has.
    const REGISTERS: usize;

    /// Whether this processor has them.
    fn on_this_processor() -> bool;
    /// Calls `f`, compiled for such a processor as far as it is inlined here.
    unsafe fn vectorised<T>(f: impl FnOnce() -> T) -> T;
    unsafe fn zero() -> Self;
    /// The same number in all lanes.
    unsafe fn splat(value: f32) -> Self;
    /// `LANES` numbers from `from` on.
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    /// `self * factor + sum`.
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// `to[j][i] = from[i][j]` of a tile of `LANES` x `LANES`, whose rows are `apart` and `apart_to` from each other.
    unsafe fn transpose_tile(from: *const f32, apart: usize, to: *mut f32, apart_to: usize);
}

#[allow(unsafe_code, reason = "the only way to use what the processor has and the target need not have")]
impl Register for __m512 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;

    fn on_this_processor() -> bool {
        std::arch::is_x86_feature_detected!("avx512f")
    }

    #[inline]
    unsafe fn vectorised<T>(f: impl FnOnce() -> T) -> T {
        #[target_feature(enable = "avx512f")]
        #[inline]
        fn inside<T>(f: impl FnOnce() -> T) -> T {
            f()
        }
        // SAFETY: the caller has such a processor.
        unsafe { inside(f) }
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: as above; so everywhere below.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        unsafe { _mm512_fmadd_ps(self, factor, sum) }
    }

    #[inline(always)]
    unsafe fn transpose_tile(from: *const f32, apart: usize, to: *mut f32, apart_to: usize) {
        unsafe { transpose_16(from, apart, to, apart_to) }
    }
}

#[allow(unsafe_code, reason = "the only way to use what the processor has and the target need not have")]
impl Register for __m256 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;

    fn on_this_processor() -> bool {
        std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
    }

    #[inline]
    unsafe fn vectorised<T>(f: impl FnOnce() -> T) -> T {
        #[target_feature(enable = "avx2,fma")]
        #[inline]
        fn inside<T>(f: impl FnOnce() -> T) -> T {
            f()
        }
        // SAFETY: the caller has such a processor.
        unsafe { inside(f) }
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: as above; so everywhere below.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        unsafe { _mm256_fmadd_ps(self, factor, sum) }
    }

    #[inline(always)]
    unsafe fn transpose_tile(from: *const f32, apart: usize, to: *mut f32, apart_to: usize) {
        unsafe { transpose_8(from, apart, to, apart_to) }
    }
}

/// A tile of 16 x 16.
///
/// # Safety
/// 16 rows of 16 floats, `apart` and `apart_to` from each other, can be read and written.
#[allow(unsafe_code, reason = "vector instructions on pointers")]
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn transpose_16(from: *const f32, apart: usize, to: *mut f32, apart_to: usize) {
    let pairs = |a: __m512, b: __m512| {
        let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
        (_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)))
    };
    let zero = _mm512_setzero_ps();
    let (mut a, mut b) = ([zero; 16], [zero; 16]);
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

/// A tile of 8 x 8.
///
/// # Safety
/// 8 rows of 8 floats, `apart` and `apart_to` from each other, can be read and written.
#[allow(unsafe_code, reason = "vector instructions on pointers")]
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn transpose_8(from: *const f32, apart: usize, to: *mut f32, apart_to: usize) {
    let zero = _mm256_setzero_ps();
    let (mut a, mut b) = ([zero; 8], [zero; 8]);
    for (i, row) in a.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *row = unsafe { _mm256_loadu_ps(from.add(i * apart)) };
    }
    // b[2 i], b[2 i + 1]: in each half, columns 0 and 1, and 2 and 3, of rows 2 i and 2 i + 1.
    for i in 0..4 {
        b[2 * i] = _mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
    }
    // a[4 i + j]: in half h, column 4 h + j of rows 4 i to 4 i + 3.
    for i in 0..2 {
        for j in 0..2 {
            a[4 * i + 2 * j] = _mm256_shuffle_ps::<0x44>(b[4 * i + j], b[4 * i + 2 + j]);
            a[4 * i + 2 * j + 1] = _mm256_shuffle_ps::<0xee>(b[4 * i + j], b[4 * i + 2 + j]);
        }
    }
    for j in 0..4 {
        b[j] = _mm256_permute2f128_ps::<0x20>(a[j], a[4 + j]);
        b[4 + j] = _mm256_permute2f128_ps::<0x31>(a[j], a[4 + j]);
    }
    for (i, row) in b.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_ps(to.add(i * apart_to), *row) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(unsafe_code, reason = "as above")]
    fn transposes<L: Register>() {
        if !L::on_this_processor() {
            return;
        }
        let (apart, apart_to) = (L::LANES + 3, L::LANES + 5);
        let from: Vec<f32> = (0..L::LANES * apart).map(|i| i as f32).collect();
        let mut to = vec![-1.0; L::LANES * apart_to];
        // SAFETY: the processor has been asked; both matrices hold all rows.
        unsafe { L::vectorised(|| L::transpose_tile(from.as_ptr(), apart, to.as_mut_ptr(), apart_to)) };
        for (j, row) in to.chunks_exact(apart_to).enumerate() {
            for (i, value) in row.iter().enumerate() {
                assert_eq!(*value, if i < L::LANES { (i * apart + j) as f32 } else { -1.0 }, "{i} {j}");
            }
        }
    }

    #[test]
    fn tiles_are_transposed() {
        transposes::<__m512>();
        transposes::<__m256>();
    }
}
