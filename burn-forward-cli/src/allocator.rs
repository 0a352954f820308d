//! How this process asks the system for memory.

/// Keeps freed blocks of less than 4 MiB in the process, and hands larger ones back to the system at once.
///
/// Training frees and allocates tensors of some MiB many times per step. glibc gives the top of its heap back as soon as
/// 128 KiB of it are free, and the next tensor is built from new pages that the kernel has to clear: an epoch of an MLP
/// 2x1000 on MNIST took 8.4 s instead of 6.7 s. On the other hand glibc raises the size from which it hands blocks back up
/// to 32 MiB as it sees them freed: the activations of one block would go on counting while another block learns, and a
/// peak that local learning lowers would not be seen to be lower.
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
            libc::mallopt(libc::M_MMAP_THRESHOLD, large_pages::LARGE as libc::c_int);
        }
    }
}

/// The system's allocator, asked for pages of 2 MiB where a block is large.
///
/// Large tensors come fresh from the kernel every time, which clears them page by page: with pages of 4 KiB a quarter of the
/// time of a step of a convolutional network goes into that.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) mod large_pages {
    use std::alloc::{GlobalAlloc, Layout, System};

    /// Blocks from this size on are large.
    pub(crate) const LARGE: usize = 4 << 20;
    const PAGE: usize = 4096;

    /// [`System`] with large pages.
    #[derive(Debug)]
    pub(crate) struct LargePages;

    #[global_allocator]
    static ALLOCATOR: LargePages = LargePages;

    fn advise(block: *mut u8, size: usize) {
        if size < LARGE || block.is_null() {
            return;
        }
        let skipped = block.addr().next_multiple_of(PAGE) - block.addr();
        // SAFETY: the range lies within a block that has just been allocated and that nobody else knows of; the advice changes
        // neither its address nor its contents, and a kernel that does not know it refuses, which is as good.
        #[allow(unsafe_code, reason = "madvise is a C function")]
        unsafe {
            libc::madvise(block.add(skipped).cast(), size - skipped, libc::MADV_HUGEPAGE);
        }
    }

    // SAFETY: every block is one of `System`, and is given back to it.
    #[allow(unsafe_code, reason = "what an allocator is")]
    unsafe impl GlobalAlloc for LargePages {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promises are those that `System` needs.
            let block = unsafe { System.alloc(layout) };
            advise(block, layout.size());
            block
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promises are those that `System` needs.
            let block = unsafe { System.alloc_zeroed(layout) };
            advise(block, layout.size());
            block
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: every block is one of `System`, of this layout by the caller's promise.
            unsafe { System.dealloc(block, layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: every block is one of `System`, of this layout by the caller's promise, which holds for `size`, too.
            unsafe { System.realloc(block, layout, size) }
        }
    }
}
