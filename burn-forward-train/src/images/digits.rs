//! The optical digits of the UCI repository: 1,797 images of 8x8 pixels in ten classes, embedded in the program.
//!
//! E. Alpaydin, C. Kaynak: *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998, CC BY 4.0; see
//! `assets/digits/ATTRIBUTION.md`. A pixel counts the set points in a 4x4 block: 0 to 16.

use std::path::Path;
use std::sync::Arc;

use super::split::stratified;
use super::{ImageSet, ImageSubset, idx};
use burn_forward::Result;
use burn_forward::random::Seed;

const IMAGES: &[u8] = include_bytes!("../../assets/digits/digits-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../assets/digits/digits-labels-idx1-ubyte.gz");

/// All 1,797 images.
///
/// # Errors
/// [`Error::Data`](burn_forward::Error::Data) if the embedded copy is damaged.
pub fn images() -> Result<ImageSet> {
    let images = idx::decode_images(IMAGES, Path::new("embedded digits, images"), None)?;
    let labels = idx::decode_labels(LABELS, Path::new("embedded digits, labels"))?;
    ImageSet::new(images.pixels, labels, images.shape, 10, 16.0)
}

/// Training and test images, where 20 % of every class are held out as test images.
///
/// The split is part of the data set and always the same, whatever the seed of a run, so that results on it can be compared.
///
/// # Errors
/// The errors of [`images`].
pub fn parts() -> Result<(ImageSubset, ImageSubset)> {
    let set = Arc::new(images()?);
    let all: Vec<u32> = (0..set.len() as u32).collect();
    let (train, test) = stratified(&set, &all, 0.2, Seed::new(0), "digits-split");
    Ok((ImageSubset::new(set.clone(), train)?, ImageSubset::new(set, test)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// As documented by the repository.
    const PER_CLASS: [usize; 10] = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180];

    #[test]
    fn the_embedded_set_is_the_documented_one() {
        let set = images().unwrap();
        assert_eq!((set.len(), set.shape(), set.classes(), set.scale()), (1797, [1, 8, 8], 10, 16.0));
        let counts: Vec<_> = (0..10).map(|c| set.labels().iter().filter(|l| **l == c).count()).collect();
        assert_eq!(counts, PER_CLASS);
        assert_eq!(set.pixels().iter().max(), Some(&16));
    }

    #[test]
    fn a_fifth_of_every_class_is_held_out() {
        let (train, test) = parts().unwrap();
        // Rounded to the nearest integer.
        assert_eq!(test.class_counts(), PER_CLASS.map(|n| (2 * n + 5) / 10));
        let together: Vec<_> = train.class_counts().iter().zip(test.class_counts()).map(|(a, b)| a + b).collect();
        assert_eq!(together, PER_CLASS);
        let mut rows = [train.rows(), test.rows()].concat();
        rows.sort_unstable();
        assert_eq!(rows, (0..1797).collect::<Vec<u32>>(), "disjoint and complete");
    }

    /// The split must not change, since published results on it would lose their meaning. The digest checks this. If a new
    /// version of `rand` shuffles differently, keep the old shuffle instead of changing the digest.
    #[test]
    fn the_split_is_the_same_in_every_version() {
        let (_, test) = parts().unwrap();
        assert_eq!(test.rows(), parts().unwrap().1.rows());
        let bytes: Vec<u8> = test.rows().iter().flat_map(|row| row.to_le_bytes()).collect();
        let digest: String = Sha256::digest(bytes).iter().take(8).map(|b| format!("{b:02x}")).collect();
        assert_eq!(digest, "1117d82d06984c5f");
    }
}
