//! Node features with the graph they live on.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_forward_kernels::shape;
use burn_forward_kernels::sparse::Sparse;

use crate::device::autodiff_leaf;
use crate::pieces::normalisation::Normalisation;

/// Node features with the graph they live on.
///
/// This crate moves the graph along and never looks into it; the layers that made it know its type.
#[derive(Clone)]
pub struct Nodes {
    /// Node features `[N, d]`.
    pub features: NodeFeatures,
    /// What the labels of the batch belong to, in their order.
    pub labelled: Labelled,
    /// The graph.
    pub graph: Arc<dyn Any + Send + Sync>,
    /// What layers made of these very features, for features that will be seen again. Anything that changes the features
    /// drops it.
    pub feature_cache: Option<FeatureCache>,
}

/// What labels on a graph belong to.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one of these per activation; a box would only add an allocation")]
pub enum Labelled {
    /// Every node.
    All,
    /// These nodes `[B]`.
    Rows(Tensor<1, Int>),
    /// Pairs of nodes `(i, j)`, `[P]` each; their features are the products `z_i z_j`.
    Pairs(Tensor<1, Int>, Tensor<1, Int>),
}

impl Labelled {
    /// Features of what is labelled: rows of `features` `[N, d]`, or products of two rows.
    pub fn of(&self, features: Tensor<2>) -> Tensor<2> {
        match self {
            Self::All => features,
            Self::Rows(rows) => features.select(0, rows.clone()),
            Self::Pairs(i, j) => features.clone().select(0, i.clone()) * features.select(0, j.clone()),
        }
    }

    pub(super) fn map(self, f: impl Fn(Tensor<1, Int>) -> Tensor<1, Int>) -> Self {
        match self {
            Self::All => Self::All,
            Self::Rows(rows) => Self::Rows(f(rows)),
            Self::Pairs(i, j) => Self::Pairs(f(i), f(j)),
        }
    }
}

/// Results by name that belong to one set of features, made once and shared by all copies of it.
///
/// Only what has no parameters in it can be kept: an aggregation over neighbours, not a layer's output.
#[derive(Clone, Default)]
pub struct FeatureCache {
    made: Arc<Mutex<Made>>,
    read: Option<Arc<RequiredRows>>,
}

/// Values of any type, by name.
type Made = Vec<(String, Arc<dyn Any + Send + Sync>)>;

impl FeatureCache {
    /// A cache for the input of a layer of whose output only these rows are required: the layer then computes no others.
    pub fn for_rows(rows: RequiredRows) -> Self {
        Self { read: Some(Arc::new(rows)), ..Self::default() }
    }

    /// The rows of the layer's output that are required; `None`: all.
    pub fn required_rows(&self) -> Option<&Arc<RequiredRows>> {
        self.read.as_ref()
    }

    /// The result called `name`, made by `make` where it is not there yet. A tensor in it must have no autodiff graph.
    pub fn get_or_make<T: Any + Clone + Send + Sync>(&self, name: &str, make: impl FnOnce() -> T) -> T {
        let found =
            |made: &Made| made.iter().find(|(n, _)| n == name).and_then(|(_, v)| v.downcast_ref::<T>().cloned());
        if let Some(kept) = found(&self.made()) {
            return kept;
        }
        // Not under the lock: what is made may be made of something else that is kept.
        let value = make();
        self.made().push((name.to_string(), Arc::new(value.clone())));
        value
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows of a layer's output that a rule requires while only this layer learns: the labelled nodes in the order of their labels,
/// then others that the rule needs.
#[derive(Debug, Clone)]
pub struct RequiredRows {
    rows: Vec<u32>,
    index: Tensor<1, Int>,
    labelled: usize,
}

impl RequiredRows {
    /// The labelled rows `[B]`, then `others`.
    pub fn new(labelled: &Tensor<1, Int>, others: impl IntoIterator<Item = u32>) -> Self {
        let device = labelled.device();
        let mut rows: Vec<u32> = labelled.to_data().iter::<i64>().map(|row| row as u32).collect();
        let labelled = rows.len();
        rows.extend(others);
        let values: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
        let index = Tensor::from_data(TensorData::new(values, [rows.len()]), &device);
        Self { rows, index, labelled }
    }

    /// Their numbers `[M]`, in order.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Those rows of `x`.
    ///
    /// # Shapes
    /// - `x`: `[N, d]`; returns `[M, d]`.
    pub fn of(&self, x: Tensor<2>) -> Tensor<2> {
        x.select(0, self.index.clone())
    }

    /// The labelled rows among these.
    pub fn labelled(&self) -> Labelled {
        Labelled::Rows(Tensor::arange(0..self.labelled as i64, &self.index.device()))
    }
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nodes").field("features", &self.features).finish_non_exhaustive()
    }
}

/// Features of nodes `[N, d]`: a dense tensor, or sparse columns that never change, followed by dense ones.
///
/// Code that does not handle sparse features gets a dense copy.
#[derive(Debug, Clone)]
pub enum NodeFeatures {
    /// A tensor.
    Dense(Tensor<2>),
    /// The sparse columns, which come first, where the backend [has products of such](Sparse::works_on).
    Sparse {
        /// The columns in front.
        sparse: Arc<Sparse>,
        /// Dense columns that follow.
        appended: Option<Tensor<2>>,
        /// The device on which the sparse columns take part in products.
        device: Device,
    },
}

impl From<Tensor<2>> for NodeFeatures {
    fn from(features: Tensor<2>) -> Self {
        Self::Dense(features)
    }
}

impl NodeFeatures {
    /// A sparse matrix as it is used on a device: sparse, where that pays.
    pub fn of(matrix: &Arc<Sparse>, device: &Device) -> Self {
        let [rows, columns] = matrix.shape();
        let pays = (matrix.entries() as f64) < DENSITY * (rows * columns) as f64;
        if pays && Sparse::works_on(device) {
            return Self::Sparse { sparse: matrix.clone(), appended: None, device: device.clone() };
        }
        Self::Dense(matrix.dense(device))
    }

