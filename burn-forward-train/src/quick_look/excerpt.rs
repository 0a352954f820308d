//! The part of a data set that a run uses.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use burn_forward::activation::RowShape;
use burn_forward::data::{
    Batch, Batching, DataSplit, Fingerprint, GraphView, LoadedData, ModelSignature, PixelScaling,
};
use burn_forward::{ConfigError, Error, Result};

use super::limited::Limited;
use super::look::QuickLook;

impl QuickLook {
    /// The part of `data` that the run uses; `batching` is that of its training.
    ///
    /// # Errors
    /// [`Error::Argument`] if a number is 0, or if there are not enough training samples for one sample of the excerpt.
    pub fn excerpt(
        self,
        data: Box<dyn LoadedData>,
        batching: Batching,
        device: &Device,
    ) -> Result<Box<dyn LoadedData>> {
        for (what, number) in [("samples to overfit", self.overfit), ("limit of batches", self.limit_batches)] {
            if number == Some(0) {
                return Err(Error::argument("QuickLook", what, 0, "at least 1"));
            }
        }
        match self.is_none() {
            true => Ok(data),
            false => Ok(Box::new(Excerpt::new(data, self, batching, device)?)),
        }
    }
}

/// A part of a data set of any kind. Its loaders are [sliced](DataLoader::slice) and stopped early.
#[derive(Debug)]
pub(super) struct Excerpt {
    whole: Box<dyn LoadedData>,
    look: QuickLook,
    /// Number of samples to train and test on, if these are the first ones of the training set.
    samples: Option<usize>,
}

impl Excerpt {
    /// The part of `whole` that `look` selects.
    ///
    /// # Errors
    /// [`Error::Argument`] if the requested first samples are none at all.
    pub(super) fn new(
        whole: Box<dyn LoadedData>,
        look: QuickLook,
        batching: Batching,
        device: &Device,
    ) -> Result<Self> {
        let mut excerpt = Self { whole, look, samples: None };
        let Some(asked) = look.overfit else { return Ok(excerpt) };
        let all = excerpt.whole.samples(DataSplit::Train);
        // A slice of a loader that reaches the last full batch includes the incomplete one as well.
        let asked = if excerpt.cuts_samples() && asked >= batching.used(all) { all } else { asked.min(all) };
        // Links come in pairs of samples, so there may be fewer than requested.
        let found = excerpt.whole.eval_loader(DataSplit::Train, all.max(1), device)?.slice(0, asked).num_items();
        if found == 0 {
            let needed = format!("enough for at least one of the {all} training samples");
            return Err(Error::argument("QuickLook", "samples to overfit", asked, needed));
        }
        excerpt.samples = Some(found);
        Ok(excerpt)
    }

    /// Whether an epoch divides its samples into batches, as opposed to a number of steps that each use all of them.
    fn cuts_samples(&self) -> bool {
        let steps = |size: usize| self.whole.steps_per_epoch(size.into());
        let samples = self.whole.samples(DataSplit::Train);
        steps(1) == samples && steps(samples.max(1)) == samples.min(1)
    }

    /// Number of steps of an epoch without a limit.
    fn all_steps(&self, batching: Batching) -> usize {
        match self.samples {
            Some(samples) if self.cuts_samples() => batching.count(samples),
            _ => self.whole.steps_per_epoch(batching),
        }
    }

    fn is_graph(&self) -> bool {
        matches!(self.whole.input(), RowShape::Nodes(_))
    }
}

impl LoadedData for Excerpt {
    fn input(&self) -> RowShape {
        self.whole.input()
    }

    fn classes(&self) -> usize {
        self.whole.classes()
    }

    fn class_names(&self) -> Vec<String> {
        self.whole.class_names()
    }

    fn samples(&self, split: DataSplit) -> usize {
        self.samples.unwrap_or_else(|| self.whole.samples(split))
    }

    fn describe(&self) -> String {
        format!("{}; quick look: {}", self.whole.describe(), self.look)
    }

    fn fingerprint(&self) -> String {
        let mut print = Fingerprint::default();
        print.numbers(self.whole.fingerprint().bytes().map(u64::from));
        print.numbers([self.look.overfit, self.look.limit_batches].map(|number| number.unwrap_or(0) as u64));
        print.finish()
    }

    fn warnings(&self) -> Vec<ConfigError> {
        self.whole.warnings()
    }

    fn rows_per_step(&self, batch_size: usize) -> usize {
        let rows = self.whole.rows_per_step(batch_size);
        match self.samples {
            Some(samples) if !self.is_graph() => rows.min(samples),
            _ => rows,
        }
    }

    fn smallest_step(&self, batching: Batching) -> usize {
        let all = self.all_steps(batching);
        match (all, self.look.limit_batches) {
            (0, _) => 0,
            // The last, incomplete batch of an epoch is not reached.
            (_, Some(limit)) if limit < all => self.rows_per_step(batching.size),
            _ => self.rows_per_step(batching.smallest(self.samples(DataSplit::Train))),
        }
    }

    fn steps_per_epoch(&self, batching: Batching) -> usize {
        let all = self.all_steps(batching);
        self.look.limit_batches.map_or(all, |limit| limit.min(all))
    }

    fn train_loader(
        &self,
        batching: Batching,
        first_epoch: u64,
        workers: usize,
        device: &Device,
    ) -> Result<Arc<dyn DataLoader<Batch>>> {
        let mut loader = self.whole.train_loader(batching, first_epoch, workers, device)?;
        if let Some(samples) = self.samples {
            // A graph contains its samples once in every step.
            let times = loader.num_items() / self.whole.samples(DataSplit::Train).max(1);
            loader = loader.slice(0, samples * times.max(1));
        }
        let all = self.all_steps(batching);
        let Some(limit) = self.look.limit_batches.filter(|limit| *limit < all) else { return Ok(loader) };
        let items = match self.cuts_samples() {
            true => loader.num_items().min(limit.saturating_mul(batching.size)),
            false => loader.num_items() / all * limit,
        };
        Ok(Arc::new(Limited::new(loader, limit, items)))
    }

    /// The training set is not limited here: a greedy schedule caches the outputs of finished blocks for all of it.
    fn eval_loader(&self, split: DataSplit, batch_size: usize, device: &Device) -> Result<Arc<dyn DataLoader<Batch>>> {
        let loader = match self.samples {
            Some(samples) => self.whole.eval_loader(DataSplit::Train, batch_size, device)?.slice(0, samples),
            None => self.whole.eval_loader(split, batch_size, device)?,
        };
        match self.look.limit_batches {
            // A graph is evaluated in one batch.
            Some(limit) if split != DataSplit::Train && !self.is_graph() => {
                let items = loader.num_items().min(limit.saturating_mul(batch_size));
                Ok(Arc::new(Limited::new(loader, limit, items)))
            }
            _ => Ok(loader),
        }
    }

    fn graph_view(&self) -> Option<GraphView> {
        let mut view = self.whole.graph_view()?;
        if let Some(samples) = self.samples {
            view.known.truncate(samples);
            view.test = view.known.clone();
        }
        Some(view)
    }

    fn pixels(&self) -> Option<PixelScaling> {
        self.whole.pixels()
    }

    fn signature(&self) -> ModelSignature {
        self.whole.signature()
    }
}
