//! The data loader for training and evaluation, an implementation of Burn's [`DataLoader`].

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use rand::seq::SliceRandom;

use super::prefetch::Prefetch;
use super::{Augment, HostBatch, ImageSubset, PixelNormaliser};
use burn_forward::data::{Batch, BatchKey, Batching};
use burn_forward::random::Seed;
use burn_forward::{Error, Result};

/// The settings of a training loader that an evaluation loader does not have.
#[derive(Debug, Clone)]
pub struct TrainingOrder {
    /// Seed of the streams `order` and `augment`.
    pub seed: Seed,
    /// The epoch of the first pass, from 1.
    pub first_epoch: u64,
    /// Random changes to every image.
    pub augment: Vec<Augment>,
}

/// Loads the batches of a split onto a device. The last one may be smaller if [`Batching`] keeps it.
///
/// The loader has no random state. The order of epoch `e` is a function of `(seed, e)`, and the augmentation of a batch one
/// of `(seed, e, index)`. A run that is resumed at epoch `e` therefore sees the same batches as the uninterrupted run, and
/// the number of workers makes no difference. The only state is the number of the next epoch, which every call of
/// [`iter`](DataLoader::iter) advances.
///
/// An evaluation loader neither shuffles nor augments; its epoch is always 0.
pub struct ImageLoader {
    recipe: Arc<Recipe>,
    device: Device,
    workers: usize,
    epoch: AtomicU64,
}

/// Everything that a worker needs to assemble a batch.
#[derive(Debug, Clone)]
struct Recipe {
    part: ImageSubset,
    normaliser: Arc<PixelNormaliser>,
    batching: Batching,
    /// The images of the split that are loaded: all of them, or a slice.
    range: Range<usize>,
    training: Option<(Seed, Vec<Augment>)>,
}

impl ImageLoader {
    /// A loader that shuffles and augments, with one worker.
    ///
    /// # Errors
    /// [`Error::Argument`] for a batch size or first epoch of 0, or a setting of `augment` that does not fit the images.
    pub fn training(
        part: ImageSubset,
        normaliser: Arc<PixelNormaliser>,
        batching: impl Into<Batching>,
        device: &Device,
        training: TrainingOrder,
    ) -> Result<Self> {
        let TrainingOrder { seed, first_epoch, augment } = training;
        if first_epoch == 0 {
            return Err(Error::argument("ImageLoader", "first epoch", 0, "at least 1"));
        }
        let [_, height, width] = part.set().shape();
        if let Some(misfit) = augment.iter().find_map(|a| a.misfit(Some([height, width]))) {
            return Err(misfit.argument("ImageLoader, augment"));
        }
        Self::new(part, normaliser, batching.into(), device, Some((seed, augment)), first_epoch)
    }

    /// A loader that yields the split in its own order, with one worker.
    ///
    /// # Errors
    /// [`Error::Argument`] for a batch size of 0.
    pub fn evaluation(
        part: ImageSubset,
        normaliser: Arc<PixelNormaliser>,
        batch_size: usize,
        device: &Device,
    ) -> Result<Self> {
        Self::new(part, normaliser, batch_size.into(), device, None, 0)
    }

    fn new(
        part: ImageSubset,
        normaliser: Arc<PixelNormaliser>,
        batching: Batching,
        device: &Device,
        training: Option<(Seed, Vec<Augment>)>,
        epoch: u64,
    ) -> Result<Self> {
        let batching = batching.checked("ImageLoader")?;
        let channels = (normaliser.statistics().mean.len(), part.set().shape()[0]);
        if channels.0 != channels.1 {
            let needed = format!("{}, that of the images", channels.1);
            return Err(Error::argument("ImageLoader", "channels of the normaliser", channels.0, needed));
        }
        let range = 0..part.len();
        let recipe = Arc::new(Recipe { part, normaliser, batching, range, training });
        Ok(Self { recipe, device: device.clone(), workers: 1, epoch: AtomicU64::new(epoch) })
    }

    /// The same loader with this number of threads that assemble batches in advance; with 0, batches are assembled on demand.
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// The epoch of the next pass; 0 for evaluation.
    pub fn next_epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Number of batches in a pass.
    pub fn num_batches(&self) -> usize {
        self.recipe.batches()
    }

    /// The batches of `epoch` in host memory, assembled on demand. Does not advance the loader's epoch.
    pub fn host_batches(&self, epoch: u64) -> impl Iterator<Item = HostBatch> + use<> {
        let recipe = self.recipe.clone();
        let order = recipe.order(epoch);
        (0..recipe.batches()).map(move |i| recipe.batch(epoch, &order, i))
    }

