//! How this process requests memory from the system.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod large;

/// Keeps freed blocks of memory below 4 MiB in the process, and [larger ones](large) as long as the peak does not rise.
///
/// Training frees and allocates tensors of a few MiB many times per step. glibc returns the top of its heap to the system as
/// soon as 128 KiB of it are free, and then the next tensor needs new pages, which the kernel has to clear: an epoch of an MLP
/// 2x1000 on MNIST took 8.4 s instead of 6.7 s. On the other hand, when glibc sees larger blocks being freed, it raises the
/// size above which it returns blocks, up to 32 MiB. The activations of one block would then still count while another block
/// learns, and the lower peak of local learning would not be visible. For this reason, glibc does not manage larger blocks.
///
/// Environment variables (`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`) take precedence.
pub(crate) fn keep_small_return_large() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const KEPT: libc::c_int = 16 << 20;
        if ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"].iter().any(|name| std::env::var_os(name).is_some()) {
            return;
        }
        // SAFETY: called before there are other threads; both parameters exist in every glibc and accept any value.
        #[allow(unsafe_code, reason = "mallopt is a C function")]
        unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
            libc::mallopt(libc::M_MMAP_THRESHOLD, large::LARGE as libc::c_int);
        }
        large::keep();
        burn_forward_train::training::before_peak_memory_is_reset(large::release);
    }
}
