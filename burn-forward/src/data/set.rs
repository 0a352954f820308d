//! What a run needs from a data set.

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
    /// The samples that the weights are fitted to.
    Train,
    /// The samples that are held out to compare settings and epochs.
    Validation,
    /// The samples that are used once, at the end.
    Test,
}

/// The nodes of a small graph as samples, for a picture of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphView {
    /// Class of every node; `None` for a node without a class.
    pub classes: Vec<Option<usize>>,
    /// Pairs of connected nodes.
    pub edges: Vec<[usize; 2]>,
    /// Nodes whose classes are used in training.
    pub known: Vec<usize>,
    /// Nodes of the test, in order.
    pub test: Vec<usize>,
}

/// A data set in memory, as used by training and evaluation.
pub trait LoadedData: Debug + Send + Sync {
    /// Shape of an input row.
    fn input(&self) -> RowShape;

    /// Number of classes.
    fn classes(&self) -> usize;

    /// Name of every class; empty if the data set has no names.
    fn class_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Number of labelled samples in a split.
    fn samples(&self, split: DataSplit) -> usize;

    /// One line for the user: sizes of the splits, shape of a sample, number of classes.
    fn describe(&self) -> String;

    /// SHA-256 of everything that training and evaluation use, in hexadecimal digits: the samples, their labels and their
    /// split. A resumed run rejects data with another fingerprint.
    fn fingerprint(&self) -> String;

    /// Warnings: properties of the data that are permitted but that the user should know, with the setting that would change
    /// them.
    fn warnings(&self) -> Vec<ConfigError> {
        Vec::new()
    }

    /// Number of rows that pass through the network in a step of `batch_size` samples; on a graph, all its nodes.
    fn rows_per_step(&self, batch_size: usize) -> usize {
        batch_size.min(self.samples(DataSplit::Train))
    }

    /// Number of rows that pass through the network in the smallest step of an epoch; 0 if an epoch has no step.
    fn smallest_step(&self, batching: Batching) -> usize {
        match self.steps_per_epoch(batching) {
            0 => 0,
            _ => self.rows_per_step(batching.smallest(self.samples(DataSplit::Train))),
        }
    }

    /// Number of steps in an epoch, which equals the number of batches of the [loader](Self::train_loader).
    fn steps_per_epoch(&self, batching: Batching) -> usize {
        batching.count(self.samples(DataSplit::Train))
    }

    /// Training batches, starting with `first_epoch` (from 1), in an order that is a function of the seed and the epoch.
    /// `workers` threads assemble batches in advance.
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

    /// Batches of a split in its own order, without augmentation.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for a batch size of 0.
    fn eval_loader(&self, split: DataSplit, batch_size: usize, device: &Device) -> Result<Arc<dyn DataLoader<Batch>>>;

    /// The edges between the samples, if they are the nodes of a graph small enough to be drawn.
    fn graph_view(&self) -> Option<GraphView> {
        None
    }

    /// How pixels are converted to inputs, if the inputs are images.
    fn pixels(&self) -> Option<PixelScaling> {
        None
    }

    /// Description of the input and output of a network that is trained on this data.
    fn signature(&self) -> ModelSignature {
        let (input, classes) = (self.input(), self.classes());
        ModelSignature { input, classes, class_names: self.class_names(), pixels: self.pixels() }
    }
}

/// The settings of a data set, before any file is read.
pub trait DataSpec: Debug + Send + Sync {
    /// All mistakes that can be found without the files, with their paths in the config (`$.data...`).
    fn check(&self) -> Vec<ConfigError> {
        Vec::new()
    }

    /// Whether there will be a validation set.
    fn validates(&self) -> bool;

    /// Shape of an input row and number of classes, if the settings alone determine them.
    fn shape(&self) -> Option<(RowShape, usize)> {
        None
    }

    /// Whether the folder or file of the data set exists; its content is not checked.
    fn is_there(&self, folders: &DataFolders) -> bool;

    /// Checks that training samples are the same in every epoch, so that the outputs of blocks for them can be cached.
    ///
    /// # Errors
    /// The reason why they are not, for the user.
    fn cacheable(&self) -> Result<(), String> {
        Ok(())
    }

    /// Reads, splits and checks the data set.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for settings that do not fit what was found,
    /// [`Error::Data`](crate::Error::Data) and [`Error::Io`](crate::Error::Io) for missing or damaged files.
    fn load(&self, folders: &DataFolders, seed: Seed) -> Result<Box<dyn LoadedData>>;

    /// Reads the test set for a network that was trained before. The other splits may be empty: the network's signature
    /// contains what would have to be computed from them.
    ///
    /// # Errors
    /// The errors of [`load`](Self::load), and [`Error::Data`](crate::Error::Data) for samples that the network does not
    /// accept.
    fn load_test(&self, folders: &DataFolders, seed: Seed, trained: &ModelSignature) -> Result<Box<dyn LoadedData>> {
        let _ = trained;
        self.load(folders, seed)
    }
}
