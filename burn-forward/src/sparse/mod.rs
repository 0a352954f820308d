//! Constant sparse matrices, and their products with dense ones at the cost of the entries that are there.
//!
//! The features of nodes (which words a paper has) and who sends to whom are such matrices. Burn has no sparse tensors, but
//! takes operations of others: on the flex backend a product here is one pass over the entries, with its gradient. A gradient
//! flows to the dense factor alone. [`Sparse::attention`] is a product with weights that are learned.
//!
//! Elsewhere, and for other numbers than single precision, products are `None`, and the caller does it with Burn's own operations. Sums are in the order of the entries,
//! so that every run gives the same.

#[cfg(feature = "flex")]
mod attention;
#[cfg(feature = "flex")]
pub(crate) mod flex;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

#[cfg(feature = "flex")]
use burn::tensor::DType;
use burn::tensor::{Device, Tensor, TensorData};

use crate::device::start_of_graphs;
use crate::normalise::Normaliser;
use crate::{Error, Result, shape};

/// A constant sparse matrix `S` `[N, M]` in compressed rows.
pub struct Sparse {
    columns: usize,
    rows: Compressed,
    /// The same by column, made when a gradient first asks for it.
    #[cfg(feature = "flex")]
    by_column: OnceLock<Compressed>,
    /// `|S_i|^2` of every row.
    squares: OnceLock<Vec<f32>>,
    /// With the rows below that it was last given.
    extended: Mutex<Option<(Vec<f32>, Arc<Sparse>)>>,
    /// With its rows normalised.
    normalised: Mutex<Vec<(Normaliser, Arc<Sparse>)>>,
    /// Dense copies, with and without autodiff the same.
    dense: Mutex<Vec<(Device, Tensor<2>)>>,
}

/// Compressed rows.
#[derive(Debug, Clone, PartialEq)]
struct Compressed {
    /// Entries of row `i` are `offsets[i]..offsets[i + 1]`.
    offsets: Vec<usize>,
    /// Column of every entry.
    places: Vec<u32>,
    /// Value of every entry.
    values: Vec<f32>,
}

impl fmt::Debug for Sparse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sparse").field("shape", &self.shape()).field("entries", &self.entries()).finish()
    }
}

impl Sparse {
    /// From compressed rows: entries of row `i` are `offsets[i]..offsets[i + 1]`. Entries of a row in the same column are
    /// [summed](sum_repeated).
    ///
    /// # Errors
    /// [`Error::Argument`] for offsets that do not rise from 0 to the number of entries, and an entry in a column that there
    /// is not.
    pub fn new(columns: usize, offsets: Vec<usize>, places: Vec<u32>, values: Vec<f32>) -> Result<Self> {
        let entries = places.len();
        let rises = offsets.first() == Some(&0) && offsets.last() == Some(&entries) && offsets.is_sorted();
        if !rises {
            let needed = format!("rising from 0 to {entries}, the number of entries");
            return Err(Error::argument("Sparse", "offsets", format!("{offsets:?}"), needed));
        }
        if values.len() != entries {
            return Err(Error::argument(
                "Sparse",
                "number of values",
                values.len(),
                format!("{entries}, one per entry"),
            ));
        }
        if let Some(place) = places.iter().find(|p| **p as usize >= columns) {
            return Err(Error::argument("Sparse", "column of an entry", place, format!("less than {columns}")));
        }
        let mut rows = Compressed { offsets, places, values };
        sum_repeated(columns, &mut rows.offsets, &mut rows.places, &mut rows.values);
        Ok(Self::of(columns, rows))
    }

    fn of(columns: usize, rows: Compressed) -> Self {
        Self {
            columns,
            rows,
            #[cfg(feature = "flex")]
            by_column: OnceLock::new(),
            squares: OnceLock::new(),
            extended: Mutex::default(),
            normalised: Mutex::default(),
            dense: Mutex::default(),
        }
    }

