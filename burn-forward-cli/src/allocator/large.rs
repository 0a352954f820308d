//! Large blocks of memory: they use pages of 2 MiB, which are kept for later large tensors.
//!
//! A training step allocates and frees the same large tensors again and again. Every new page costs a page fault, and the
//! kernel has to clear it. This takes a quarter of the time of a step of a convolutional network with pages of 4 KiB, and an
//! eighth with pages of 2 MiB. The pages of a freed block are therefore kept, and the next tensor that fits into them uses
//! them.
//!
//! The peak does not rise: the pages in use and the kept pages together never exceed the largest number that were in use at one
//! time. If no range of kept pages is large enough for a block, as many of them are returned to the system as the block needs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Blocks of at least this size are large.
pub(crate) const LARGE: usize = 4 << 20;
/// Sizes are rounded up to multiples of this, so that blocks can replace each other.
const GRAIN: usize = 64 << 10;
const HUGE_PAGE: usize = 2 << 20;
const SMALL_PAGE: usize = 4 << 10;
/// Largest number of ranges of pages that are kept.
const SLOTS: usize = 256;

/// Whether freed blocks are kept.
static KEEPS: AtomicBool = AtomicBool::new(false);

static BLOCKS: Mutex<Blocks> =
    Mutex::new(Blocks { kept: [(0, 0); SLOTS], count: 0, kept_bytes: 0, in_use: 0, peak: 0 });

/// Keeps freed blocks from now on.
pub(crate) fn keep() {
    KEEPS.store(true, Relaxed);
}

/// Returns all kept blocks to the system, and starts a new peak.
pub(crate) fn release() {
    with_blocks(|blocks| {
        blocks.shrink_to(0);
        blocks.peak = blocks.in_use;
    });
}