    fn with(&self, recipe: Arc<Recipe>, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        let epoch = AtomicU64::new(self.next_epoch());
        Arc::new(Self { recipe, device: device.clone(), workers: self.workers, epoch })
    }
}

impl Recipe {
    fn batches(&self) -> usize {
        self.batching.count(self.range.len())
    }

    /// Number of images in a pass.
    fn items(&self) -> usize {
        self.batching.used(self.range.len())
    }

    /// The samples of a pass, in order.
    fn order(&self, epoch: u64) -> Vec<u32> {
        let mut order: Vec<u32> = self.range.clone().map(|i| i as u32).collect();
        if let Some((seed, _)) = &self.training {
            order.shuffle(&mut seed.stream("order", &[epoch]));
        }
        order
    }

    /// Batch `i` of a pass in the given `order`.
    fn batch(&self, epoch: u64, order: &[u32], i: usize) -> HostBatch {
        let places = self.batching.range(i, order.len());
        // A slice numbers its batches from its first image, so that the devices of a distributed run, which have one slice
        // each, draw from different streams.
        let step = BatchKey::new(epoch, i as u64, self.batches()).step;
        let key = BatchKey { epoch, index: (self.range.start + i) as u64, step };
        let mut batch = HostBatch::assemble(&self.part, order[places].into(), &self.normaliser, key);
        if let Some((seed, augment)) = &self.training {
            batch.augment(augment, &self.normaliser, &mut seed.stream("augment", &[key.epoch, key.index]));
        }
        batch
    }
}

impl DataLoader<Batch> for ImageLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let recipe = self.recipe.clone();
        let epoch = match recipe.training {
            Some(_) => self.epoch.fetch_add(1, Ordering::SeqCst),
            None => 0,
        };
        let (batches, items) = (recipe.batches(), recipe.items());
        let order = recipe.order(epoch);
        let make = Arc::new(move |i| recipe.batch(epoch, &order, i));
        // Workers fill host memory only. The thread that uses a tensor creates it, because GPU backends keep a stream and a
        // memory pool for each thread that uses them.
        let prefetch = (self.workers > 0).then(|| Prefetch::start(self.workers, batches, make.clone()));
        let source = match prefetch {
            Some(Ok(prefetch)) => Source::Ahead(prefetch),
            None => Source::Inline(make),
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot start worker threads; batches are assembled on demand");
                Source::Inline(make)
            }
        };
        Box::new(Pass { source, device: self.device.clone(), next: 0, batches, seen: 0, items })
    }

    /// Number of images in a pass, without those of a last batch that is dropped.
    fn num_items(&self) -> usize {
        self.recipe.items()
    }

    /// The new loader continues with this one's next epoch. burn-train moves a loader once, before the first pass.
    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        self.with(self.recipe.clone(), device)
    }

    /// Always the same images, whatever the epoch; they are shuffled among themselves.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        let whole = &self.recipe.range;
        // The last slice includes the images that do not fill a batch of the whole, which `num_items` leaves out.
        let end = if end >= self.num_items() { whole.end } else { whole.start + end };
        let range = (whole.start + start).min(end)..end;
        self.with(Arc::new(Recipe { range, ..(*self.recipe).clone() }), &self.device)
    }
}

/// The source of the batches in a pass.
enum Source {
    Inline(Arc<dyn Fn(usize) -> HostBatch + Send + Sync>),
    Ahead(Prefetch<HostBatch>),
}

/// A pass over the images.
struct Pass {
    source: Source,
    device: Device,
    next: usize,
    batches: usize,
    seen: usize,
    items: usize,
}

impl Iterator for Pass {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.batches {
            return None;
        }
        let batch = match &mut self.source {
            Source::Inline(make) => Some(make(self.next)),
            Source::Ahead(prefetch) => prefetch.next(),
        };
        let Some(batch) = batch else {
            let message = format!("the thread that assembles batch {} has died", self.next);
            self.next = self.batches;
            return Some(Err(DatasetError::new(std::io::Error::other(message))));
        };
        self.next += 1;
        self.seen += batch.samples.len();
        Some(Ok(batch.to_device(&self.device)))
    }
}

impl DataLoaderIterator<Batch> for Pass {
    fn progress(&self) -> Progress {
        Progress::new(self.seen, self.items, Some("items".to_string()))
    }
}

#[cfg(test)]
mod tests;
