//! Node features together with their graph.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_forward_kernels::shape;
use burn_forward_kernels::sparse::Sparse;

use crate::device::autodiff_leaf;
use crate::pieces::normalisation::Normalisation;

/// Node features together with their graph.
///
/// This crate passes the graph on without looking into it; only the layers that created it know its type.
#[derive(Clone)]
pub struct Nodes {
    /// Node features `[N, d]`.
    pub features: NodeFeatures,
    /// What the labels of the batch belong to, in the same order.
    pub labelled: Labelled,
    /// The graph.
    pub graph: Arc<dyn Any + Send + Sync>,
    /// Results that layers have computed from these very features, if the features will be used again. Any change to the
    /// features drops the cache.
    pub feature_cache: Option<FeatureCache>,
}

/// What the labels on a graph belong to.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one per activation; a box would only add an allocation")]
pub enum Labelled {
    /// Every node.
    All,
    /// These nodes `[B]`.
    Rows(Tensor<1, Int>),
    /// Pairs of nodes `(i, j)`, `[P]` each, whose features are the products `z_i z_j`.
    Pairs(Tensor<1, Int>, Tensor<1, Int>),
}

impl Labelled {
    /// The labelled features: rows of `features` `[N, d]`, or products of two rows.
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

/// Named results that depend on one set of features alone. They are computed once and shared by all copies of the features.
///
/// Only results without parameters can be cached: an aggregation over neighbours, but not the output of a layer.
#[derive(Clone, Default)]
pub struct FeatureCache {
    made: Arc<Mutex<Made>>,
    read: Option<Arc<RequiredRows>>,
}

/// Values of any type, by name.
type Made = Vec<(String, Arc<dyn Any + Send + Sync>)>;

impl FeatureCache {
    /// A cache for the input of a layer of whose output only these rows are required, so that the layer computes no others.
    pub fn for_rows(rows: RequiredRows) -> Self {
        Self { read: Some(Arc::new(rows)), ..Self::default() }
    }

    /// The required rows of the layer's output; `None` for all rows.
    pub fn required_rows(&self) -> Option<&Arc<RequiredRows>> {
        self.read.as_ref()
    }

    /// The result called `name`, computed by `make` if it is not cached yet. A tensor in it must not have an autodiff graph.
    pub fn get_or_make<T: Any + Clone + Send + Sync>(&self, name: &str, make: impl FnOnce() -> T) -> T {
        let found =
            |made: &Made| made.iter().find(|(n, _)| n == name).and_then(|(_, v)| v.downcast_ref::<T>().cloned());
        if let Some(kept) = found(&self.made()) {
            return kept;
        }
        // Not under the lock: `make` may need another cached result.
        let value = make();
        self.made().push((name.to_string(), Arc::new(value.clone())));
        value
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rows of a layer's output that a rule requires while only this layer learns: the labelled nodes in the order of their
/// labels, followed by others that the rule needs.
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

    /// The indices of the rows `[M]`, in order.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Selects these rows of `x`.
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

/// Features of nodes `[N, d]`: a dense tensor, or constant sparse columns followed by dense ones.
///
/// Code that does not support sparse features gets a dense copy.
#[derive(Debug, Clone)]
pub enum NodeFeatures {
    /// A tensor.
    Dense(Tensor<2>),
    /// Sparse columns, which come first, on a backend that [has sparse products](Sparse::works_on).
    Sparse {
        /// The sparse columns.
        sparse: Arc<Sparse>,
        /// The dense columns that follow.
        appended: Option<Tensor<2>>,
        /// The device on which the sparse columns are used in products.
        device: Device,
    },
}

impl From<Tensor<2>> for NodeFeatures {
    fn from(features: Tensor<2>) -> Self {
        Self::Dense(features)
    }
}

impl NodeFeatures {
    /// The representation of a sparse matrix on a device: sparse if that is faster, otherwise dense.
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

    /// The device of the features.
    pub fn device(&self) -> Device {
        match self {
            Self::Dense(x) => x.device(),
            Self::Sparse { device, .. } => device.clone(),
        }
    }

    /// The features as one tensor `[N, d]`.
    pub fn dense(&self) -> Tensor<2> {
        match self {
            Self::Dense(x) => x.clone(),
            Self::Sparse { sparse, appended: None, device } => sparse.dense(device),
            Self::Sparse { sparse, appended: Some(appended), device } => {
                Tensor::cat(vec![sparse.dense(device), appended.clone()], 1)
            }
        }
    }

    /// `N(x) W`, the product with normalised rows.
    ///
    /// # Shapes
    /// - `weight`: `[d, w]`; returns `[N, w]`.
    ///
    /// # Panics
    /// If the weights are for another number of features.
    pub fn normalised_product(&self, normaliser: Normalisation, weight: Tensor<2>) -> Tensor<2> {
        shape::check("product of features", "weights", weight.dims(), [Some(self.width()), None]);
        let dense = || normaliser.forward(self.dense()).matmul(weight.clone());
        let Self::Sparse { sparse, appended, device } = self else { return dense() };
        if appended.is_none()
            && let Some(sparse) = normalised_once(sparse, normaliser)
        {
            // A row can be divided by its norm before or after the product. Before it there are fewer values, and the result
            // can be cached.
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

    /// The features with normalised rows.
    pub fn normalised(&self, normaliser: Normalisation) -> Self {
        if let Self::Sparse { sparse, appended: None, device } = self
            && let Some(sparse) = normalised(sparse, normaliser)
        {
            return Self::Sparse { sparse: Arc::new(sparse), appended: None, device: device.clone() };
        }
        Self::Dense(normaliser.forward(self.dense()))
    }

    /// The features of these rows alone.
    pub fn read(&self, rows: &RequiredRows) -> Self {
        if let Self::Sparse { sparse, appended, device } = self
            && let Ok(sparse) = sparse.select_rows(rows.rows())
        {
            let appended = appended.as_ref().map(|columns| rows.of(columns.clone()));
            return Self::Sparse { sparse: Arc::new(sparse), appended, device: device.clone() };
        }
        Self::Dense(rows.of(self.dense()))
    }

    /// The features with more columns appended.
    ///
    /// # Shapes
    /// - `columns`: `[N, w]`.
    ///
    /// # Panics
    /// If the number of rows differs.
    pub fn with_columns(&self, columns: Tensor<2>) -> Self {
        shape::check("columns after features", "columns", columns.dims(), [Some(self.rows()), None]);
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

    /// The features with more rows appended.
    ///
    /// # Shapes
    /// - `rows`: `[n, d]`.
    ///
    /// # Panics
    /// If the number of features differs.
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

    /// Applies `f` to each tensor and `device` to the device.
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

/// The matrix with normalised rows; `None` for a normalisation that does more than divide rows.
fn normalised(matrix: &Sparse, normaliser: Normalisation) -> Option<Sparse> {
    let [_, columns] = matrix.shape();
    let divisor = |squared: &f32| normaliser.divisor_of(*squared, columns as f32);
    let divisors: Option<Vec<f32>> = matrix.squared_lengths().iter().map(divisor).collect();
    matrix.divide_rows(&divisors?).ok()
}

/// Like [`normalised`], computed once.
fn normalised_once(matrix: &Arc<Sparse>, normaliser: Normalisation) -> Option<Arc<Sparse>> {
    if normaliser == Normalisation::None {
        return Some(matrix.clone());
    }
    matrix.cached(normaliser.name(), |matrix| normalised(matrix, normaliser))
}

/// Density below which a sparse product is faster than a dense one.
const DENSITY: f64 = 0.05;

#[cfg(test)]
mod tests;
