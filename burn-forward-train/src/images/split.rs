//! Views of an image data set: the training, validation and test splits.

use std::fmt;
use std::sync::Arc;

use rand::seq::SliceRandom;

use super::ImageSet;
use burn_forward::random::Seed;
use burn_forward::{Error, Result};

/// Some images of a data set, in an order. Cheap to clone, since the images are shared.
#[derive(Debug, Clone)]
pub struct ImageSubset {
    set: Arc<ImageSet>,
    rows: Arc<[u32]>,
}

impl ImageSubset {
    /// The images `rows` of `set`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a row that is not in the set.
    pub fn new(set: Arc<ImageSet>, rows: Vec<u32>) -> Result<Self> {
        if let Some(row) = rows.iter().find(|row| **row as usize >= set.len()) {
            return Err(Error::argument(
                "ImageSubset",
                "a row",
                row,
                format!("less than {}, the number of images in the set", set.len()),
            ));
        }
        Ok(Self { set, rows: rows.into() })
    }

    /// All images of `set`, in order.
    pub fn whole(set: ImageSet) -> Self {
        let rows = (0..set.len() as u32).collect();
        Self { set: Arc::new(set), rows }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The pixels `[C, H, W]` of image `i` of the split.
    ///
    /// # Panics
    /// Like a slice, if `i` is not less than [`len`](Self::len).
    pub fn image(&self, i: usize) -> &[u8] {
        self.set.image(self.rows[i] as usize)
    }

    /// The class of image `i` of the split.
    ///
    /// # Panics
    /// Like a slice, if `i` is not less than [`len`](Self::len).
    pub fn label(&self, i: usize) -> usize {
        self.set.label(self.rows[i] as usize)
    }

    /// The underlying data set.
    pub fn set(&self) -> &ImageSet {
        &self.set
    }

    /// Index within the data set of every image in the split.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Number of images of every class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.set.classes()];
        (0..self.len()).for_each(|i| counts[self.label(i)] += 1);
        counts
    }
}

/// The three splits of a data set.
#[derive(Debug, Clone)]
pub struct Splits {
    /// The images to train on.
    pub train: ImageSubset,
    /// Images held out of the training set for choices (early stopping, the best epoch). May be empty.
    pub validation: ImageSubset,
    /// The images used once, at the end.
    pub test: ImageSubset,
}

impl Splits {
    /// Holds out a fraction `validation` in `[0, 0.9]` of every class of `train`. If `per_class` is given, it then keeps this
    /// number of images of every class in the training set. For the same seed, a smaller subset is contained in a larger one.
    ///
    /// # Errors
    /// [`Error::Argument`] for a fraction out of range, or a class with fewer images than `per_class`.
    pub fn new(
        train: ImageSubset,
        test: ImageSubset,
        validation: f64,
        per_class: Option<usize>,
        seed: Seed,
    ) -> Result<Self> {
        if !(0.0..=0.9).contains(&validation) {
            return Err(Error::argument("Splits", "validation", validation, "in [0, 0.9]"));
        }
        let set = train.set;
        let (mut kept, held) = stratified(&set, &train.rows, validation, seed, "validation");
        if let Some(n) = per_class {
            kept = subset(&set, &kept, n, seed)?;
        }
        Ok(Self { train: ImageSubset::new(set.clone(), kept)?, validation: ImageSubset::new(set, held)?, test })
    }

    /// The sizes of the splits.
    pub fn sizes(&self) -> SplitSizes {
        SplitSizes {
            train: self.train.len(),
            validation: self.validation.len(),
            test: self.test.len(),
            shape: self.train.set.shape(),
            classes: self.train.set.classes(),
        }
    }
}

/// Sizes of [`Splits`]. Displays as `54000 training, 6000 validation, 10000 test images of 1x28x28, 10 classes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct SplitSizes {
    /// Number of training images.
    pub train: usize,
    /// Number of validation images.
    pub validation: usize,
    /// Number of test images.
    pub test: usize,
    /// `[C, H, W]`.
    pub shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
}

impl fmt::Display for SplitSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { train, validation, test, shape: [c, h, w], classes } = self;
        write!(f, "{train} training, {validation} validation, {test} test images of {c}x{h}x{w}, {classes} classes")
    }
}

/// Splits `rows` of `set` into kept and held-out rows, both in ascending order.
///
/// The `fraction` (in `[0, 1]`) of every class is held out, rounded to the nearest number, but never the last image of a
/// class. The images are drawn separately for each class, from the stream `name`.
pub fn stratified(set: &ImageSet, rows: &[u32], fraction: f64, seed: Seed, name: &str) -> (Vec<u32>, Vec<u32>) {
    let (mut kept, mut held) = (Vec::new(), Vec::new());
    for class in shuffled_classes(set, rows, seed, name) {
        let n = ((class.len() as f64 * fraction).round() as usize).min(class.len().saturating_sub(1));
        held.extend_from_slice(&class[..n]);
        kept.extend_from_slice(&class[n..]);
    }
    kept.sort_unstable();
    held.sort_unstable();
    (kept, held)
}

