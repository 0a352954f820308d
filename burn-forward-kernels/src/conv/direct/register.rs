//! A common interface for the vector registers of x86-64 processors.

use std::arch::x86_64::{
    __m256, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_add_ps,
    _mm512_castpd_ps, _mm512_castps_pd, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
    _mm512_unpacklo_ps,
};

/// Vector registers of one kind. A value of such a type can only be created by [`detect`](Self::detect), so it proves that this
/// processor has them. The caller is therefore only responsible for pointers.
///
/// All methods should be called within [`vectorised`](Self::vectorised), where they compile to single instructions.
pub(super) trait Registers: Copy + Send + Sync {
    /// The content of a register.
    type Vector: Copy;
    /// Number of floats in a register.
    const LANES: usize;
    /// Number of registers of the processor.
    const COUNT: usize;

    /// The registers, if this processor has them.
    fn detect() -> Option<Self>;
    /// Calls `f`, compiled for such a processor to the extent that it is inlined here.
    fn vectorised<T>(self, f: impl FnOnce() -> T) -> T;
    fn zero(self) -> Self::Vector;
    /// The same number in all lanes.
    fn splat(self, value: f32) -> Self::Vector;
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a b + sum`.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, sum: Self::Vector) -> Self::Vector;
    /// Loads `LANES` numbers from `from`.
    ///
    /// # Safety
    /// They must be readable.
    #[allow(unsafe_code, reason = "through a pointer")]
    unsafe fn load(self, from: *const f32) -> Self::Vector;
    /// Writes `LANES` numbers to `to`.
    ///
    /// # Safety
    /// They must be writable.
    #[allow(unsafe_code, reason = "through a pointer")]
    unsafe fn store(self, vector: Self::Vector, to: *mut f32);
    /// `to[j][i] = from[i][j]` for a tile of `LANES` x `LANES`, whose rows are `apart` and `apart_to` numbers from each other.
    ///
    /// # Safety
    /// `LANES` rows of `LANES` numbers must be readable at `from` and writable at `to`.
    #[allow(unsafe_code, reason = "through pointers")]
    unsafe fn transpose_tile(self, from: *const f32, apart: usize, to: *mut f32, apart_to: usize);
}

/// The number of channels, rounded up to complete registers.
pub(super) fn wide<L: Registers>(channels: usize) -> usize {
    channels.next_multiple_of(L::LANES)
}

/// Registers with 16 numbers, of processors with AVX-512.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

#[allow(unsafe_code, reason = "needed for instructions that the compilation target need not have")]
impl Registers for Avx512 {
    type Vector = __m512;
    const LANES: usize = 16;
    const COUNT: usize = 32;

    fn detect() -> Option<Self> {
        (std::arch::is_x86_feature_detected!("avx512f")).then_some(Self(()))
    }

    #[inline]
    fn vectorised<T>(self, f: impl FnOnce() -> T) -> T {
        #[target_feature(enable = "avx512f")]
        #[inline]
        fn inside<T>(f: impl FnOnce() -> T) -> T {
            f()
        }
        // SAFETY: `self` exists, so `detect` has found avx512f here.
        unsafe { inside(f) }
    }

    #[inline(always)]
    fn zero(self) -> __m512 {
        // SAFETY: `self` exists, so `detect` has found avx512f here.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self` exists, so `detect` has found avx512f here.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` exists, so `detect` has found avx512f here.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, sum: __m512) -> __m512 {
        // SAFETY: `self` exists, so `detect` has found avx512f here.
        unsafe { _mm512_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        // SAFETY: `self` exists, so `detect` has found avx512f here; the caller promises 16 numbers at `from`, at any address.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, vector: __m512, to: *mut f32) {
        // SAFETY: `self` exists, so `detect` has found avx512f here; the caller promises room for 16 numbers at `to`, at any
        // address.
        unsafe { _mm512_storeu_ps(to, vector) }
    }

    #[inline(always)]
    unsafe fn transpose_tile(self, from: *const f32, apart: usize, to: *mut f32, apart_to: usize) {
        // SAFETY: `self` exists, so `detect` has found avx512f here; the caller promises 16 rows of 16 numbers at both ends.
        unsafe { transpose_16(from, apart, to, apart_to) }
    }
}

/// Registers with 8 numbers, of processors with AVX2 and fused multiply-add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

#[allow(unsafe_code, reason = "needed for instructions that the compilation target need not have")]
impl Registers for Avx2 {
    type Vector = __m256;
    const LANES: usize = 8;
    const COUNT: usize = 16;

    fn detect() -> Option<Self> {
        (std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    #[inline]
    fn vectorised<T>(self, f: impl FnOnce() -> T) -> T {
        #[target_feature(enable = "avx2,fma")]
        #[inline]
        fn inside<T>(f: impl FnOnce() -> T) -> T {
            f()
        }
        // SAFETY: `self` exists, so `detect` has found avx2,fma here.
        unsafe { inside(f) }
    }

    #[inline(always)]
    fn zero(self) -> __m256 {
        // SAFETY: `self` exists, so `detect` has found avx2,fma here.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: `self` exists, so `detect` has found avx2,fma here.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` exists, so `detect` has found avx2,fma here.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, sum: __m256) -> __m256 {
        // SAFETY: `self` exists, so `detect` has found avx2,fma here.
        unsafe { _mm256_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: `self` exists, so `detect` has found avx2,fma here; the caller promises 8 numbers at `from`, at any address.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, vector: __m256, to: *mut f32) {
        // SAFETY: `self` exists, so `detect` has found avx2,fma here; the caller promises room for 8 numbers at `to`, at any
        // address.
        unsafe { _mm256_storeu_ps(to, vector) }
    }

    #[inline(always)]
    unsafe fn transpose_tile(self, from: *const f32, apart: usize, to: *mut f32, apart_to: usize) {
        // SAFETY: `self` exists, so `detect` has found avx2,fma here; the caller promises 8 rows of 8 numbers at both ends.
        unsafe { transpose_8(from, apart, to, apart_to) }
    }
}

