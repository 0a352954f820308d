//! What a run needs of a data set, images or not.

use std::fmt::Debug;
use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;

use super::{Batch, Batching, DataFolders, ModelSignature, PixelScaling};
use crate::activation::RowShape;
use crate::random::Seed;
use crate::{ConfigError, Result};

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataSplit {
    /// What weights are fitted to.
    Train,
    /// What is held out to compare settings and epochs.
    Validation,
    /// What is touched once, at the end.
    Test,
}

/// Samples that are the nodes of a small graph, for its picture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphView {
    /// Class of every node that has one.
    pub classes: Vec<Option<usize>>,
    /// Pairs of nodes that are joined.
    pub edges: Vec<[usize; 2]>,
    /// Nodes whose classes are known in training.
    pub known: Vec<usize>,
    /// Nodes that the test asks for, in its order.
    pub test: Vec<usize>,
}

/// A data set in memory, as training and evaluation use it.
pub trait LoadedData: Debug + Send + Sync {
    /// Shape of an input row.
    fn input(&self) -> RowShape;

    /// Number of classes.
    fn classes(&self) -> usize;

    /// Name of every class, where the set has names; empty where it has none.
    fn class_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Labelled samples of a part.
    fn samples(&self, split: DataSplit) -> usize;

    /// One line for the user: sizes of the parts, shape of a sample, number of classes.
    fn describe(&self) -> String;

    /// SHA-256 of everything that training and evaluation see, in hexadecimal digits: samples, labels and which part each is
    /// in. A run that goes on refuses data with another.
    fn fingerprint(&self) -> String;

    /// What the user should know of the data and nothing forbids, with the setting that would change it.
    fn warnings(&self) -> Vec<ConfigError> {
        Vec::new()
    }

    /// Rows that flow through the network in a step of so many samples: on a graph all its nodes.
    fn rows_per_step(&self, batch_size: usize) -> usize {
        batch_size.min(self.samples(DataSplit::Train))
    }

    /// Rows that flow through the network in the smallest step of an epoch; 0 if an epoch has no step.
    fn smallest_step(&self, batching: Batching) -> usize {
        match self.steps_per_epoch(batching) {
            0 => 0,
            _ => self.rows_per_step(batching.smallest(self.samples(DataSplit::Train))),
        }
    }

    /// Steps of an epoch: as many as the [loader](Self::train_loader) has batches.
    fn steps_per_epoch(&self, batching: Batching) -> usize {
        batching.count(self.samples(DataSplit::Train))
    }

    /// Training batches from `first_epoch` (from 1) on, in an order that is a function of the seed and the epoch, with
    /// `workers` threads that assemble batches ahead.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for a batch size or first epoch of 0.
    fn train_loader(
        &self,
        batching: Batching,
        first_epoch: u64,
        workers: usize,
        device: &Device,
    ) -> Result<Arc<dyn DataLoader<Batch>>>;

    /// Batches of a part in its own order, as they are.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for a batch size of 0.
    fn eval_loader(&self, split: DataSplit, batch_size: usize, device: &Device) -> Result<Arc<dyn DataLoader<Batch>>>;

    /// How samples are joined, where they are the nodes of a graph that is small enough to be looked at.
    fn graph_view(&self) -> Option<GraphView> {
        None
    }

    /// How pixels become inputs, where inputs are images.
    fn pixels(&self) -> Option<PixelScaling> {
        None
    }

    /// What a network that is trained on this data takes and gives.
    fn signature(&self) -> ModelSignature {
        let (input, classes) = (self.input(), self.classes());
        ModelSignature { input, classes, class_names: self.class_names(), pixels: self.pixels() }
    }
}

/// A data set's settings: what the config says, before a file is read.
pub trait DataSpec: Debug + Send + Sync {
    /// All mistakes that can be seen without the files, with their paths in the config (`$.data...`).
    fn check(&self) -> Vec<ConfigError> {
        Vec::new()
    }

    /// Whether there will be a validation part.
    fn validates(&self) -> bool;

    /// Shape of an input row and number of classes, where the settings alone say them.
    fn shape(&self) -> Option<(RowShape, usize)> {
        None
    }

    /// Whether the folder or file of the set is where it is looked for; says nothing about what is in it.
    fn is_there(&self, folders: &DataFolders) -> bool;

    /// Whether training samples are the same in every epoch, so that what blocks make of them can be kept; the error says
    /// why not.
    ///
    /// # Errors
    /// The reason, for the user.
    fn cacheable(&self) -> Result<(), String> {
        Ok(())
    }

    /// Reads, splits and measures the set.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for settings that do not fit what was found,
    /// [`Error::Data`](crate::Error::Data) and [`Error::Io`](crate::Error::Io) for missing or damaged files.
    fn load(&self, folders: &DataFolders, seed: Seed) -> Result<Box<dyn LoadedData>>;

    /// Reads the test part for a network that was trained before. Other parts may be empty: what would be measured on them,
    /// the network's signature says.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`Error::Data`](crate::Error::Data) for samples that the network does not take.
    fn load_test(&self, folders: &DataFolders, seed: Seed, trained: &ModelSignature) -> Result<Box<dyn LoadedData>> {
        let _ = trained;
        self.load(folders, seed)
    }
}