    /// Number of nodes `N`.
    pub fn rows(&self) -> usize {
        match self {
            Self::Dense(x) => x.dims()[0],
            Self::Sparse { sparse, .. } => sparse.shape()[0],
        }
    }

    /// Number of features `d`.
    pub fn width(&self) -> usize {
        match self {
            Self::Dense(x) => x.dims()[1],
            Self::Sparse { sparse, appended, .. } => sparse.shape()[1] + appended.as_ref().map_or(0, |b| b.dims()[1]),
        }
    }

    /// Where they are.
    pub fn device(&self) -> Device {
        match self {
            Self::Dense(x) => x.device(),
            Self::Sparse { device, .. } => device.clone(),
        }
    }

    /// As one tensor `[N, d]`.
    pub fn dense(&self) -> Tensor<2> {
        match self {
            Self::Dense(x) => x.clone(),
            Self::Sparse { sparse, appended: None, device } => sparse.dense(device),
            Self::Sparse { sparse, appended: Some(appended), device } => {
                Tensor::cat(vec![sparse.dense(device), appended.clone()], 1)
            }
        }
    }

    /// `N(x) W`, of rows that are normalised first.
    ///
    /// # Shapes
    /// - `weight`: `[d, w]`; returns `[N, w]`.
    ///
    /// # Panics
    /// With weights for another number of features.
    pub fn normalised_product(&self, normaliser: Normalisation, weight: Tensor<2>) -> Tensor<2> {
        shape::check("product of features", "weights", weight.dims(), [Some(self.width()), None]);
        let dense = || normaliser.forward(self.dense()).matmul(weight.clone());
        let Self::Sparse { sparse, appended, device } = self else { return dense() };
        if appended.is_none()
            && let Some(sparse) = normalised_once(sparse, normaliser)
        {
            // A row is divided by one number, before the product or after it: before it there are fewer, and once is enough.
            return sparse.product(&weight).unwrap_or_else(dense);
        }
        let [_, columns] = sparse.shape();
        let [width, _] = weight.dims();
        let in_front = if appended.is_some() { weight.clone().narrow(0, 0, columns) } else { weight.clone() };
        let Some(mut sum) = sparse.product(&in_front) else { return dense() };
        if let Some(appended) = appended {
            sum = sum + appended.clone().matmul(weight.clone().narrow(0, columns, width - columns));
        }
        if normaliser == Normalisation::None {
            return sum;
        }
        let mut squares = sparse.squared_lengths_on(device);
        if let Some(appended) = appended {
            squares = squares + appended.clone().square().sum_dim(1);
        }
        normaliser.divisor(squares, width).map_or_else(dense, |divisor| sum / divisor)
    }

