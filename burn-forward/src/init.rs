//! Initial weights, drawn on the host from a named stream.
//!
//! Burn draws initial weights on the device, from a generator that every backend seeds in its own way. Here the same seed
//! gives the same weights on every backend, and a comparison of two rules starts from the same network.

use std::cell::Cell;

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal, Uniform};
use serde::{Deserialize, Serialize};

use crate::random::Rng;
use crate::{Error, Result};

thread_local! {
    /// Whether [`Init::draw`] creates shapes without values on this thread.
    static SHAPES_ONLY: Cell<bool> = const { Cell::new(false) };
}

/// Runs `build` with weights that have shapes but no values: each tensor is a single zero, expanded to its shape. On a
/// backend whose `expand` creates a view (flex, GPUs), a network of any size takes almost no memory, so its parameters can be
/// counted even if they would not fit.
pub fn shapes_only<T>(build: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            SHAPES_ONLY.set(self.0);
        }
    }
    let _restore = Restore(SHAPES_ONLY.replace(true));
    build()
}

/// Distribution of initial values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// Uniform on `[-bound, bound]`.
    Uniform(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

impl Init {
    /// `U(-1/sqrt(fan_in), 1/sqrt(fan_in))`: Kaiming-uniform with `a = sqrt(5)`, the default of PyTorch and Burn.
    pub fn default_uniform(fan_in: usize) -> Self {
        Self::Uniform(1.0 / (fan_in.max(1) as f64).sqrt())
    }

    /// `U(-sqrt(6/fan_in), sqrt(6/fan_in))`: He et al. 2015, variance `2/fan_in`.
    pub fn he_uniform(fan_in: usize) -> Self {
        Self::Uniform((6.0 / fan_in.max(1) as f64).sqrt())
    }

    /// `N(0, 1/fan_in)`: pre-activations of unit variance for inputs of unit mean square (Forward-Forward).
    pub fn unit_normal(fan_in: usize) -> Self {
        Self::Normal(1.0 / (fan_in.max(1) as f64).sqrt())
    }

    /// Draws a tensor of `shape`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the bound or deviation is negative or not finite, or if there is not enough memory for the
    /// values.
    pub fn draw<const D: usize>(self, shape: [usize; D], rng: &mut Rng, device: &Device) -> Result<Tensor<D>> {
        if SHAPES_ONLY.get() {
            return Ok(Tensor::<D>::zeros([1; D], device).expand(shape));
        }
        let mut values: Vec<f32> = Vec::new();
        let n = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
        let n = n.filter(|n| values.try_reserve_exact(*n).is_ok()).ok_or_else(|| {
            Error::argument("Init::draw", "the shape of a tensor", format!("{shape:?}"), "one that fits into memory")
        })?;
        match self {
            Self::Zeros => values.resize(n, 0.0),
            Self::Uniform(bound) => {
                let range = Uniform::new_inclusive(-bound as f32, bound as f32)
                    .map_err(|_| Error::argument("Init::draw", "bound", bound, "finite and >= 0"))?;
                values.extend((0..n).map(|_| range.sample(rng)));
            }
            Self::Normal(std) if std.is_finite() && std >= 0.0 => values.extend((0..n).map(|_| {
                let z: f32 = StandardNormal.sample(rng);
                z * std as f32
            })),
            Self::Normal(std) => {
                return Err(Error::argument("Init::draw", "standard deviation", std, "finite and >= 0"));
            }
        }
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}

/// A linear layer `x W + b`, `W` `[d_in, d_out]`, with weights from `weight` and biases from `bias` (`None`: no bias).
///
/// # Errors
/// [`Error::Argument`] if a width is 0 or a distribution is invalid.
pub fn linear(
    d_in: usize,
    d_out: usize,
    weight: Init,
    bias: Option<Init>,
    rng: &mut Rng,
    device: &Device,
) -> Result<Linear> {
    if d_in == 0 || d_out == 0 {
        return Err(Error::argument("init::linear", "width", format!("{d_in} x {d_out}"), ">= 1 on both sides"));
    }
    Ok(Linear {
        weight: Param::from_tensor(weight.draw([d_in, d_out], rng, device)?),
        bias: bias.map(|init| init.draw([d_out], rng, device)).transpose()?.map(Param::from_tensor),
    })
}

/// A parameter that is saved and loaded but never trained (a fixed random feedback matrix).
pub fn fixed<const D: usize>(value: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(value).set_require_grad(false)
}

/// Distribution of the initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum InitScheme {
    /// Weights and biases `U(+-1/sqrt(fan_in))`, the default of PyTorch and Burn.
    #[default]
    Default,
    /// Weights `N(0, 1/fan_in)`, biases 0: pre-activations of unit variance, as in Forward-Forward.
    UnitNormal,
    /// Weights `U(+-sqrt(6/fan_in))`, biases 0 (He et al. 2015).
    HeUniform,
    /// Weights `U(+-sqrt(6/(fan_in + fan_out)))`, biases 0 (Glorot and Bengio 2010).
    Xavier,
    /// All zero: for tanh networks under direct feedback alignment.
    Zeros,
}

impl InitScheme {
    /// Distributions of a layer's weights and biases.
    pub fn of(self, fan_in: usize, fan_out: usize) -> (Init, Init) {
        match self {
            Self::Default => (Init::default_uniform(fan_in), Init::default_uniform(fan_in)),
            Self::UnitNormal => (Init::unit_normal(fan_in), Init::Zeros),
            Self::HeUniform => (Init::he_uniform(fan_in), Init::Zeros),
            Self::Xavier => (Init::Uniform((6.0 / (fan_in + fan_out) as f64).sqrt()), Init::Zeros),
            Self::Zeros => (Init::Zeros, Init::Zeros),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    #[test]
    fn moments_are_those_asked_for() {
        let mut rng = Seed::new(0).stream("t", &[]);
        let device = Device::flex();
        for (init, std) in [(Init::Normal(0.5), 0.5), (Init::he_uniform(50), (2.0f64 / 50.0).sqrt())] {
            let t: Tensor<2> = init.draw([200, 200], &mut rng, &device).unwrap();
            let mean = t.clone().mean().into_scalar::<f64>();
            let got = t.powi_scalar(2).mean().into_scalar::<f64>().sqrt();
            assert!(mean.abs() < 0.02 && (got / std - 1.0).abs() < 0.02, "{init:?}: mean {mean}, std {got}");
        }
    }

    #[test]
    fn shapes_need_no_memory_and_values_that_do_not_fit_are_refused() {
        let mut rng = Seed::new(0).stream("t", &[]);
        let device = Device::flex();
        let mut draw = |shape: [usize; 2]| Init::Normal(1.0).draw(shape, &mut rng, &device);
        let wide = shapes_only(|| draw([1 << 30, 1 << 30])).unwrap();
        assert_eq!(wide.dims(), [1 << 30, 1 << 30]);
        let error = draw([1 << 30, 1 << 30]).unwrap_err().to_string();
        assert!(error.contains("[1073741824, 1073741824], but needs to be one that fits into memory"), "{error}");
        assert!(draw([1 << 40, 1 << 40]).is_err());
        assert_eq!(draw([2, 3]).unwrap().dims(), [2, 3]);
    }

    #[test]
    fn bad_bounds_are_refused() {
        let mut rng = Seed::new(0).stream("t", &[]);
        let bad = |i: Init, r: &mut Rng| i.draw([2, 2], r, &Device::flex()).is_err();
        assert!(bad(Init::Uniform(-1.0), &mut rng) && bad(Init::Normal(f64::NAN), &mut rng));
    }
}
