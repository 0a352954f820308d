//! How a training program may ask the system for memory.
//!
//! Training frees and allocates the same large tensors in every step. glibc hands each back to the system when it is freed,
//! and the kernel clears every page of the next one: a quarter of the time of a step, and more of a step of a local layer,
//! which holds less and so allocates more often for what it computes. An allocator that keeps all it ever had would do away with
//! that, and with what local learning is for: the activations of one block would go on counting while another block learns.
//!
//! [`LargeBlocks`] keeps freed blocks for the next tensor of their size, but never so many that the program holds more than it
//! once needed at the same time. So its peak is that of a program that keeps nothing.
//!
//! ```
//! use burn_forward::allocator::{LargeBlocks, keep_small_blocks};
//!
//! #[global_allocator]
//! static ALLOCATOR: LargeBlocks = LargeBlocks;
//!
//! fn main() {
//!     // Before anything starts a thread.
//!     keep_small_blocks();
//! }
//! ```

mod pool;

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pool::{Block, Pool};

/// Blocks from this size on are large.
const LARGE: usize = 4 << 20;

/// Large blocks are a multiple of this size, so that tensors of almost the same size can take turns.
const GRAIN: usize = 128 << 10;

/// Large blocks begin at a multiple of this at least, as the system has them anyway: bytes and numbers take turns.
const ALIGNMENT: usize = 16;

static POOL: Mutex<Pool> = Mutex::new(Pool::new());

fn pool() -> MutexGuard<'static, Pool> {
    // The pool is whole between any two statements that could panic, of which it has none.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The system's allocator, with large blocks (4 MiB or more) kept for reuse up to the peak of what was in use, and of large
/// pages where the kernel has them.
#[derive(Debug, Clone, Copy, Default)]
pub struct LargeBlocks;

/// The layout in which a large block is asked for; `None` for a block that is not large.
fn large(layout: Layout) -> Option<Layout> {
    if layout.size() < LARGE {
        return None;
    }
    Layout::from_size_align(layout.size().checked_next_multiple_of(GRAIN)?, layout.align().max(ALIGNMENT)).ok()
}

/// A large block from the pool.
fn take(large: Layout) -> Option<*mut u8> {
    pool().take(large)
}

/// A new large block from `system`.
fn allocate(layout: Layout, system: impl Fn(Layout) -> *mut u8) -> *mut u8 {
    let mut pool = pool();
    pool.grow(layout.size(), give_back);
    let mut block = system(layout);
    if block.is_null() {
        // What is kept may be what is missing.
        pool.give_all(give_back);
        block = system(layout);
    }
    match block.is_null() {
        true => pool.shrink(layout.size()),
        false => advise(block, layout.size()),
    }
    block
}

fn give_back(block: Block) {
    #[allow(unsafe_code, reason = "what an allocator is made of")]
    // SAFETY: blocks get into the pool in `dealloc` alone, by their last holder, with the layout they were asked for with.
    unsafe {
        System.dealloc(block.address, block.layout);
    }
}

