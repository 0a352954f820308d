//! How this process asks the system for memory.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod large;

/// Keeps freed blocks of less than 4 MiB in the process, and [larger ones](large) as far as the peak does not rise.
///
/// Training frees and allocates tensors of some MiB many times per step. glibc gives the top of its heap back as soon as
/// 128 KiB of it are free, and the next tensor is built from new pages that the kernel has to clear: an epoch of an MLP
/// 2x1000 on MNIST took 8.4 s instead of 6.7 s. On the other hand glibc raises the size from which it hands blocks back up
/// to 32 MiB as it sees them freed: the activations of one block would go on counting while another block learns, and a
/// peak that local learning lowers would not be seen to be lower. So larger blocks are not glibc's business.
///
/// Settings of the environment (`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`) win.
pub(crate) fn keep_small_return_large() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const KEPT: libc::c_int = 16 << 20;
        if ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"].iter().any(|name| std::env::var_os(name).is_some()) {
            return;
        }
        // SAFETY: called before any other thread is there; both parameters exist in every glibc and take any value.
        #[allow(unsafe_code, reason = "mallopt is a C function")]
        unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
            libc::mallopt(libc::M_MMAP_THRESHOLD, large::LARGE as libc::c_int);
        }
        large::keep();
        burn_forward_train::training::before_peak_memory_is_reset(large::release);
    }
}
