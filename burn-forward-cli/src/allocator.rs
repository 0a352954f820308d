//! What the C library's allocator does with large blocks.

/// Has blocks of a mebibyte and more returned to the system when they are freed.
///
/// By default glibc raises the size from which it does that up to 32 MiB as blocks are freed, and keeps twice as much at
/// the end of its heap: the activations of one block would then go on counting while another block learns, and a peak
/// that local learning lowers would not be seen to be lower.
pub(crate) fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "the C library's own setting; there is no other way to it")]
    // SAFETY: `mallopt` takes any two numbers, and no other thread is there yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 8 << 20);
    }
}
