//! A data set of rows in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::seq::SliceRandom;

use super::{Batch, BatchKey, Batching, DataSplit, Fingerprint, LoadedData};
use crate::activation::{Activation, AnyActivation, RowShape};
use crate::random::Seed;
use crate::{Error, Result};

/// Rows of features or images in memory, each with a class, for data sets of your own.
///
/// ```
/// use burn_forward::activation::RowShape;
/// use burn_forward::data::{DataSplit, LoadedData, Rows};
/// use burn_forward::random::Seed;
///
/// // Ten rows of two features; every other row has class 1.
/// let values = (0..20).map(|i| i as f32).collect();
/// let rows = Rows::new(RowShape::Features(2), values, (0..10).map(|i| i % 2).collect(), 2)?;
/// let data = rows.split([0.2, 0.2], Seed::new(0))?;
/// assert_eq!(data.samples(DataSplit::Train), 6);
/// assert_eq!(data.samples(DataSplit::Test), 2);
/// # Ok::<(), burn_forward::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rows {
    table: Arc<Table>,
    /// Rows of the training, validation and test set.
    parts: [Arc<[u32]>; 3],
    seed: Seed,
}

#[derive(Debug)]
struct Table {
    shape: RowShape,
    values: Vec<f32>,
    labels: Vec<u32>,
    classes: usize,
}

impl Rows {
    /// All rows as a training set.
    ///
    /// # Shapes
    /// - `values`: `[N, d]` row by row, or `[N, C, H, W]` for maps.
    /// - `labels`: `[N]`, each in `0..classes`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the number of values does not match the labels, a value is not finite, a label is not a class,
    /// or the rows are the nodes of a graph, which are not independent.
    pub fn new(shape: RowShape, values: Vec<f32>, labels: Vec<u32>, classes: usize) -> Result<Self> {
        let refuse = |what: &str, given: String, needed: String| Err(Error::argument("Rows", what, given, needed));
        if matches!(shape, RowShape::Nodes(_)) {
            return refuse("shape of a row", shape.to_string(), "features or maps".into());
        }
        if values.len() != labels.len() * shape.len() {
            let needed = format!("{}: {} rows of {}", labels.len() * shape.len(), labels.len(), shape.len());
            return refuse("number of values", values.len().to_string(), needed);
        }
        if let Some(i) = values.iter().position(|value| !value.is_finite()) {
            return refuse(&format!("value {i}"), values[i].to_string(), "finite".into());
        }
        if let Some(i) = labels.iter().position(|label| *label as usize >= classes) {
            return refuse(&format!("label of row {i}"), labels[i].to_string(), format!("less than {classes}"));
        }
        let all = (0..labels.len() as u32).collect();
        let table = Arc::new(Table { shape, values, labels, classes });
        Ok(Self { table, parts: [all, Arc::new([]), Arc::new([])], seed: Seed::default() })
    }

    /// All rows of a tensor as a training set: features, or images.
    ///
    /// # Shapes
    /// - `inputs`: `[N, d]`, or `[N, C, H, W]`.
    /// - `labels`: `[N]`, each in `0..classes`.
    ///
    /// # Errors
    /// The errors of [`new`](Self::new).
    pub fn from_tensors(inputs: impl Into<AnyActivation>, labels: &Tensor<1, Int>, classes: usize) -> Result<Self> {
        let inputs = inputs.into();
        let features = inputs.features();
        let shape = match &inputs {
            AnyActivation::Features(_) => RowShape::Features(features.dims()[1]),
            AnyActivation::Nodes(_) => RowShape::Nodes(features.dims()[1]),
            AnyActivation::Maps(maps) => {
                let [_, channels, height, width] = maps.dims();
                RowShape::Maps { channels, height, width }
            }
        };
        let class = |(i, label): (usize, i64)| {
            let refuse = |_| Error::argument("Rows", format!("label of row {i}"), label, "a class, from 0");
            u32::try_from(label).map_err(refuse)
        };
        let labels = labels.to_data().iter::<i64>().enumerate().map(class).collect::<Result<_>>()?;
        Self::new(shape, features.into_data().iter::<f32>().collect(), labels, classes)
    }