    /// `[N, M]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows.offsets.len() - 1, self.columns]
    }

    /// Entries that are there.
    pub fn entries(&self) -> usize {
        self.rows.places.len()
    }

    /// Whether products with tensors of this device are done here.
    pub fn works_on(device: &Device) -> bool {
        #[cfg(feature = "flex")]
        return crate::flex::is_here(device);
        #[cfg(not(feature = "flex"))]
        {
            let _ = device;
            false
        }
    }

    /// `S x`; `None` on a backend, or for a number type, for which there is no such operation.
    ///
    /// # Shapes
    /// - `x`: `[M, d]`; returns `[N, d]`.
    ///
    /// # Panics
    /// With another number of rows.
    pub fn product(self: &Arc<Self>, x: &Tensor<2>) -> Option<Tensor<2>> {
        shape::check("sparse product", "dense factor", x.dims(), [Some(self.columns), None]);
        #[cfg(feature = "flex")]
        return if x.dtype() == DType::F32 { flex::product(self, x) } else { None };
        #[cfg(not(feature = "flex"))]
        {
            let _ = x;
            None
        }
    }

    /// Graph attention over the places of the entries of a square `S`, whose values play no part (Velickovic et al. 2018,
    /// arXiv 1710.10903): with `e_st = leaky_relu(<source, g_s> + <target, g_t>)` per head, which has `slope` below 0, and
    /// `alpha_st` the softmax of `e_st` over `t` itself and the columns `s` of row `t`, `h_t = sum_s alpha_st g_s`.
    ///
    /// Nothing of the size of the entries is held between the passes, and `g` becomes its own gradient where nobody else holds
    /// it. `Break` with the output; `Continue` with `g` on a backend, or for a number type, for which there is no such operation,
    /// and where there are no nodes or no features.
    ///
    /// # Shapes
    /// - `g`: `[N, h d]`, heads side by side; `source`, `target`: `[h, d]`; returns `[N, h d]`.
    ///
    /// # Panics
    /// With other shapes, and with a matrix that is not square.
    pub fn attention(
        self: &Arc<Self>,
        g: Tensor<2>,
        source: &Tensor<2>,
        target: &Tensor<2>,
        slope: f32,
    ) -> ControlFlow<Tensor<2>, Tensor<2>> {
        let ([_, nodes], [heads, of_head]) = (self.shape(), source.dims());
        shape::check("graph attention", "matrix", self.shape(), [Some(nodes); 2]);
        shape::check("graph attention", "node features", g.dims(), [Some(nodes), Some(heads * of_head)]);
        shape::check("graph attention", "vectors of the targets", target.dims(), [Some(heads), Some(of_head)]);
        #[cfg(feature = "flex")]
        if [g.dtype(), source.dtype(), target.dtype()] == [DType::F32; 3] {
            return attention::attention(self, g, source, target, slope);
        }
        #[cfg(not(feature = "flex"))]
        let _ = slope;
        ControlFlow::Continue(g)
    }

    /// As a dense tensor `[N, M]`, made once per device.
    pub fn dense(&self, device: &Device) -> Tensor<2> {
        let plain = device.clone().inner();
        let mut made = self.dense.lock().unwrap_or_else(PoisonError::into_inner);
        let found = made.iter().find(|(d, _)| *d == plain).map(|(_, t)| t.clone());
        let tensor = found.unwrap_or_else(|| {
            let [rows, columns] = self.shape();
            let mut values = vec![0.0f32; rows * columns];
            for row in 0..rows {
                for (place, value) in self.row(row) {
                    values[row * columns + place as usize] += value;
                }
            }
            let tensor = Tensor::from_data(TensorData::new(values, [rows, columns]), &plain);
            made.push((plain, tensor.clone()));
            tensor
        });
        start_of_graphs(tensor, device)
    }

    /// Entries of a row: column and value.
    fn row(&self, row: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        let range = self.rows.offsets[row]..self.rows.offsets[row + 1];
        self.rows.places[range.clone()].iter().copied().zip(self.rows.values[range].iter().copied())
    }

    /// `|S_i|^2` of every row.
    fn squared_lengths(&self) -> &[f32] {
        let of_row = |row| self.row(row).map(|(_, v)| v * v).sum();
        self.squares.get_or_init(|| (0..self.shape()[0]).map(of_row).collect())
    }

    /// `|S_i|^2` of every row `[N, 1]`.
    pub fn squared_length(&self, device: &Device) -> Tensor<2> {
        let lengths = self.squared_lengths().to_vec();
        let rows = lengths.len();
        Tensor::from_data(TensorData::new(lengths, [rows, 1]), device)
    }

    /// As [`normalised`](Self::normalised), made once.
    pub(crate) fn normalised_once(self: &Arc<Self>, normaliser: Normaliser) -> Option<Arc<Self>> {
        if normaliser == Normaliser::None {
            return Some(self.clone());
        }
        let mut made = self.normalised.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = made.iter().find(|(n, _)| *n == normaliser) {
            return Some(found.clone());
        }
        let normalised = Arc::new(self.normalised(normaliser)?);
        made.push((normaliser, normalised.clone()));
        Some(normalised)
    }

    /// With its rows scaled by a normaliser; `None` for one that does more than to divide rows.
    pub fn normalised(&self, normaliser: Normaliser) -> Option<Self> {
        let columns = self.columns as f32;
        let mut rows = self.rows.clone();
        for (row, squares) in self.squared_lengths().iter().enumerate() {
            let divisor = normaliser.divisor_of(*squares, columns)?;
            rows.values[rows.offsets[row]..rows.offsets[row + 1]].iter_mut().for_each(|v| *v /= divisor);
        }
        Some(Self::of(self.columns, rows))
    }

    /// Only these rows, in this order.
    ///
    /// # Errors
    /// [`Error::Argument`] for a row that there is not.
    pub fn select_rows(&self, rows: &[u32]) -> Result<Self> {
        let [count, _] = self.shape();
        let mut selected = Compressed { offsets: vec![0], places: Vec::new(), values: Vec::new() };
        for &row in rows {
            if row as usize >= count {
                return Err(Error::argument("Sparse", "row", row, format!("less than {count}")));
            }
            let range = self.rows.offsets[row as usize]..self.rows.offsets[row as usize + 1];
            selected.places.extend(&self.rows.places[range.clone()]);
            selected.values.extend(&self.rows.values[range]);
            selected.offsets.push(selected.places.len());
        }
        Ok(Self::of(self.columns, selected))
    }

    /// With dense rows below its own.
    ///
    /// # Errors
    /// [`Error::Argument`] if `below` is not of whole rows.
    pub fn with_rows(&self, below: &[f32]) -> Result<Self> {
        if !below.len().is_multiple_of(self.columns.max(1)) {
            let needed = format!("a multiple of {}, the number of columns", self.columns);
            return Err(Error::argument("Sparse", "number of values in rows below", below.len(), needed));
        }
        let mut rows = self.rows.clone();
        // Room for no more than comes.
        let more = below.len();
        rows.places.reserve_exact(more);
        rows.values.reserve_exact(more);
        for row in below.chunks_exact(self.columns.max(1)) {
            rows.places.extend(0..self.columns as u32);
            rows.values.extend(row);
            rows.offsets.push(rows.places.len());
        }
        Ok(Self::of(self.columns, rows))
    }

    /// As [`with_rows`](Self::with_rows), made once for the same rows one call after the other: what is made of it in turn (its
    /// columns, its normalised rows) is then there in the next step, too.
    ///
    /// # Errors
    /// As `with_rows`.
    pub(crate) fn with_rows_once(&self, below: Vec<f32>) -> Result<Arc<Self>> {
        let mut made = self.extended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((rows, extended)) = &*made
            && *rows == below
        {
            return Ok(extended.clone());
        }
        let extended = Arc::new(self.with_rows(&below)?);
        *made = Some((below, extended.clone()));
        Ok(extended)
    }

    #[cfg(feature = "flex")]
    fn by_column(&self) -> &Compressed {
        self.by_column.get_or_init(|| self.rows.transposed(self.columns))
    }
}

