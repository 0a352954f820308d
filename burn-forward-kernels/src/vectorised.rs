//! Loops for the widest vector registers of the processor that runs them.

/// Calls `work`, compiled for AVX-512 or AVX2 where this processor has them, as far as it is inlined here.
///
/// Results do not depend on the registers: the compiler fuses no multiplication with an addition.
#[inline]
pub(crate) fn vectorised<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "the only way to use what the processor has and the target need not have")]
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
            // SAFETY: the processor has been asked.
            return unsafe { with_avx512(work) };
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has been asked.
            return unsafe { with_avx2(work) };
        }
    }
    work()
}
