//! Division of the samples of an epoch into batches.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What happens to the samples at the end of an epoch that do not fill a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LastBatch {
    /// They form a smaller batch, whose step counts as much as any other.
    #[default]
    Keep,
    /// They are left out. Every epoch has its own order, so they are different samples each time.
    Drop,
}

/// How the samples of an epoch are divided into batches. Converting from a number keeps the last batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Number of samples per batch, at least 1.
    pub size: usize,
    /// What happens to the last samples if they do not fill a batch.
    pub last: LastBatch,
}

impl From<usize> for Batching {
    fn from(size: usize) -> Self {
        Self { size, last: LastBatch::Keep }
    }
}

impl Batching {
    /// Checks that batches are not empty; the error names `place`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a size of 0.
    pub fn checked(self, place: &'static str) -> Result<Self> {
        if self.size == 0 {
            return Err(Error::argument(place, "batch size", 0, "at least 1"));
        }
        Ok(self)
    }

    /// Number of batches for `samples` samples.
    pub fn count(self, samples: usize) -> usize {
        let size = self.size.max(1);
        match self.last {
            LastBatch::Keep => samples.div_ceil(size),
            LastBatch::Drop => samples / size,
        }
    }

    /// How many of `samples` samples are in a batch.
    pub fn used(self, samples: usize) -> usize {
        samples.min(self.count(samples).saturating_mul(self.size.max(1)))
    }

    /// Indices of the samples in batch `i`, out of `samples`; empty after the last batch.
    pub fn range(self, i: usize, samples: usize) -> Range<usize> {
        let (size, used) = (self.size.max(1), self.used(samples));
        let start = i.saturating_mul(size).min(used);
        start..start.saturating_add(size).min(used)
    }

    /// Number of samples in the smallest batch; 0 if there is no batch.
    pub fn smallest(self, samples: usize) -> usize {
        match self.count(samples) {
            0 => 0,
            n => self.range(n - 1, samples).len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_batch_by_hand() {
        let cut = |last, samples| {
            let batching = Batching { size: 16, last };
            let sizes: Vec<_> = (0..batching.count(samples)).map(|i| batching.range(i, samples).len()).collect();
            (sizes, batching.used(samples), batching.smallest(samples))
        };
        assert_eq!(cut(LastBatch::Keep, 35), (vec![16, 16, 3], 35, 3));
        assert_eq!(cut(LastBatch::Drop, 35), (vec![16, 16], 32, 16));
        assert_eq!(cut(LastBatch::Keep, 32), cut(LastBatch::Drop, 32));
        assert_eq!(cut(LastBatch::Keep, 5), (vec![5], 5, 5));
        assert_eq!(cut(LastBatch::Drop, 5), (vec![], 0, 0));
        assert_eq!(cut(LastBatch::Keep, 0), (vec![], 0, 0));
    }

    proptest! {
        /// Batches are contiguous and full, except for a last one that is kept. The samples left out do not fill a batch.
        #[test]
        fn batches_are_consecutive_and_full(samples in 0usize..300, size in 1usize..400, keep: bool) {
            let batching = Batching { size, last: if keep { LastBatch::Keep } else { LastBatch::Drop } };
            let mut end = 0;
            for i in 0..batching.count(samples) {
                let range = batching.range(i, samples);
                prop_assert_eq!(range.start, end);
                prop_assert!(range.len() == size || keep && range.end == samples && !range.is_empty());
                end = range.end;
            }
            prop_assert_eq!(end, batching.used(samples));
            prop_assert!(samples - end < if keep { 1 } else { size }, "{} of {}", end, samples);
            prop_assert!(batching.range(batching.count(samples), samples).is_empty());
        }
    }
}
