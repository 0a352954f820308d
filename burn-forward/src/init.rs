//! Initial weights, drawn on the host from a named stream.
//!
//! Burn draws initial weights on the device, from a generator that every backend seeds in its own way. Drawn here,
//! the same seed gives the same weights on every backend, and a comparison of two rules starts from one network.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal, Uniform};

use crate::random::Rng;
use crate::{Error, Result};

/// A distribution of initial values.
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
    /// `U(-1/sqrt(fan_in), 1/sqrt(fan_in))`: Kaiming-uniform with `a = sqrt(5)`, the default of PyTorch and of Burn.
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
    /// [`Error::Argument`] if the bound or deviation is not finite and non-negative.
    pub fn draw<const D: usize>(self, shape: [usize; D], rng: &mut Rng, device: &Device) -> Result<Tensor<D>> {
        let n = shape.iter().product();
        let values: Vec<f32> = match self {
            Self::Zeros => vec![0.0; n],
            Self::Uniform(bound) => {
                let range = Uniform::new_inclusive(-bound as f32, bound as f32)
                    .map_err(|_| Error::argument("Init::draw", "bound", bound, "finite and >= 0"))?;
                (0..n).map(|_| range.sample(rng)).collect()
            }
            Self::Normal(std) if std.is_finite() && std >= 0.0 => (0..n)
                .map(|_| {
                    let z: f32 = StandardNormal.sample(rng);
                    z * std as f32
                })
                .collect(),
            Self::Normal(std) => {
                return Err(Error::argument("Init::draw", "standard deviation", std, "finite and >= 0"));
            }
        };
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
pub fn frozen<const D: usize>(value: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(value).set_require_grad(false)
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
    fn bad_bounds_are_refused() {
        let mut rng = Seed::new(0).stream("t", &[]);
        let bad = |i: Init, r: &mut Rng| i.draw([2, 2], r, &Device::flex()).is_err();
        assert!(bad(Init::Uniform(-1.0), &mut rng) && bad(Init::Normal(f64::NAN), &mut rng));
    }
}
