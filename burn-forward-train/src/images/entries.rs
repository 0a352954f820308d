//! The image data sets as rows of the registry.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use burn_forward::activation::RowShape;
use burn_forward::data::{
    Batch, Batching, DataEntry, DataFolders, DataSpec, DataSplit, Fingerprint, LoadedData, ModelSignature,
    PixelScaling, data_entry,
};
use burn_forward::random::Seed;
use burn_forward::{ConfigError, Result};

use super::image_folder;
use super::{ChannelStatistics, DataConfig, DataName, ImageData, Splits};

/// The data sets of this crate.
pub fn data_entries() -> Vec<DataEntry> {
    [
        (DataName::Digits, "UCI optical digits, 8x8, embedded in the program"),
        (DataName::Mnist, "MNIST, 28x28"),
        (DataName::FashionMnist, "Fashion-MNIST, 28x28"),
        (DataName::Cifar10, "CIFAR-10, 3x32x32"),
        (DataName::Cifar100, "CIFAR-100 with its fine labels, 3x32x32"),
        (DataName::Idx, "any four files in IDX format, in the folder \"path\""),
    ]
    .map(|(name, about)| data_entry::<DataConfig>(name.name(), about))
    .into_iter()
    .chain([image_folder::row()])
    .collect()
}

impl DataSpec for DataConfig {
    fn check(&self) -> Vec<ConfigError> {
        DataConfig::check(self)
    }

    fn validates(&self) -> bool {
        self.validation > 0.0
    }

    fn shape(&self) -> Option<(RowShape, usize)> {
        let [channels, height, width] = self.name.shape()?;
        Some((RowShape::Maps { channels, height, width }, self.name.classes()?))
    }

    fn is_there(&self, folders: &DataFolders) -> bool {
        self.name == DataName::Digits || self.folder(folders).is_ok()
    }

    fn cacheable(&self) -> Result<(), String> {
        self.preparation().cacheable()
    }

    fn load(&self, folders: &DataFolders, seed: Seed) -> Result<Box<dyn LoadedData>> {
        Ok(Box::new(ImageData::load(self, folders, seed)?))
    }

    fn load_test(&self, folders: &DataFolders, seed: Seed, trained: &ModelSignature) -> Result<Box<dyn LoadedData>> {
        Ok(Box::new(ImageData::load_test(self, folders, seed, trained)?))
    }
}

impl LoadedData for ImageData {
    fn input(&self) -> RowShape {
        let [channels, height, width] = self.splits.train.set().shape();
        RowShape::Maps { channels, height, width }
    }

    fn classes(&self) -> usize {
        self.splits.train.set().classes()
    }

    fn class_names(&self) -> Vec<String> {
        self.class_names.clone()
    }

    fn samples(&self, split: DataSplit) -> usize {
        self.part(split).len()
    }

    fn describe(&self) -> String {
        self.splits.sizes().to_string()
    }

    fn fingerprint(&self) -> String {
        let mut print = Fingerprint::default();
        let Splits { train, validation, test } = &self.splits;
        for set in [train.set(), test.set()] {
            let shape = set.shape().map(|n| n as u64);
            print.numbers(shape.into_iter().chain([
                set.len() as u64,
                set.classes() as u64,
                set.scale().to_bits().into(),
            ]));
            print.numbers(set.labels().iter().map(|label| u64::from(*label)));
            print.bytes(set.pixels());
        }
        for part in [train, validation, test] {
            print.numbers(part.rows().iter().map(|row| u64::from(*row)));
        }
        print.finish()
    }

    fn warnings(&self) -> Vec<ConfigError> {
        self.empty_classes().into_iter().collect()
    }

    fn train_loader(
        &self,
        batching: Batching,
        first_epoch: u64,
        workers: usize,
        device: &Device,
    ) -> Result<Arc<dyn DataLoader<Batch>>> {
        Ok(Arc::new(ImageData::train_loader(self, batching, first_epoch, device)?.with_workers(workers)))
    }

    fn eval_loader(&self, split: DataSplit, batch_size: usize, device: &Device) -> Result<Arc<dyn DataLoader<Batch>>> {
        Ok(Arc::new(ImageData::eval_loader(self, self.part(split), batch_size, device)?))
    }

    fn pixels(&self) -> Option<PixelScaling> {
        let ChannelStatistics { mean, std } = self.normaliser.statistics().clone();
        Some(PixelScaling { scale: self.splits.train.set().scale(), mean, std })
    }
}
