//! Adjacency in compressed sparse rows.

/// Compressed sparse rows without values. The columns of row `i` are `columns[offsets[i]..offsets[i + 1]]`, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Csr {
    pub(super) offsets: Vec<usize>,
    pub(super) columns: Vec<u32>,
}

impl Csr {
    /// Creates rows from `(row, column)` pairs, which must be sorted.
    pub(super) fn new(rows: usize, pairs: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut offsets = vec![0; rows + 1];
        let mut columns = Vec::new();
        for (row, column) in pairs {
            offsets[row as usize + 1] += 1;
            columns.push(column);
        }
        for i in 0..rows {
            offsets[i + 1] += offsets[i];
        }
        Self { offsets, columns }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The columns of row `i`.
    pub(super) fn row(&self, i: usize) -> &[u32] {
        &self.columns[self.offsets[i]..self.offsets[i + 1]]
    }

    /// All `(row, column)` pairs, by row.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0..self.rows()).flat_map(|i| self.row(i).iter().map(move |&column| (i as u32, column)))
    }
}