    /// Uses all training rows of `test` as the test set, for data that comes with one.
    ///
    /// # Errors
    /// [`Error::Argument`] if the rows have another shape, or the number of classes differs.
    pub fn with_test(self, test: &Self) -> Result<Self> {
        let (own, other) = (&self.table, &test.table);
        if (own.shape, own.classes) != (other.shape, other.classes) {
            let [given, needed] = [other, own].map(|t| format!("rows of {} in {} classes", t.shape, t.classes));
            return Err(Error::argument(
                "Rows::with_test",
                "test set",
                given,
                format!("{needed}, as in the training set"),
            ));
        }
        let first = own.labels.len() as u32;
        let table = Table {
            shape: own.shape,
            values: [own.values.as_slice(), &other.values].concat(),
            labels: [own.labels.as_slice(), &other.labels].concat(),
            classes: own.classes,
        };
        let [train, validation, _] = self.parts;
        let rows = test.parts[0].iter().map(|row| first + row).collect();
        Ok(Self { table: Arc::new(table), parts: [train, validation, rows], seed: self.seed })
    }

    /// Splits the training set into training, validation and test set: `fractions` of it are held out for validation and
    /// test, drawn from the stream `split` of `seed`, and added to any rows that are there already. `seed` also determines
    /// the order of the training rows in every epoch.
    ///
    /// # Errors
    /// [`Error::Argument`] for a negative fraction, or if no row is left to train on.
    pub fn split(self, fractions: [f64; 2], seed: Seed) -> Result<Self> {
        let mut order = self.parts[0].to_vec();
        let [validation, test] = fractions.map(|fraction| (fraction * order.len() as f64).round() as usize);
        if fractions.iter().any(|fraction| !(0.0..1.0).contains(fraction)) || validation + test >= order.len() {
            let given = format!("{fractions:?} of {} rows", order.len());
            return Err(Error::argument("Rows::split", "fractions", given, "in [0, 1), with rows left to train on"));
        }
        order.shuffle(&mut seed.stream("split", &[]));
        let (validation, rest) = order.split_at(validation);
        let (test, train) = rest.split_at(test);
        // Held-out rows keep the order of the table, so that predictions do, too.
        let sorted = |rows: &[u32], before: &[u32]| -> Arc<[u32]> {
            let mut rows = [rows, before].concat();
            rows.sort_unstable();
            rows.into()
        };
        let [_, validated, tested] = &self.parts;
        let parts = [sorted(train, &[]), sorted(validation, validated), sorted(test, tested)];
        Ok(Self { parts, seed, ..self })
    }

    fn part(&self, split: DataSplit) -> &Arc<[u32]> {
        match split {
            DataSplit::Train => &self.parts[0],
            DataSplit::Validation => &self.parts[1],
            DataSplit::Test => &self.parts[2],
        }
    }

    fn loader(&self, rows: &Arc<[u32]>, batching: Batching, epoch: Option<u64>, device: &Device) -> Result<RowsLoader> {
        Ok(RowsLoader {
            table: self.table.clone(),
            rows: rows.clone(),
            seed: self.seed,
            batching: batching.checked("Rows")?,
            epoch: epoch.map(AtomicU64::new),
            device: device.clone(),
        })
    }
}

impl LoadedData for Rows {
    fn input(&self) -> RowShape {
        self.table.shape
    }

    fn classes(&self) -> usize {
        self.table.classes
    }

    fn samples(&self, split: DataSplit) -> usize {
        self.part(split).len()
    }

    fn describe(&self) -> String {
        let [train, validation, test] = self.parts.each_ref().map(|part| part.len());
        let Table { shape, classes, .. } = self.table.as_ref();
        format!("train {train}, validation {validation}, test {test}; rows of {shape}; {classes} classes")
    }

    fn fingerprint(&self) -> String {
        let mut print = Fingerprint::default();
        print.numbers([self.table.shape.len() as u64, self.table.classes as u64]);
        print.numbers(self.table.labels.iter().map(|label| u64::from(*label)));
        print.numbers(self.table.values.iter().map(|value| u64::from(value.to_bits())));
        self.parts.iter().for_each(|part| print.numbers(part.iter().map(|row| u64::from(*row))));
        print.finish()
    }

