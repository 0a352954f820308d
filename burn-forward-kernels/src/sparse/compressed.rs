//! Compressed sparse rows.

/// Compressed rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Compressed {
    /// The entries of row `i` are `offsets[i]..offsets[i + 1]`.
    pub(super) offsets: Vec<usize>,
    /// Column of every entry.
    pub(super) indices: Vec<u32>,
    /// Value of every entry.
    pub(super) values: Vec<f32>,
}

/// Sums the entries of compressed rows that have the same column, at the position of the first of them. A sparse matrix with
/// repeated entries means their sum. The entries of row `i` are `offsets[i]..offsets[i + 1]`, before and after.
///
/// # Panics
/// If offsets are beyond the entries, like an index of a slice, or if a column is not below `columns`.
pub fn sum_repeated(columns: usize, offsets: &mut [usize], indices: &mut Vec<u32>, values: &mut Vec<f32>) {
    // Position of the last entry of each column; positions before the row's own entries belong to an earlier row.
    let mut latest = vec![usize::MAX; columns];
    let (mut start, mut kept) = (0, 0);
    for end in offsets.iter_mut().skip(1) {
        let first = kept;
        for k in start..*end {
            let place = &mut latest[indices[k] as usize];
            if (first..kept).contains(place) {
                values[*place] += values[k];
            } else {
                *place = kept;
                (indices[kept], values[kept]) = (indices[k], values[k]);
                kept += 1;
            }
        }
        start = std::mem::replace(end, kept);
    }
    indices.truncate(kept);
    values.truncate(kept);
}

impl Compressed {
    /// The same entries sorted by column, in the order of their rows.
    #[cfg(feature = "flex")]
    pub(super) fn transposed(&self, columns: usize) -> Self {
        let entries = self.indices.len();
        let mut offsets = vec![0; columns + 1];
        self.indices.iter().for_each(|p| offsets[*p as usize + 1] += 1);
        (0..columns).for_each(|c| offsets[c + 1] += offsets[c]);
        let mut next = offsets.clone();
        let (mut indices, mut values) = (vec![0; entries], vec![0.0; entries]);
        for (row, ends) in self.offsets.windows(2).enumerate() {
            for k in ends[0]..ends[1] {
                let at = &mut next[self.indices[k] as usize];
                (indices[*at], values[*at]) = (row as u32, self.values[k]);
                *at += 1;
            }
        }
        Self { offsets, indices, values }
    }
}
