//! Loops for the widest vector registers of the processor.

/// Calls `work`, compiled for AVX-512 or AVX2 if the processor supports it, to the extent that `work` is inlined here.
///
/// Results do not depend on the registers, because the compiler does not fuse multiplications with additions.
#[inline]
pub(crate) fn vectorised<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "needed for instructions that the compilation target need not have")]
    {
        #[target_feature(enable = "avx512f")]
        #[inline]
        fn with_avx512<T>(work: impl FnOnce() -> T) -> T {
            work()
        }
        #[target_feature(enable = "avx2")]
        #[inline]
        fn with_avx2<T>(work: impl FnOnce() -> T) -> T {
            work()
        }
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor supports it, as was just checked.
            return unsafe { with_avx512(work) };
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor supports it, as was just checked.
            return unsafe { with_avx2(work) };
        }
    }
    work()
}