fn with_blocks<R>(f: impl FnOnce(&mut Blocks) -> R) -> R {
    f(&mut BLOCKS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Pages that are mapped but not in use: their first address and their number of bytes.
type Range = (usize, usize);

/// The large blocks of this process.
struct Blocks {
    /// The kept ranges, `count` of them, no two of which are adjacent.
    kept: [Range; SLOTS],
    count: usize,
    /// Bytes in the kept ranges.
    kept_bytes: usize,
    /// Bytes in the blocks in use.
    in_use: usize,
    /// Largest number of bytes that were in use at one time.
    peak: usize,
}

impl Blocks {
    /// A block of `size` bytes from the smallest range that is large enough.
    fn take(&mut self, size: usize) -> Option<*mut u8> {
        let ranges = self.kept[..self.count].iter().enumerate();
        let (place, _) = ranges.filter(|(_, range)| range.1 >= size).min_by_key(|(_, range)| range.1)?;
        let (address, bytes) = self.remove(place);
        if bytes > size {
            self.insert((address + size, bytes - size));
        }
        self.in_use += size;
        Some(std::ptr::with_exposed_provenance_mut(address))
    }

    /// Counts `size` bytes that are about to be used, and makes room for them.
    fn grow(&mut self, size: usize) {
        self.in_use += size;
        self.peak = self.peak.max(self.in_use);
        self.shrink_to(self.peak - self.in_use);
    }

    /// Keeps a block that is no longer used, merged with adjacent ranges, or returns it to the system.
    fn put(&mut self, block: *mut u8, size: usize) {
        self.in_use -= size;
        let mut range = (block.expose_provenance(), size);
        if !KEEPS.load(Relaxed) {
            unmap(block, size);
            return;
        }
        let touches = |a: Range, b: Range| a.0 + a.1 == b.0 || b.0 + b.1 == a.0;
        while let Some(place) = self.kept[..self.count].iter().position(|kept| touches(*kept, range)) {
            let other = self.remove(place);
            range = (other.0.min(range.0), other.1 + range.1);
        }
        if self.count == SLOTS {
            unmap(std::ptr::with_exposed_provenance_mut(range.0), range.1);
        } else {
            self.insert(range);
        }
    }

    /// Returns pages to the system until at most `bytes` are kept. Small ranges are returned first, since more blocks fit into
    /// large ones.
    fn shrink_to(&mut self, bytes: usize) {
        while self.kept_bytes > bytes {
            let ranges = self.kept[..self.count].iter().enumerate();
            let Some((place, _)) = ranges.min_by_key(|(_, range)| range.1) else { return };
            let (address, size) = self.remove(place);
            let surplus = (self.kept_bytes + size - bytes).min(size);
            if surplus < size {
                self.insert((address, size - surplus));
            }
            unmap(std::ptr::with_exposed_provenance_mut(address + size - surplus), surplus);
        }
    }

    /// Adds a range, for which there must be a free slot.
    fn insert(&mut self, range: Range) {
        self.kept[self.count] = range;
        self.count += 1;
        self.kept_bytes += range.1;
    }

    fn remove(&mut self, place: usize) -> Range {
        self.count -= 1;
        self.kept.swap(place, self.count);
        let range = self.kept[self.count];
        self.kept_bytes -= range.1;
        range
    }
}

fn rounded(size: usize) -> usize {
    size.next_multiple_of(GRAIN)
}

/// Whether a block with this layout is allocated here.
fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= SMALL_PAGE && layout.size() <= isize::MAX as usize - 2 * HUGE_PAGE
}

/// New pages, filled with zeros, of 2 MiB if the system supports this; null if there are none.
fn map(size: usize) -> *mut u8 {
    let reserved = size + HUGE_PAGE;
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: this requests new pages at any address, and touches no other memory.
    #[allow(unsafe_code, reason = "mmap is a C function")]
    let start = unsafe { libc::mmap(null_mut(), reserved, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return null_mut();
    }
    // A large page starts at a multiple of its size; the pages before and after the block are returned.
    let start = start.cast::<u8>();
    let before = start.addr().next_multiple_of(HUGE_PAGE) - start.addr();
    let block = start.wrapping_add(before);
    if before > 0 {
        unmap(start, before);
    }
    if before < HUGE_PAGE {
        unmap(block.wrapping_add(size), HUGE_PAGE - before);
    }
    // SAFETY: the range is that of the new block. The advice changes neither its address nor its contents, and a kernel that
    // does not support it returns an error, which does no harm.
    #[allow(unsafe_code, reason = "madvise is a C function")]
    unsafe {
        libc::madvise(block.cast(), size, libc::MADV_HUGEPAGE);
    }
    block
}

fn unmap(block: *mut u8, size: usize) {
    // SAFETY: callers pass complete pages that `map` created and that are no longer used.
    #[allow(unsafe_code, reason = "munmap is a C function")]
    unsafe {
        libc::munmap(block.cast(), size);
    }
}

/// A block of `size` bytes, and whether it is known to contain only zeros; null if there is no memory.
fn allocate(size: usize) -> (*mut u8, bool) {
    let size = rounded(size);
    let kept = with_blocks(|blocks| {
        let kept = blocks.take(size);
        if kept.is_none() {
            blocks.grow(size);
        }
        kept
    });
    if let Some(block) = kept {
        return (block, false);
    }
    let mut block = map(size);
    if block.is_null() {
        // The kept pages may be what is missing.
        with_blocks(|blocks| blocks.shrink_to(0));
        block = map(size);
    }
    if block.is_null() {
        with_blocks(|blocks| blocks.in_use -= size);
    }
    (block, true)
}

/// [`System`] for small blocks, and separate pages for large ones.
#[derive(Debug)]
struct LargePages;

#[global_allocator]
static ALLOCATOR: LargePages = LargePages;

// SAFETY: the layout alone determines whether a block comes from `System` or has separate pages, and the block is returned
// accordingly. Separate pages are aligned to a page, which is all that `is_large` admits, and are at least as large as their
// layout.
#[allow(unsafe_code, reason = "an allocator is unsafe")]
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            return allocate(layout.size()).0;
        }
        // SAFETY: `System` requires what the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_large(layout) {
            // SAFETY: `System` requires what the caller promises.
            return unsafe { System.alloc_zeroed(layout) };
        }
        let (block, is_zero) = allocate(layout.size());
        if !is_zero {
            // SAFETY: the block has at least this many bytes, and no one else uses it yet.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(layout) {
            with_blocks(|blocks| blocks.put(block, rounded(layout.size())));
            return;
        }
        // SAFETY: the block comes from `System`, and the caller promises that it has this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` is not 0 and, rounded up to the alignment, no more than `isize::MAX`.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if !is_large(layout) && !is_large(wanted) {
            // SAFETY: the block comes from `System`, and the caller promises that it has this layout; the promise also covers
            // `size`.
            return unsafe { System.realloc(block, layout, size) };
        }
        if is_large(layout) && is_large(wanted) && rounded(layout.size()) == rounded(size) {
            return block;
        }
        // SAFETY: `wanted` is a valid layout by the caller's promise; both blocks contain the copied bytes, and they do not
        // overlap.
        unsafe {
            let new = self.alloc(wanted);
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests in this file share the blocks of the process, so they run one at a time.
    static ALONE: Mutex<()> = Mutex::new(());

    fn alone() -> std::sync::MutexGuard<'static, ()> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        keep();
        release();
        alone
    }

    fn kept() -> usize {
        with_blocks(|blocks| blocks.kept_bytes)
    }

    #[test]
    fn a_freed_block_is_the_next_of_its_size_and_zeros_are_zeros() {
        let _alone = alone();
        let size = LARGE + 3 * GRAIN;
        let first = vec![7u8; size];
        let address = first.as_ptr().addr();
        drop(first);
        assert_eq!(kept(), size);
        let second: Vec<u8> = Vec::with_capacity(size - 5);
        assert_eq!((second.as_ptr().addr(), kept()), (address, 0));
        drop(second);
        let zeros = vec![0u8; size];
        assert_eq!(zeros.as_ptr().addr(), address);
        assert!(zeros.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_is_kept_does_not_raise_the_peak() {
        let _alone = alone();
        let sizes = [5, 9, 4, 16, 7, 4, 31].map(|mib: usize| mib << 20);
        let (mut peak, mut in_use) = (0, 0);
        let base = with_blocks(|blocks| blocks.in_use);
        for round in 0..50 {
            let mut held: Vec<Vec<u8>> = Vec::new();
            for place in 0..sizes.len() {
                let size = sizes[(place * 3 + round) % sizes.len()];
                in_use += size;
                peak = peak.max(in_use);
                held.push(vec![1; size]);
                if (place + round) % 3 == 0 {
                    in_use -= held.remove(0).len();
                }
                let all = with_blocks(|blocks| blocks.in_use + blocks.kept_bytes);
                assert!(all - base <= peak, "{all} bytes, {peak} were in use");
            }
            in_use = 0;
        }
        assert!(kept() > 0);
        release();
        assert_eq!(kept(), 0);
    }

    #[test]
    fn a_block_that_grows_or_shrinks_keeps_its_bytes() {
        let _alone = alone();
        let mut bytes: Vec<u8> = Vec::new();
        for i in 0..20_000_000u32 {
            bytes.push(i as u8);
        }
        bytes.truncate(LARGE / 2);
        bytes.shrink_to_fit();
        assert!(bytes.iter().enumerate().all(|(i, byte)| *byte == i as u8));
        bytes.reserve_exact(3 * LARGE);
        assert!(bytes.iter().enumerate().all(|(i, byte)| *byte == i as u8));
    }

    #[test]
    fn threads_share_blocks() {
        let _alone = alone();
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    for round in 0..50 {
                        let block = vec![thread; LARGE + (round % 5) * GRAIN];
                        assert!(block.iter().all(|byte| *byte == thread));
                    }
                });
            }
        });
    }
}
