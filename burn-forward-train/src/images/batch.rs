//! One mini-batch of images in host memory.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use burn_forward::activation::AnyActivation;
use burn_forward::data::{Batch, BatchKey};
use burn_forward::random::Rng;
use burn_forward::{Error, Result};

use super::augment::Image;
use super::{Augment, ImageSubset, PixelNormaliser};

/// A mini-batch in host memory.
#[derive(Debug, Clone, PartialEq)]
pub struct HostBatch {
    /// Normalised pixels `[B, C, H, W]`, row-major.
    pub pixels: Vec<f32>,
    /// `[B, C, H, W]`.
    pub shape: [usize; 4],
    /// Class indices `[B]`, each in `0..classes`.
    pub targets: Vec<i32>,
    /// Number of classes.
    pub classes: usize,
    /// Key for random streams.
    pub key: BatchKey,
    /// Index of every row within its split.
    pub samples: Arc<[u32]>,
}

impl HostBatch {
    /// The images `samples` of `part`, normalised but not augmented, with an [unknown](BatchKey::UNKNOWN) key.
    ///
    /// # Errors
    /// [`Error::Argument`] for a sample that is not in `part`.
    pub fn new(part: &ImageSubset, samples: &[u32], normaliser: &PixelNormaliser) -> Result<Self> {
        if let Some(sample) = samples.iter().find(|s| **s as usize >= part.len()) {
            let needed = format!("less than {}, the number of images in the split", part.len());
            return Err(Error::argument("HostBatch", "a sample", sample, needed));
        }
        Ok(Self::assemble(part, samples.into(), normaliser, BatchKey::default()))
    }

    /// Like [`new`](Self::new), for samples that are known to be in `part`.
    pub(super) fn assemble(
        part: &ImageSubset,
        samples: Arc<[u32]>,
        normaliser: &PixelNormaliser,
        key: BatchKey,
    ) -> Self {
        let [channels, height, width] = part.set().shape();
        let mut pixels = Vec::with_capacity(samples.len() * part.set().image_len());
        samples.iter().for_each(|s| normaliser.extend(&mut pixels, part.image(*s as usize)));
        Self {
            pixels,
            shape: [samples.len(), channels, height, width],
            targets: samples.iter().map(|s| part.label(*s as usize) as i32).collect(),
            classes: part.set().classes(),
            key,
            samples,
        }
    }

    /// Applies all changes in `augment` to every image, in order, with draws from `rng`.
    pub(super) fn augment(&mut self, augment: &[Augment], normaliser: &PixelNormaliser, rng: &mut Rng) {
        let [_, channels, height, width] = self.shape;
        if augment.is_empty() {
            return;
        }
        for pixels in self.pixels.chunks_exact_mut(channels * height * width) {
            let mut image = Image { pixels, height, width, normaliser };
            augment.iter().for_each(|a| a.apply(&mut image, rng));
        }
    }

    /// The same batch on `device`.
    pub fn to_device(self, device: &Device) -> Batch {
        let rows = self.targets.len();
        Batch {
            inputs: AnyActivation::Maps(Tensor::from_data(TensorData::new(self.pixels, self.shape), device)),
            targets: Tensor::from_data(TensorData::new(self.targets, [rows]), device),
            classes: self.classes,
            key: self.key,
            samples: self.samples,
        }
    }
}
