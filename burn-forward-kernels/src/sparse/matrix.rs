//! Constant sparse matrices.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};

use crate::device::{autodiff_leaf, is_flex};
use crate::{Error, Result};

use super::compressed::{Compressed, sum_repeated};

/// A constant sparse matrix `S` `[N, M]` in compressed rows.
pub struct Sparse {
    pub(super) columns: usize,
    pub(super) rows: Compressed,
    /// The same matrix by column, created when a gradient first needs it.
    #[cfg(feature = "flex")]
    by_column: OnceLock<Compressed>,
    /// `|S_i|^2` of every row.
    squares: OnceLock<Vec<f32>>,
    /// The matrix extended by the last rows that were given.
    extended: Mutex<Option<(Vec<f32>, Arc<Sparse>)>>,
    /// Matrices derived from this one, by name.
    made: Mutex<Vec<(&'static str, Arc<Sparse>)>>,
    /// Dense copies, which are the same with and without autodiff.
    dense: Mutex<Vec<(Device, Tensor<2>)>>,
}

impl fmt::Debug for Sparse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sparse").field("shape", &self.shape()).field("entries", &self.entries()).finish()
    }
}

impl Sparse {
    /// Creates a matrix from compressed rows, where the entries of row `i` are `offsets[i]..offsets[i + 1]`. Entries of a row
    /// with the same column are [summed](sum_repeated).
    ///
    /// # Errors
    /// [`Error`] if the offsets do not increase from 0 to the number of entries, or if a column of an entry does not exist.
    pub fn new(columns: usize, offsets: Vec<usize>, indices: Vec<u32>, values: Vec<f32>) -> Result<Self> {
        let entries = indices.len();
        let rises = offsets.first() == Some(&0) && offsets.last() == Some(&entries) && offsets.is_sorted();
        if !rises {
            let needed = format!("increasing from 0 to {entries}, the number of entries");
            return Err(Error::new("Sparse", "offsets", format!("{offsets:?}"), needed));
        }
        if values.len() != entries {
            return Err(Error::new("Sparse", "number of values", values.len(), format!("{entries}, one per entry")));
        }
        if let Some(place) = indices.iter().find(|p| **p as usize >= columns) {
            return Err(Error::new("Sparse", "column of an entry", place, format!("less than {columns}")));
        }
        let mut rows = Compressed { offsets, indices, values };
        sum_repeated(columns, &mut rows.offsets, &mut rows.indices, &mut rows.values);
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
            made: Mutex::default(),
            dense: Mutex::default(),
        }
    }

    /// Shape `[N, M]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows.offsets.len() - 1, self.columns]
    }

    /// Number of stored entries.
    pub fn entries(&self) -> usize {
        self.rows.indices.len()
    }

    /// Whether this crate computes products with tensors on this device.
    pub fn works_on(device: &Device) -> bool {
        is_flex(device)
    }

    /// The matrix as a dense tensor `[N, M]`, created once per device.
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
        autodiff_leaf(tensor, device)
    }

    /// The entries of a row: column and value.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        let range = self.rows.offsets[row]..self.rows.offsets[row + 1];
        self.rows.indices[range.clone()].iter().copied().zip(self.rows.values[range].iter().copied())
    }

    /// `|S_i|^2` of every row `[N]`.
    pub fn squared_lengths(&self) -> &[f32] {
        let of_row = |row| self.row(row).map(|(_, v)| v * v).sum();
        self.squares.get_or_init(|| (0..self.shape()[0]).map(of_row).collect())
    }

    /// `|S_i|^2` of every row `[N, 1]`.
    pub fn squared_lengths_on(&self, device: &Device) -> Tensor<2> {
        let lengths = self.squared_lengths().to_vec();
        let rows = lengths.len();
        Tensor::from_data(TensorData::new(lengths, [rows, 1]), device)
    }

    /// The matrix with every row divided by the corresponding divisor.
    ///
    /// # Errors
    /// [`Error`] if the number of divisors differs from the number of rows.
    pub fn divide_rows(&self, divisors: &[f32]) -> Result<Self> {
        let [count, _] = self.shape();
        if divisors.len() != count {
            let needed = format!("{count}, one per row");
            return Err(Error::new("Sparse", "number of divisors", divisors.len(), needed));
        }
        let mut rows = self.rows.clone();
        for (ends, divisor) in rows.offsets.windows(2).zip(divisors) {
            rows.values[ends[0]..ends[1]].iter_mut().for_each(|v| *v /= divisor);
        }
        Ok(Self::of(self.columns, rows))
    }

    /// The result of `make` for this matrix, cached under a name. It is computed once, or again if `make` returned `None`.
    pub fn cached(&self, name: &'static str, make: impl FnOnce(&Self) -> Option<Self>) -> Option<Arc<Self>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = made.iter().find(|(n, _)| *n == name) {
            return Some(found.clone());
        }
        let new = Arc::new(make(self)?);
        made.push((name, new.clone()));
        Some(new)
    }

    /// The given rows, in this order.
    ///
    /// # Errors
    /// [`Error`] for a row that does not exist.
    pub fn select_rows(&self, rows: &[u32]) -> Result<Self> {
        let [count, _] = self.shape();
        let mut selected = Compressed { offsets: vec![0], indices: Vec::new(), values: Vec::new() };
        for &row in rows {
            if row as usize >= count {
                return Err(Error::new("Sparse", "row", row, format!("less than {count}")));
            }
            let range = self.rows.offsets[row as usize]..self.rows.offsets[row as usize + 1];
            selected.indices.extend(&self.rows.indices[range.clone()]);
            selected.values.extend(&self.rows.values[range]);
            selected.offsets.push(selected.indices.len());
        }
        Ok(Self::of(self.columns, selected))
    }

    /// The matrix with dense rows appended.
    ///
    /// # Errors
    /// [`Error`] if `below` does not consist of complete rows.
    pub fn with_rows(&self, below: &[f32]) -> Result<Self> {
        if !below.len().is_multiple_of(self.columns.max(1)) {
            let needed = format!("a multiple of {}, the number of columns", self.columns);
            return Err(Error::new("Sparse", "number of values in appended rows", below.len(), needed));
        }
        let mut rows = self.rows.clone();
        // Reserve exactly the required memory.
        let more = below.len();
        rows.indices.reserve_exact(more);
        rows.values.reserve_exact(more);
        for row in below.chunks_exact(self.columns.max(1)) {
            rows.indices.extend(0..self.columns as u32);
            rows.values.extend(row);
            rows.offsets.push(rows.indices.len());
        }
        Ok(Self::of(self.columns, rows))
    }

    /// Like [`with_rows`](Self::with_rows), but cached as long as calls give the same rows. Data derived from the result (its
    /// columns, [cached](Self::cached) values) are then available in the next step as well.
    ///
    /// # Errors
    /// Those of `with_rows`.
    pub fn with_rows_cached(&self, below: Vec<f32>) -> Result<Arc<Self>> {
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
    pub(super) fn by_column(&self) -> &Compressed {
        self.by_column.get_or_init(|| self.rows.transposed(self.columns))
    }
}
