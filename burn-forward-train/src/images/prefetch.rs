//! Work done in advance by threads, in order.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Maximum number of finished items that wait, over all threads.
const QUEUE: usize = 4;

/// Items `make(0), make(1), ..`, computed in advance by threads.
///
/// Of `n` threads, thread `t` computes the items `t, t + n, ..` and puts them into its own bounded channel; the reader takes
/// from the channels in turn. This keeps the order without a sorting buffer, and no thread waits for another.
pub(super) struct Prefetch<T> {
    channels: Vec<Receiver<T>>,
    threads: Vec<JoinHandle<()>>,
    next: usize,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts `workers` (at least 1) threads that compute `count` items.
    ///
    /// # Errors
    /// The system's error if no thread can be started.
    pub(super) fn start(workers: usize, count: usize, make: Arc<dyn Fn(usize) -> T + Send + Sync>) -> io::Result<Self> {
        let workers = workers.clamp(1, count.max(1));
        let mut prefetch = Self { channels: Vec::new(), threads: Vec::new(), next: 0 };
        for first in 0..workers {
            let (sender, receiver) = sync_channel(QUEUE.div_ceil(workers));
            let make = make.clone();
            let work = move || {
                for i in (first..count).step_by(workers) {
                    if sender.send(make(i)).is_err() {
                        // The reader is gone, so nothing more is needed.
                        break;
                    }
                }
            };
            prefetch.threads.push(Builder::new().name(format!("data-{first}")).spawn(work)?);
            prefetch.channels.push(receiver);
        }
        Ok(prefetch)
    }

    /// The next item, or `None` if the thread that should compute it has died. May be called `count` times.
    pub(super) fn next(&mut self) -> Option<T> {
        let item = self.channels.get(self.next)?.recv().ok();
        self.next = (self.next + 1) % self.channels.len();
        item
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        // Closing its channel releases a thread that waits for room in it.
        self.channels.clear();
        for thread in self.threads.drain(..) {
            // The reader has noticed a panic already, if it needed the items.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[rstest]
    fn the_order_is_kept(#[values(1, 2, 3, 7)] workers: usize, #[values(0, 1, 5, 100)] count: usize) {
        let make = Arc::new(|i: usize| {
            // The first thread is slow.
            if i.is_multiple_of(3) {
                std::thread::yield_now();
            }
            i
        });
        let mut prefetch = Prefetch::start(workers, count, make).unwrap();
        let items: Vec<_> = (0..count).map(|_| prefetch.next().unwrap()).collect();
        assert_eq!(items, (0..count).collect::<Vec<_>>());
    }

    #[rstest]
    fn dropping_it_early_stops_the_threads(#[values(1, 3)] workers: usize, #[values(0, 1, 20)] read: usize) {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = made.clone();
        let make = Arc::new(move |i: usize| {
            counter.fetch_add(1, Ordering::SeqCst);
            i
        });
        let mut prefetch = Prefetch::start(workers, 1_000_000, make.clone()).unwrap();
        (0..read).for_each(|i| assert_eq!(prefetch.next(), Some(i)));
        drop(prefetch);
        // The threads have been joined, so they no longer hold the function and nothing more is computed.
        assert_eq!(Arc::strong_count(&make), 1);
        assert!(made.load(Ordering::SeqCst) <= read + 3 * (QUEUE + 1));
    }

    #[test]
    fn a_dead_thread_is_noticed() {
        let make = Arc::new(|i: usize| if i == 2 { panic!("on purpose") } else { i });
        let mut prefetch = Prefetch::start(1, 5, make).unwrap();
        assert_eq!([prefetch.next(), prefetch.next(), prefetch.next()], [Some(0), Some(1), None]);
    }
}
