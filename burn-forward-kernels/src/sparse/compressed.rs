//! Compressed sparse rows.

/// Compressed rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Compressed {
    /// Entries of row `i` are `offsets[i]..offsets[i + 1]`.
    pub(super) offsets: Vec<usize>,
    /// Column of every entry.
    pub(super) indices: Vec<u32>,
    /// Value of every entry.
    pub(super) values: Vec<f32>,
}

/// Sums the entries of compressed rows that share a column, at the place of the first of them: what a sparse matrix means by
/// an entry that is given twice. Entries of row `i` are `offsets[i]..offsets[i + 1]`, before and after.
///
/// # Panics
/// Like a slice, for offsets beyond the entries and a place that is not below `columns`.
pub fn sum_repeated(columns: usize, offsets: &mut [usize], indices: &mut Vec<u32>, values: &mut Vec<f32>) {
    // Where the last entry of each column went; what lies before the row's own entries is of a row before.
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
    /// The same entries by column, in the order of their rows.
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