// SAFETY: every block is one of `System` of the layout or, if large, of the larger one that follows from it, and goes back to
// it with the same; a block in the pool is nobody's.
#[allow(unsafe_code, reason = "what an allocator is made of")]
unsafe impl GlobalAlloc for LargeBlocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that `System` needs; so below.
        let system = |layout| unsafe { System.alloc(layout) };
        match large(layout) {
            Some(large) => take(large).unwrap_or_else(|| allocate(large, system)),
            None => system(layout),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let system = |layout| unsafe { System.alloc_zeroed(layout) };
        let Some(large) = large(layout) else { return system(layout) };
        let Some(kept) = take(large) else { return allocate(large, system) };
        // SAFETY: the block is at least that long.
        unsafe { ptr::write_bytes(kept, 0, layout.size()) };
        kept
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match large(layout) {
            Some(layout) => pool().keep(Block { address: block, layout }, give_back),
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a size that is not too large for the alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (large(layout), large(wanted)) {
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (Some(old), Some(new)) if old == new => block,
            _ => {
                // SAFETY: both blocks are at least as long as the shorter of them, and apart.
                unsafe {
                    let moved = self.alloc(wanted);
                    if !moved.is_null() {
                        ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

/// Gives back what [`LargeBlocks`] keeps, and has its peak start from what is in use now.
pub(crate) fn start_new_peak() {
    let mut pool = pool();
    pool.give_all(give_back);
    pool.start_new_peak();
}

/// Asks the kernel for pages of 2 MiB, of which there are fewer to clear and to find.
fn advise(block: *mut u8, size: usize) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const PAGE: usize = 4096;
        let skipped = block.addr().next_multiple_of(PAGE) - block.addr();
        // SAFETY: the range lies within a block that has just been allocated and that nobody else knows of; the advice changes
        // neither its address nor its contents, and a kernel that does not know it refuses, which is as good.
        #[allow(unsafe_code, reason = "madvise is a C function")]
        unsafe {
            libc::madvise(block.add(skipped).cast(), size - skipped, libc::MADV_HUGEPAGE);
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = (block, size);
}

/// Has glibc keep freed blocks of less than 4 MiB in the process, and hand larger ones back to the system at once.
///
/// By itself glibc gives the top of its heap back as soon as 128 KiB of it are free: an epoch of an MLP 2x1000 on MNIST took
/// 8.4 s instead of 6.7 s. On the other hand it raises the size from which it hands blocks back up to 32 MiB as it sees them
/// freed, so that they would count twice, there and in [`LargeBlocks`].
///
/// To be called before anything starts a thread. Settings of the environment (`MALLOC_TRIM_THRESHOLD_`,
/// `MALLOC_MMAP_THRESHOLD_`) win. Does nothing with other C libraries.
pub fn keep_small_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const KEPT: libc::c_int = 16 << 20;
        if ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"].iter().any(|name| std::env::var_os(name).is_some()) {
            return;
        }
        // SAFETY: both parameters exist in every glibc and take any value.
        #[allow(unsafe_code, reason = "mallopt is a C function")]
        unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE as libc::c_int);
        }
    }
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 64).unwrap()
    }

    #[test]
    fn blocks_have_their_size_their_alignment_and_their_contents() {
        let sizes = [100, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE, 2 * LARGE, 50];
        // SAFETY: every block is written and read within its size and freed once, with its layout.
        unsafe {
            let blocks: Vec<_> = sizes.iter().map(|size| (LargeBlocks.alloc(layout(*size)), *size)).collect();
            for (i, (block, size)) in blocks.iter().enumerate() {
                assert!(block.addr().is_multiple_of(64));
                ptr::write_bytes(*block, i as u8 + 1, *size);
            }
            for (i, (block, size)) in blocks.iter().enumerate() {
                assert!(std::slice::from_raw_parts(*block, *size).iter().all(|b| *b == i as u8 + 1));
            }
            for (i, (block, size)) in blocks.into_iter().enumerate() {
                // Each grows or shrinks to the size of the next one before it goes.
                let next = sizes[(i + 1) % sizes.len()];
                let moved = LargeBlocks.realloc(block, layout(size), next);
                let kept = std::slice::from_raw_parts(moved, size.min(next));
                assert!(kept.iter().all(|b| *b == i as u8 + 1), "{size} to {next}");
                LargeBlocks.dealloc(moved, layout(next));
            }
            for size in sizes {
                let block = LargeBlocks.alloc_zeroed(layout(size));
                assert!(std::slice::from_raw_parts(block, size).iter().all(|b| *b == 0), "{size}");
                LargeBlocks.dealloc(block, layout(size));
            }
        }
        start_new_peak();
    }

    #[test]
    fn sizes_that_no_memory_has_are_refused_and_do_not_count() {
        // SAFETY: nothing is allocated.
        unsafe {
            let too_much = Layout::from_size_align(1 << 60, 64).unwrap();
            assert!(LargeBlocks.alloc(too_much).is_null());
            assert!(pool().in_use() < 1 << 40);
        }
    }
}