/// `n` rows of every class, in ascending order.
fn subset(set: &ImageSet, rows: &[u32], n: usize, seed: Seed) -> Result<Vec<u32>> {
    let mut chosen = Vec::new();
    for (c, class) in shuffled_classes(set, rows, seed, "subset").iter().enumerate() {
        let Some(first) = class.get(..n).filter(|_| n > 0) else {
            if class.is_empty() {
                let needed = format!("left out, since class {c} has no training image");
                return Err(Error::argument("Splits", "samples-per-class", n, needed));
            }
            let needed = format!("from 1 to {}, the number of training images of class {c}", class.len());
            return Err(Error::argument("Splits", "samples-per-class", n, needed));
        };
        chosen.extend_from_slice(first);
    }
    chosen.sort_unstable();
    Ok(chosen)
}

/// The rows of every class, each class shuffled with its own stream.
fn shuffled_classes(set: &ImageSet, rows: &[u32], seed: Seed, name: &str) -> Vec<Vec<u32>> {
    let mut classes = vec![Vec::new(); set.classes()];
    rows.iter().for_each(|row| classes[set.label(*row as usize)].push(*row));
    for (c, class) in classes.iter_mut().enumerate() {
        class.shuffle(&mut seed.stream(name, &[c as u64]));
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(labels: &[u16]) -> ImageSubset {
        ImageSubset::whole(ImageSet::new(vec![0; labels.len()], labels.to_vec(), [1, 1, 1], 4, 255.0).unwrap())
    }

    fn split(labels: &[u16], validation: f64, per_class: Option<usize>, seed: u64) -> Result<Splits> {
        Splits::new(set(labels), set(&[0]), validation, per_class, Seed::new(seed))
    }

    fn labels(counts: [usize; 4]) -> Vec<u16> {
        let mut labels: Vec<u16> = (0..4).flat_map(|c| vec![c; counts[usize::from(c)]]).collect();
        labels.rotate_left(counts[0] / 2);
        labels
    }

    proptest! {
        #[test]
        fn a_split_is_disjoint_complete_and_stratified(
            counts in prop::array::uniform4(0usize..30), fraction in 0.0..=0.9f64, seed: u64,
        ) {
            let labels = labels(counts);
            let s = split(&labels, fraction, None, seed).unwrap();
            let mut rows = [s.train.rows(), s.validation.rows()].concat();
            rows.sort_unstable();
            prop_assert_eq!(rows, (0..labels.len() as u32).collect::<Vec<_>>());
            for (n, held) in counts.into_iter().zip(s.validation.class_counts()) {
                prop_assert!((held as f64 - n as f64 * fraction).abs() <= 0.5 || held + 1 == n, "{} of {}", held, n);
                prop_assert!(n == 0 || held < n);
            }
            let again = split(&labels, fraction, None, seed).unwrap();
            prop_assert_eq!(s.train.rows(), again.train.rows());
        }
    }

    #[test]
    fn without_validation_nothing_is_held_out() {
        let s = split(&labels([3, 4, 5, 6]), 0.0, None, 1).unwrap();
        assert!(s.validation.is_empty());
        assert_eq!(s.sizes().to_string(), "18 training, 0 validation, 1 test images of 1x1x1, 4 classes");
    }

    #[test]
    fn seeds_hold_out_different_images() {
        let labels = labels([50; 4]);
        let held = |seed| split(&labels, 0.1, None, seed).unwrap().validation.rows().to_vec();
        assert_ne!(held(1), held(2));
    }

    #[test]
    fn subsets_are_nested_and_leave_validation_alone() {
        let labels = labels([50; 4]);
        let [small, large, all] = [Some(3), Some(20), None].map(|n| split(&labels, 0.1, n, 9).unwrap());
        assert_eq!(small.train.class_counts(), [3; 4]);
        assert!(small.train.rows().iter().all(|row| large.train.rows().contains(row)));
        assert!(large.train.rows().iter().all(|row| all.train.rows().contains(row)));
        assert_eq!(small.validation.rows(), all.validation.rows());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let error = |v, n| split(&labels([50, 10, 50, 50]), v, n, 1).unwrap_err().to_string();
        assert_eq!(error(0.95, None), "Splits: validation is 0.95, but needs to be in [0, 0.9]");
        assert_eq!(
            error(0.1, Some(10)),
            "Splits: samples-per-class is 10, but needs to be from 1 to 9, the number of training images of class 1"
        );
        let set = Arc::new(set(&[0]).set().clone());
        assert_eq!(
            ImageSubset::new(set, vec![1]).unwrap_err().to_string(),
            "ImageSubset: a row is 1, but needs to be less than 1, the number of images in the set"
        );
    }
}