/// Sums the entries of compressed rows that share a column, at the place of the first of them: what a sparse matrix means by
/// an entry that is given twice. Entries of row `i` are `offsets[i]..offsets[i + 1]`, before and after.
///
/// # Panics
/// Like a slice, for offsets beyond the entries and a place that is not below `columns`.
pub fn sum_repeated(columns: usize, offsets: &mut [usize], places: &mut Vec<u32>, values: &mut Vec<f32>) {
    // Where the last entry of each column went; what lies before the row's own entries is of a row before.
    let mut latest = vec![usize::MAX; columns];
    let (mut start, mut kept) = (0, 0);
    for end in offsets.iter_mut().skip(1) {
        let first = kept;
        for k in start..*end {
            let place = &mut latest[places[k] as usize];
            if (first..kept).contains(place) {
                values[*place] += values[k];
            } else {
                *place = kept;
                (places[kept], values[kept]) = (places[k], values[k]);
                kept += 1;
            }
        }
        start = std::mem::replace(end, kept);
    }
    places.truncate(kept);
    values.truncate(kept);
}

impl Compressed {
    /// The same entries by column, in the order of their rows.
    #[cfg(feature = "flex")]
    fn transposed(&self, columns: usize) -> Self {
        let entries = self.places.len();
        let mut offsets = vec![0; columns + 1];
        self.places.iter().for_each(|p| offsets[*p as usize + 1] += 1);
        (0..columns).for_each(|c| offsets[c + 1] += offsets[c]);
        let mut next = offsets.clone();
        let (mut places, mut values) = (vec![0; entries], vec![0.0; entries]);
        for (row, ends) in self.offsets.windows(2).enumerate() {
            for k in ends[0]..ends[1] {
                let at = &mut next[self.places[k] as usize];
                (places[*at], values[*at]) = (row as u32, self.values[k]);
                *at += 1;
            }
        }
        Self { offsets, places, values }
    }
}