    /// Rows are assembled on the calling thread, whatever the number of workers: the only work is copying them.
    fn train_loader(
        &self,
        batching: Batching,
        first_epoch: u64,
        _workers: usize,
        device: &Device,
    ) -> Result<Arc<dyn DataLoader<Batch>>> {
        if first_epoch == 0 {
            return Err(Error::argument("Rows", "first epoch", 0, "at least 1"));
        }
        Ok(Arc::new(self.loader(&self.parts[0], batching, Some(first_epoch), device)?))
    }

    fn eval_loader(&self, split: DataSplit, batch_size: usize, device: &Device) -> Result<Arc<dyn DataLoader<Batch>>> {
        Ok(Arc::new(self.loader(self.part(split), batch_size.into(), None, device)?))
    }
}

/// Batches of rows, without a random state: the order of an epoch is a function of the seed and the epoch.
struct RowsLoader {
    table: Arc<Table>,
    rows: Arc<[u32]>,
    seed: Seed,
    batching: Batching,
    /// The next epoch; `None` for evaluation.
    epoch: Option<AtomicU64>,
    device: Device,
}

impl RowsLoader {
    fn with(&self, rows: Arc<[u32]>, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(Self {
            table: self.table.clone(),
            rows,
            seed: self.seed,
            batching: self.batching,
            epoch: self.epoch.as_ref().map(|epoch| AtomicU64::new(epoch.load(Ordering::SeqCst))),
            device: device.clone(),
        })
    }

    /// The batch of the samples at these indices of the split.
    fn batch(&self, samples: &[u32], key: BatchKey) -> Batch {
        let Table { shape, values, labels, classes } = self.table.as_ref();
        let rows = || samples.iter().map(|sample| self.rows[*sample as usize] as usize);
        let (count, width) = (samples.len(), shape.len());
        let taken: Vec<f32> = rows().flat_map(|row| &values[row * width..][..width]).copied().collect();
        let targets: Vec<i32> = rows().map(|row| labels[row] as i32).collect();
        let inputs = match *shape {
            RowShape::Maps { channels, height, width } => {
                let data = TensorData::new(taken, [count, channels, height, width]);
                AnyActivation::Maps(Tensor::from_data(data, &self.device))
            }
            RowShape::Features(d) | RowShape::Nodes(d) => {
                AnyActivation::Features(Tensor::from_data(TensorData::new(taken, [count, d]), &self.device))
            }
        };
        let targets = Tensor::from_data(TensorData::new(targets, [count]), &self.device);
        Batch { inputs, targets, classes: *classes, key, samples: samples.into() }
    }
}

impl DataLoader<Batch> for RowsLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let epoch = self.epoch.as_ref().map(|epoch| epoch.fetch_add(1, Ordering::SeqCst));
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        if let Some(epoch) = epoch {
            order.shuffle(&mut self.seed.stream("order", &[epoch]));
        }
        Box::new(Epoch { loader: self, epoch: epoch.unwrap_or(0), order, next: 0 })
    }

    fn num_items(&self) -> usize {
        self.batching.used(self.rows.len())
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        self.with(self.rows.clone(), device)
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        let end = end.min(self.rows.len());
        self.with(self.rows[start.min(end)..end].into(), &self.device)
    }
}

/// One pass over the rows.
struct Epoch<'a> {
    loader: &'a RowsLoader,
    epoch: u64,
    order: Vec<u32>,
    next: usize,
}

impl Iterator for Epoch<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batching = self.loader.batching;
        let range = batching.range(self.next, self.order.len());
        if range.is_empty() {
            return None;
        }
        let key = BatchKey::new(self.epoch, self.next as u64, batching.count(self.order.len()));
        self.next += 1;
        Some(Ok(self.loader.batch(&self.order[range], key)))
    }
}

impl DataLoaderIterator<Batch> for Epoch<'_> {
    fn progress(&self) -> Progress {
        let (seen, all) = (self.next * self.loader.batching.size, self.loader.num_items());
        Progress::new(seen.min(all), all, Some("items".to_string()))
    }
}

#[cfg(test)]
mod tests;