    /// With rows normalised.
    pub fn normalised(&self, normaliser: Normalisation) -> Self {
        if let Self::Sparse { sparse, appended: None, device } = self
            && let Some(sparse) = normalised(sparse, normaliser)
        {
            return Self::Sparse { sparse: Arc::new(sparse), appended: None, device: device.clone() };
        }
        Self::Dense(normaliser.forward(self.dense()))
    }

    /// Only these rows.
    pub fn read(&self, rows: &RequiredRows) -> Self {
        if let Self::Sparse { sparse, appended, device } = self
            && let Ok(sparse) = sparse.select_rows(rows.rows())
        {
            let appended = appended.as_ref().map(|columns| rows.of(columns.clone()));
            return Self::Sparse { sparse: Arc::new(sparse), appended, device: device.clone() };
        }
        Self::Dense(rows.of(self.dense()))
    }

    /// With more columns appended.
    ///
    /// # Shapes
    /// - `columns`: `[N, w]`.
    ///
    /// # Panics
    /// With another number of rows.
    pub fn with_columns(&self, columns: Tensor<2>) -> Self {
        shape::check("columns behind features", "columns", columns.dims(), [Some(self.rows()), None]);
        match self {
            Self::Dense(x) => Self::Dense(Tensor::cat(vec![x.clone(), columns], 1)),
            Self::Sparse { sparse, appended, device } => {
                let appended = match appended {
                    Some(appended) => Tensor::cat(vec![appended.clone(), columns], 1),
                    None => columns,
                };
                Self::Sparse { sparse: sparse.clone(), appended: Some(appended), device: device.clone() }
            }
        }
    }

    /// With more rows below.
    ///
    /// # Shapes
    /// - `rows`: `[n, d]`.
    ///
    /// # Panics
    /// With another number of features.
    pub fn with_rows(&self, rows: Tensor<2>) -> Self {
        shape::check("rows below features", "rows", rows.dims(), [None, Some(self.width())]);
        if let Self::Sparse { sparse, appended: None, device } = self {
            let values: Vec<f32> = rows.to_data().iter::<f32>().collect();
            if let Ok(sparse) = sparse.with_rows_cached(values) {
                return Self::Sparse { sparse, appended: None, device: device.clone() };
            }
        }
        Self::Dense(Tensor::cat(vec![self.dense(), rows], 0))
    }

    /// With another tensor for each, and on another device.
    fn map(self, device: impl FnOnce(Device) -> Device, f: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Self {
        match self {
            Self::Dense(x) => Self::Dense(f(x)),
            Self::Sparse { sparse, appended, device: own } => {
                Self::Sparse { sparse, appended: appended.map(f), device: device(own) }
            }
        }
    }

    /// See [`Activation::detach`](super::Activation::detach).
    pub fn detach(self) -> Self {
        self.map(|d| d, Tensor::detach)
    }

    /// See [`Activation::without_autodiff`](super::Activation::without_autodiff).
    pub fn without_autodiff(self) -> Self {
        self.map(Device::inner, Tensor::without_autodiff)
    }

    /// See [`Activation::with_autodiff`](super::Activation::with_autodiff).
    pub fn with_autodiff(self, device: &Device) -> Self {
        self.map(|_| device.clone(), |columns| autodiff_leaf(columns, device))
    }

    /// See [`AnyActivation::to_device`](super::AnyActivation::to_device).
    pub fn to_device(self, device: &Device) -> Self {
        match self {
            Self::Sparse { sparse, appended: None, .. } => Self::of(&sparse, device),
            other => Self::Dense(other.dense().to_device(device)),
        }
    }
}

/// With its rows normalised; `None` for a normaliser that does more than to divide rows.
fn normalised(matrix: &Sparse, normaliser: Normalisation) -> Option<Sparse> {
    let [_, columns] = matrix.shape();
    let divisor = |squared: &f32| normaliser.divisor_of(*squared, columns as f32);
    let divisors: Option<Vec<f32>> = matrix.squared_lengths().iter().map(divisor).collect();
    matrix.divide_rows(&divisors?).ok()
}

/// As [`normalised`], made once.
fn normalised_once(matrix: &Arc<Sparse>, normaliser: Normalisation) -> Option<Arc<Sparse>> {
    if normaliser == Normalisation::None {
        return Some(matrix.clone());
    }
    matrix.cached(normaliser.name(), |matrix| normalised(matrix, normaliser))
}

/// Fraction of entries below which a sparse product takes less time than a dense one.
const DENSITY: f64 = 0.05;

#[cfg(test)]
mod tests;
