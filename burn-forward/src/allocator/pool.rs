//! Which freed blocks are kept, and for how long.

use std::alloc::Layout;

/// Most blocks that are kept at a time.
const SLOTS: usize = 256;

/// A block and the layout that it was allocated with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) address: *mut u8,
    pub(super) layout: Layout,
}

// SAFETY: whoever has a block taken out of the pool is the only one to know of it.
#[allow(unsafe_code, reason = "an address is not sent otherwise")]
unsafe impl Send for Block {}

const NONE: Block = Block { address: std::ptr::null_mut(), layout: Layout::new::<u8>() };

/// Freed blocks, oldest first, and a count of bytes: in use and kept together are never more than were once in use.
///
/// It allocates nothing itself: it is what allocation is made of.
#[derive(Debug)]
pub(super) struct Pool {
    blocks: [Block; SLOTS],
    count: usize,
    in_use: usize,
    kept: usize,
    peak: usize,
}

impl Pool {
    pub(super) const fn new() -> Self {
        Self { blocks: [NONE; SLOTS], count: 0, in_use: 0, kept: 0, peak: 0 }
    }

    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.in_use
    }

    /// A kept block of this very layout, from now on in use: the one that was freed last, which may still be in a cache.
    pub(super) fn take(&mut self, layout: Layout) -> Option<*mut u8> {
        let found = self.blocks[..self.count].iter().rposition(|block| block.layout == layout)?;
        let block = self.remove(found);
        self.in_use += block.layout.size();
        Some(block.address)
    }

    /// Counts `size` bytes that are about to be allocated, and gives away kept blocks, the oldest first, for which there is
    /// no room beside them.
    pub(super) fn grow(&mut self, size: usize, mut give: impl FnMut(Block)) {
        self.in_use = self.in_use.saturating_add(size);
        let peak = self.peak.max(self.in_use);
        while self.count > 0 && self.in_use + self.kept > peak {
            give(self.remove(0));
        }
        self.peak = peak;
    }

    /// Takes back what [`grow`](Self::grow) counted, where nothing was allocated.
    pub(super) fn shrink(&mut self, size: usize) {
        if self.peak == self.in_use {
            self.peak -= size;
        }
        self.in_use -= size;
    }

    /// Keeps a block that was in use.
    pub(super) fn keep(&mut self, block: Block, mut give: impl FnMut(Block)) {
        self.in_use = self.in_use.saturating_sub(block.layout.size());
        if self.count == SLOTS {
            give(self.remove(0));
        }
        self.kept += block.layout.size();
        self.blocks[self.count] = block;
        self.count += 1;
    }

    /// Gives away all that is kept.
    pub(super) fn give_all(&mut self, give: impl FnMut(Block)) {
        self.blocks[..self.count].iter().copied().for_each(give);
        (self.count, self.kept) = (0, 0);
    }

    /// Forgets how much was in use before.
    pub(super) fn start_new_peak(&mut self) {
        self.peak = self.in_use + self.kept;
    }

    fn remove(&mut self, index: usize) -> Block {
        let block = self.blocks[index];
        self.blocks.copy_within(index + 1..self.count, index);
        self.count -= 1;
        self.kept -= block.layout.size();
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool beside a list of what is where, with addresses that are only numbers.
    #[derive(Default)]
    struct Machine {
        pool: Option<Pool>,
        used: Vec<Block>,
        /// Bytes that the system has handed out, now and at most; the most that were in use.
        held: usize,
        most_held: usize,
        most_used: usize,
        next: usize,
    }

    impl Machine {
        fn allocate(&mut self, size: usize) -> bool {
            let layout = Layout::from_size_align(size, 1).unwrap();
            let pool = self.pool.get_or_insert_with(Pool::new);
            let taken = pool.take(layout);
            let address = taken.unwrap_or_else(|| {
                pool.grow(size, |block| self.held -= block.layout.size());
                self.held += size;
                self.next += 1;
                std::ptr::without_provenance_mut(self.next)
            });
            assert!(self.used.iter().all(|b| b.address != address), "a block that is in use");
            self.used.push(Block { address, layout });
            self.most_held = self.most_held.max(self.held);
            self.most_used = self.most_used.max(self.used.iter().map(|b| b.layout.size()).sum());
            taken.is_some()
        }

        fn free(&mut self, index: usize) {
            let block = self.used.swap_remove(index);
            self.pool.as_mut().unwrap().keep(block, |block| self.held -= block.layout.size());
        }
    }

    #[test]
    fn a_freed_block_serves_the_next_of_its_size() {
        let mut machine = Machine::default();
        assert!(!machine.allocate(10));
        machine.free(0);
        assert!(machine.allocate(10));
        assert!(!machine.allocate(10));
        machine.free(0);
        assert!(!machine.allocate(11));
    }

    #[test]
    fn no_more_is_ever_held_than_was_in_use_at_once() {
        // Blocks of a few sizes come and go in a random order, in waves of many and few.
        let mut machine = Machine::default();
        let mut state = 1u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut reused = 0;
        for step in 0..20_000 {
            let wave = 1 + (step / 700) % 9;
            if machine.used.is_empty() || random(10) < wave {
                reused += usize::from(machine.allocate(4 << random(6)));
            } else {
                let index = random(machine.used.len() as u64) as usize;
                machine.free(index);
            }
            assert!(
                machine.most_held <= machine.most_used,
                "step {step}: {} > {}",
                machine.most_held,
                machine.most_used
            );
            assert_eq!(machine.held, machine.pool.as_ref().map_or(0, |p| p.in_use + p.kept));
        }
        assert!(reused > 5_000, "{reused}");
    }

    #[test]
    fn an_allocation_that_failed_leaves_no_trace() {
        let mut pool = Pool::new();
        pool.grow(10, |_| ());
        pool.grow(90, |_| ());
        pool.shrink(90);
        assert_eq!((pool.in_use, pool.peak), (10, 10));
    }
}
