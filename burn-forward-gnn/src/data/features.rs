//! Features of nodes.

use burn_forward::data::Fingerprint;
use burn_forward::{Error, Result};
use burn_forward_kernels::sparse::{Sparse, sum_repeated};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The scaling of a row of features, which comes before any other use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureScaling {
    /// Nothing.
    #[default]
    None,
    /// Division by the sum of absolute values, so that rows of counts sum to 1.
    Sum,
    /// Division by the length of the row.
    L2,
}

/// Features of nodes, stored as sparse rows on the host, and as dense rows on a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    offsets: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
    width: usize,
}

/// Largest number of features of a node: 2^20. A file with a larger index is considered damaged, since weights with that many
/// rows would be allocated for it.
pub const MAX_FEATURES: usize = 1 << 20;

impl Features {
    /// Creates features from rows of `(index, value)`. Values with the same index in a row are summed.
    ///
    /// # Errors
    /// [`Error::Argument`] for an index that is not below `width`, a value or sum that is not finite, no features at all, or
    /// more than [`MAX_FEATURES`].
    pub fn sparse(rows: Vec<Vec<(u32, f32)>>, width: usize) -> Result<Self> {
        let (mut offsets, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in rows {
            columns.extend(row.iter().map(|(column, _)| *column));
            values.extend(row.iter().map(|(_, value)| *value));
            offsets.push(columns.len());
        }
        Self::compressed(width, offsets, columns, values)
    }

    /// Creates features from compressed rows: the entries of node `i` are `offsets[i]..offsets[i + 1]`.
    pub(super) fn compressed(
        width: usize,
        mut offsets: Vec<usize>,
        mut columns: Vec<u32>,
        mut values: Vec<f32>,
    ) -> Result<Self> {
        if !(1..=MAX_FEATURES).contains(&width) {
            let needed = format!("from 1 to {MAX_FEATURES}");
            return Err(Error::argument("Features", "number of features", width, needed));
        }
        if let Some(column) = columns.iter().find(|c| **c as usize >= width) {
            return Err(Error::argument("Features", "a feature's index", column, format!("below {width}")));
        }
        sum_repeated(width, &mut offsets, &mut columns, &mut values);
        if let Some(k) = values.iter().position(|v| !v.is_finite()) {
            let node = offsets.partition_point(|end| *end <= k) - 1;
            let what = format!("feature {} of node {node}", columns[k]);
            return Err(Error::argument("Features", what, values[k], "finite"));
        }
        Ok(Self { offsets, columns, values, width })
    }

    /// One-hot features: each node has its own.
    pub fn identity(nodes: usize) -> Self {
        let (offsets, columns) = ((0..=nodes).collect(), (0..nodes as u32).collect());
        Self { offsets, columns, values: vec![1.0; nodes], width: nodes }
    }

    /// Number of features `d`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of nodes.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Number of nonzero values.
    pub fn nonzeros(&self) -> usize {
        self.values.iter().filter(|v| **v != 0.0).count()
    }

    /// Row-major values `[N, d]`.
    pub fn dense(&self) -> Vec<f32> {
        let mut dense = vec![0.0; self.rows() * self.width];
        for (row, ends) in self.offsets.windows(2).enumerate() {
            for k in ends[0]..ends[1] {
                dense[row * self.width + self.columns[k] as usize] += self.values[k];
            }
        }
        dense
    }

    /// Sets every feature above 0 to 1, and every other to 0.
    pub fn binarise(&mut self) {
        self.values.iter_mut().for_each(|v| *v = f32::from(u8::from(*v > 0.0)));
    }

    /// The matrix `[N, d]`.
    pub(super) fn matrix(&self) -> Result<Sparse> {
        let Self { offsets, columns, values, width } = self;
        Ok(Sparse::new(*width, offsets.clone(), columns.clone(), values.clone())?)
    }

    /// Adds the features to a fingerprint of data.
    pub(super) fn fingerprint(&self, print: &mut Fingerprint) {
        print.numbers(self.offsets.iter().map(|n| *n as u64));
        print.numbers(self.columns.iter().map(|n| u64::from(*n)));
        print.numbers(self.values.iter().map(|v| u64::from(v.to_bits())));
    }

    /// Scales every row; rows of zeros do not change.
    pub fn scale(&mut self, how: FeatureScaling) {
        for row in self.offsets.windows(2) {
            let values = &mut self.values[row[0]..row[1]];
            let divisor = match how {
                FeatureScaling::None => 1.0,
                FeatureScaling::Sum => values.iter().map(|v| v.abs()).sum(),
                FeatureScaling::L2 => values.iter().map(|v| v * v).sum::<f32>().sqrt(),
            };
            if divisor != 0.0 {
                values.iter_mut().for_each(|v| *v /= divisor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn rows_are_scaled() {
        let mut f = Features::sparse(vec![vec![(0, 3.0), (2, 4.0)], vec![], vec![(1, -2.0)]], 3).unwrap();
        let mut l2 = f.clone();
        l2.scale(FeatureScaling::L2);
        assert_eq!(l2.dense(), [0.6, 0.0, 0.8, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0]);
        f.binarise();
        f.scale(FeatureScaling::Sum);
        assert_eq!(f.dense(), [0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn mistakes_are_named() {
        let error =
            |row: &[(u32, f32)], width| Features::sparse(vec![vec![], row.to_vec()], width).unwrap_err().to_string();
        assert_eq!(error(&[(3, 1.0)], 3), "Features: a feature's index is 3, but needs to be below 3");
        assert_eq!(error(&[(0, f32::INFINITY)], 3), "Features: feature 0 of node 1 is inf, but needs to be finite");
        assert_eq!(
            error(&[(2, f32::MAX), (2, f32::MAX)], 3),
            "Features: feature 2 of node 1 is inf, but needs to be finite"
        );
        assert!(error(&[], 0).contains("number of features is 0, but needs to be from 1 to 1048576"));
        assert!(error(&[], 1 << 21).contains("number of features is 2097152"));
    }

    /// Values of the same feature are summed before any other operation, on the host and on a device.
    #[rstest::rstest]
    #[case(false, FeatureScaling::None, [5.0, -2.0, 1.0])]
    #[case(false, FeatureScaling::Sum, [0.625, -0.25, 0.125])]
    #[case(false, FeatureScaling::L2, [5.0 / 30f32.sqrt(), -2.0 / 30f32.sqrt(), 1.0 / 30f32.sqrt()])]
    #[case(true, FeatureScaling::None, [1.0, 0.0, 1.0])]
    #[case(true, FeatureScaling::Sum, [0.5, 0.0, 0.5])]
    #[case(true, FeatureScaling::L2, [0.5f32.sqrt(), 0.0, 0.5f32.sqrt()])]
    fn repeated_features_are_summed(#[case] binarise: bool, #[case] how: FeatureScaling, #[case] expected: [f32; 3]) {
        // 1 + 4, 1 - 3, -1 + 2.
        let row = vec![(0, 1.0), (1, 1.0), (2, -1.0), (0, 4.0), (1, -3.0), (2, 2.0)];
        let mut features = Features::sparse(vec![row], 3).unwrap();
        if binarise {
            features.binarise();
        }
        features.scale(how);
        let on_device = features.matrix().unwrap().dense(&Device::flex());
        for values in [features.dense(), on_device.into_data().iter::<f32>().collect()] {
            assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}, {expected:?}");
        }
    }
}
