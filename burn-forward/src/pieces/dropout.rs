//! Dropout with masks that are drawn on the host, from a stream of the step.
//!
//! Burn draws masks on the device, and on its CPU backend from a state shared by all threads of the process. Here every step
//! [begins](begin) a stream for its own thread at the key of its batch. A resumed run therefore draws the masks of the
//! uninterrupted one, every backend draws the same masks, and a rule that runs the network twice can [repeat] them.

use std::cell::RefCell;

use burn::module::{Flag, Module, Param};
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use crate::data::BatchKey;
use crate::random::{Rng, Seed};
use crate::{Error, Result};

thread_local! {
    /// The stream of the step, and its start.
    static MASKS: RefCell<(Rng, Rng)> = RefCell::new({
        let stream = Seed::default().stream("dropout", &[]);
        (stream.clone(), stream)
    });
}

/// From now on, masks drawn on this thread are those of the batch at `key`.
pub fn begin(seed: Seed, key: BatchKey) {
    let stream = seed.stream("dropout", &[key.epoch, key.index]);
    MASKS.set((stream.clone(), stream));
}

/// From now on, masks drawn on this thread repeat those drawn since the step [began](begin).
pub fn repeat() {
    MASKS.with_borrow_mut(|(stream, start)| *stream = start.clone());
}

/// Zeroes each element with probability `prob` and multiplies the others by `1 / (1 - prob)` while a module trains
/// (Srivastava et al. 2014, inverted). It does nothing at inference, that is, on a device without autodiff or in a module
/// that is [valid](burn::module::Module::valid).
#[derive(Module, Debug)]
pub struct Dropout {
    /// Probability of zeroing an element, in `[0, 1)`.
    pub prob: f64,
    /// Whether the module trains.
    pub training: Param<Flag>,
}

impl Dropout {
    /// Dropout with this probability.
    ///
    /// # Errors
    /// [`Error::Argument`] for a probability outside `[0, 1)`.
    pub fn new(prob: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&prob) {
            return Err(Error::argument("Dropout", "probability", prob, "in [0, 1)"));
        }
        Ok(Self { prob, training: Param::from_bool(true) })
    }

    /// No dropout.
    pub fn none() -> Self {
        Self { prob: 0.0, training: Param::from_bool(true) }
    }

    /// The input with a new mask applied.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let device = input.device();
        if self.prob == 0.0 || !self.training.is_enabled() || !device.is_autodiff() {
            return input;
        }
        let kept = (1.0 / (1.0 - self.prob)) as f32;
        let shape = input.shape();
        // Compare integers: one draw of 32 bits per element.
        let limit = (self.prob * 2f64.powi(32)) as u32;
        let mask: Vec<f32> = MASKS.with_borrow_mut(|(stream, _)| {
            (0..shape.num_elements()).map(|_| if stream.random::<u32>() < limit { 0.0 } else { kept }).collect()
        });
        input * Tensor::from_data(TensorData::new(mask, shape), &device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn numbers(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().iter().collect()
    }

    fn key(index: u64) -> BatchKey {
        BatchKey { epoch: 1, index, step: index }
    }

    #[test]
    fn a_mask_is_of_the_step_and_comes_again() {
        let device = Device::flex().autodiff();
        let dropout = Dropout::new(0.5).unwrap();
        let ones = || Tensor::<2>::ones([8, 16], &device);
        let draw = || numbers(dropout.forward(ones()));
        begin(Seed::new(1), key(0));
        let [first, second] = [draw(), draw()];
        repeat();
        assert_eq!([draw(), draw()], [first.clone(), second.clone()]);
        assert_ne!(first, second);
        begin(Seed::new(1), key(1));
        assert_ne!(draw(), first);
        // What a thread draws depends on the key alone, whatever other threads draw.
        begin(Seed::new(1), key(0));
        std::thread::spawn(|| begin(Seed::new(9), key(9))).join().unwrap();
        assert_eq!(draw(), first);
    }

    /// A binomial distribution with 40,000 draws: five standard deviations are 0.0105 at 0.3.
    #[test]
    fn so_many_are_zeroed_and_the_mean_stays() {
        let device = Device::flex().autodiff();
        begin(Seed::new(3), key(0));
        let values = numbers(Dropout::new(0.3).unwrap().forward(Tensor::<2>::ones([200, 200], &device)));
        let zeros = values.iter().filter(|v| **v == 0.0).count() as f64 / values.len() as f64;
        assert!((zeros - 0.3).abs() < 0.0115, "{zeros}");
        assert!(values.iter().all(|v| *v == 0.0 || (v - 1.0 / 0.7).abs() < 1e-6));
    }

    #[test]
    fn inference_changes_nothing() {
        let dropout = Dropout::new(0.5).unwrap();
        let plain = Tensor::<2>::ones([4, 4], &Device::flex());
        assert!(numbers(dropout.forward(plain)).iter().all(|v| *v == 1.0));
        let training = Tensor::<2>::ones([4, 4], &Device::flex().autodiff());
        assert!(numbers(dropout.valid().forward(training)).iter().all(|v| *v == 1.0));
        assert!(Dropout::new(1.0).is_err() && Dropout::new(f64::NAN).is_err());
    }
}
