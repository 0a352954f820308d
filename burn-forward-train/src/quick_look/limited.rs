//! The first batches of every pass of another loader.

use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use burn_forward::data::{Batch, BatchKey};

/// The first batches of every pass of another loader. That loader determines which samples these are; in training they
/// differ from epoch to epoch.
pub(super) struct Limited {
    loader: Arc<dyn DataLoader<Batch>>,
    batches: usize,
    items: usize,
}

impl Limited {
    /// At most `batches` batches of a pass, which have `items` items in total.
    pub(super) fn new(loader: Arc<dyn DataLoader<Batch>>, batches: usize, items: usize) -> Self {
        Self { loader, batches, items }
    }
}

impl DataLoader<Batch> for Limited {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        Box::new(Pass { batches: self.loader.iter(), limit: self.batches, items: self.items, next: 0 })
    }

    fn num_items(&self) -> usize {
        self.items
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(Self::new(self.loader.to_device(device), self.batches, self.items))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        let items = end.min(self.items).saturating_sub(start);
        Arc::new(Self::new(self.loader.slice(start, end), self.batches, items))
    }
}

/// One pass.
struct Pass<'a> {
    batches: Box<dyn DataLoaderIterator<Batch> + 'a>,
    limit: usize,
    items: usize,
    next: usize,
}

impl Iterator for Pass<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.limit {
            return None;
        }
        let batch = self.batches.next()?;
        let place = self.next as u64;
        self.next += 1;
        Some(batch.map(|mut batch| {
            // Steps are counted over the whole run, so what alternates from step to step keeps alternating across
            // epochs.
            batch.key.step = BatchKey::new(batch.key.epoch, place, self.limit).step;
            batch
        }))
    }
}

impl DataLoaderIterator<Batch> for Pass<'_> {
    fn progress(&self) -> Progress {
        let seen = self.batches.progress().items_processed;
        Progress::new(seen.min(self.items), self.items, Some("items".to_string()))
    }
}