/// Transposes a tile of 16 x 16.
///
/// # Safety
/// 16 rows of 16 floats, at distances of `apart` and `apart_to` numbers, must be readable and writable.
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
        // SAFETY: by the caller's promise.
        unsafe { _mm512_storeu_ps(to.add(i * apart_to), *row) };
    }
}

/// Transposes a tile of 8 x 8.
///
/// # Safety
/// 8 rows of 8 floats, at distances of `apart` and `apart_to` numbers, must be readable and writable.
#[allow(unsafe_code, reason = "vector instructions on pointers")]
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn transpose_8(from: *const f32, apart: usize, to: *mut f32, apart_to: usize) {
    let zero = _mm256_setzero_ps();
    let (mut a, mut b) = ([zero; 8], [zero; 8]);
    for (i, row) in a.iter_mut().enumerate() {
        // SAFETY: by the caller's promise.
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
        // SAFETY: by the caller's promise.
        unsafe { _mm256_storeu_ps(to.add(i * apart_to), *row) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(unsafe_code, reason = "as above")]
    fn transposes<L: Registers>() {
        let Some(registers) = L::detect() else { return };
        let (apart, apart_to) = (L::LANES + 3, L::LANES + 5);
        let from: Vec<f32> = (0..L::LANES * apart).map(|i| i as f32).collect();
        let mut to = vec![-1.0; L::LANES * apart_to];
        // SAFETY: both matrices contain all rows.
        registers.vectorised(|| unsafe { registers.transpose_tile(from.as_ptr(), apart, to.as_mut_ptr(), apart_to) });
        for (j, row) in to.chunks_exact(apart_to).enumerate() {
            for (i, value) in row.iter().enumerate() {
                assert_eq!(*value, if i < L::LANES { (i * apart + j) as f32 } else { -1.0 }, "{i} {j}");
            }
        }
    }

    #[test]
    fn tiles_are_transposed() {
        transposes::<Avx512>();
        transposes::<Avx2>();
    }
}
