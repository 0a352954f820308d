//! Multi-layer perceptrons: dense layers `h = f(N(x) W + b)`, with dropout behind the activation.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::{Device, Tensor, activation};
use burn_forward_kernels::relu::relu;
use serde::{Deserialize, Serialize};

use super::layer::{AnyLayer, Candidates, Layer, LayerExport, repeat_rows};
use crate::activation::{Activation, AnyActivation, RowShape};
use crate::block::{Trace, Units};
use crate::init::{self, Init};
use crate::normalise::Normaliser;
use crate::random::Seed;
use crate::{Error, Result, require};

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ActivationFn {
    /// `max(z, 0)`.
    #[default]
    Relu,
    /// `z` above 0, `0.01 z` below.
    LeakyRelu,
    /// `z Phi(z)`, exact.
    Gelu,
    /// Hyperbolic tangent.
    Tanh,
    /// `z`: no activation function.
    None,
}

impl ActivationFn {
    /// Applies the function.
    pub fn forward<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu => relu(z),
            Self::LeakyRelu => activation::leaky_relu(z, 0.01),
            Self::Gelu => activation::gelu(z),
            Self::Tanh => activation::tanh(z),
            Self::None => z,
        }
    }

    /// Whether the function is bounded on both sides.
    pub fn saturates(self) -> bool {
        self == Self::Tanh
    }

    /// Name in configs and exported files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::LeakyRelu => "leaky-relu",
            Self::Gelu => "gelu",
            Self::Tanh => "tanh",
            Self::None => "none",
        }
    }
}

/// Distribution of the initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum InitScheme {
    /// Weights and biases `U(+-1/sqrt(fan_in))`: what PyTorch and Burn do.
    #[default]
    Default,
    /// Weights `N(0, 1/fan_in)`, biases 0: Forward-Forward's unit-variance pre-activations.
    UnitNormal,
    /// Weights `U(+-sqrt(6/fan_in))`, biases 0 (He et al. 2015).
    HeUniform,
    /// Weights `U(+-sqrt(6/(fan_in + fan_out)))`, biases 0 (Glorot and Bengio 2010).
    Xavier,
    /// All zero: for tanh networks under direct feedback alignment.
    Zeros,
}

impl InitScheme {
    /// Distributions of weights and biases of a layer.
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

/// A multi-layer perceptron.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `widths` | required | 1 to 1000 of >= 1 | units of every hidden layer; the readout belongs to the rule |
/// | `activation` | relu | relu, leaky-relu, gelu, tanh, none | of every layer |
/// | `dropout` | 0 | [0, 1) | probability of zeroing an activity |
/// | `normalisation` | none | none, rms, l2, layer-norm | of every layer's input, the image included |
/// | `init` | default | default, unit-normal, he-uniform, xavier, zeros | initial weights |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MlpConfig {
    /// Units of every hidden layer.
    #[cfg_attr(feature = "config", schemars(length(min = 1, max = 1000), inner(range(min = 1, max = 1_000_000))))]
    pub widths: Vec<usize>,
    /// Activation function of every layer.
    #[serde(default)]
    pub activation: ActivationFn,
    /// Probability of zeroing an activity during training.
    #[serde(default)]
    #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 0.99)))]
    pub dropout: f64,
    /// Normaliser of every layer's input.
    #[serde(default)]
    pub normalisation: Normaliser,
    /// Distribution of the initial weights.
    #[serde(default)]
    pub init: InitScheme,
}

impl MlpConfig {
    /// The layers, with weights from the stream `init` of `seed`.
    ///
    /// # Errors
    /// [`Error::Argument`] if a width is 0.
    pub fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        self.layers_up_to(None, input, seed, device)
    }

    /// The layers, the last of which gives scores of so many classes instead of what the config says.
    pub(super) fn layers_up_to(
        &self,
        classes: Option<usize>,
        input: RowShape,
        seed: Seed,
        device: &Device,
    ) -> Result<Vec<AnyLayer>> {
        let mut d_in = input.len();
        let mut layers = Vec::with_capacity(self.widths.len());
        for (i, &width) in self.widths.iter().enumerate() {
            let scores = classes.filter(|_| i + 1 == self.widths.len());
            let d_out = scores.unwrap_or(width);
            let mut rng = seed.stream("init", &[i as u64]);
            let (weight, bias) = self.init.of(d_in, d_out);
            layers.push(AnyLayer::new(Dense {
                linear: init::linear(d_in, d_out, weight, Some(bias), &mut rng, device)?,
                dropout: DropoutConfig::new(if scores.is_some() { 0.0 } else { self.dropout }).init(),
                activation: if scores.is_some() { ActivationFn::None } else { self.activation },
                normalisation: self.normalisation,
            }));
            d_in = d_out;
        }
        Ok(layers)
    }
}

/// A dense layer `h = dropout(f(N(x) W + b))`; an input of higher rank is flattened.
#[derive(Module, Debug)]
pub struct Dense {
    linear: Linear,
    dropout: Dropout,
    #[module(skip)]
    activation: ActivationFn,
    #[module(skip)]
    normalisation: Normaliser,
}

impl Dense {
    fn sizes(&self) -> [usize; 2] {
        self.linear.weight.lazy_shape().dims()
    }

    /// What enters the product: rows of as many features as the weights have.
    fn enter(&self, input: &AnyActivation) -> Tensor<2> {
        let (x, [d_in, _]) = (input.features(), self.sizes());
        let [_, given] = x.dims();
        require(given == d_in, || {
            Error::argument("dense layer", "number of features of an input row", given, format!("{d_in}"))
        });
        x
    }

    fn finish(&self, z: Tensor<2>) -> Trace<AnyActivation> {
        let activity = self.activation.forward(z.clone());
        let output = AnyActivation::Features(self.dropout.forward(activity.clone()));
        let units = Units { pre_activation: z, activity }.map(AnyActivation::Features);
        Trace { output, units: Some(units) }
    }
}

impl Layer for Dense {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        let [d_in, d_out] = self.sizes();
        format!("dense {d_in}->{d_out} {}", self.activation.name())
    }

    fn output(&self) -> RowShape {
        RowShape::Features(self.sizes()[1])
    }

    fn activation_bytes_per_row(&self) -> usize {
        let [d_in, d_out] = self.sizes();
        // Kept for backward: the input where it is normalised anew, the pre-activation, the output, the dropout mask.
        let normalised = if self.normalisation == Normaliser::None { 0 } else { d_in };
        let mask = if self.dropout.prob > 0.0 { d_out } else { 0 };
        (normalised + 2 * d_out + mask) * size_of::<f32>()
    }

    fn macs_per_row(&self) -> usize {
        self.sizes().iter().product()
    }

    fn drive_width(&self) -> Option<usize> {
        Some(self.sizes()[1])
    }

    fn units(&self) -> Option<RowShape> {
        Some(self.output())
    }

    fn trace(&self, input: AnyActivation, drive: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let z = self.linear.forward(self.normalisation.forward(self.enter(&input)));
        if let Some(drive) = &drive {
            let (given, needed) = (drive.dims(), z.dims());
            require(given == needed, || {
                Error::argument("dense layer", "shape of a drive", format!("{given:?}"), format!("{needed:?}"))
            });
        }
        self.finish(match drive {
            Some(drive) => z + drive,
            None => z,
        })
    }

    fn forward(&self, input: AnyActivation) -> AnyActivation {
        let z = self.linear.forward(self.normalisation.forward(self.enter(&input)));
        AnyActivation::Features(self.dropout.forward(self.activation.forward(z)))
    }

    /// One product for the shared part and one for the variants, instead of one per variant: for a normaliser that
    /// only divides, `N(x + v_c) W = (x W + v_c W) / rho_c` with `rho_c` from the squared length
    /// `|x|^2 + 2 <x, v_c> + |v_c|^2`.
    fn trace_candidates(&self, input: &AnyActivation, candidates: &Candidates) -> Trace<AnyActivation> {
        let x = self.enter(input);
        let [rows, d_in] = x.dims();
        let count = candidates.count;
        let [_, d_out] = self.sizes();
        let weight = self.linear.weight.val();

        let z = match &candidates.inputs {
            None => {
                let shared = self.normalisation.forward(x).matmul(weight);
                repeat_rows(shared, count)
            }
            Some(inputs) => {
                let squared = x.clone().square().sum_dim(1)
                    + x.clone().matmul(inputs.clone().transpose()) * 2.0
                    + inputs.clone().square().sum_dim(1).transpose();
                let Some(divisor) = self.normalisation.divisor(squared.clamp_min(0.0), d_in) else {
                    // A normaliser that also shifts: no sharing, the literal way.
                    let all = repeat_rows(x, count) + inputs.clone().repeat_dim(0, rows);
                    let drive = candidates.drives.as_ref().map(|d| d.clone().repeat_dim(0, rows));
                    return self.trace(AnyActivation::Features(all), drive);
                };
                let shared = x.matmul(weight.clone()).reshape([rows, 1, d_out]);
                let own = inputs.clone().matmul(weight).reshape([1, count, d_out]);
                ((shared + own) / divisor.reshape([rows, count, 1])).reshape([rows * count, d_out])
            }
        };
        let mut offset = candidates.drives.clone();
        if let Some(bias) = &self.linear.bias {
            let bias = bias.val().reshape([1, d_out]);
            offset = Some(match offset {
                Some(o) => o + bias,
                None => bias.repeat_dim(0, count),
            });
        }
        self.finish(match offset {
            Some(o) => (z.reshape([rows, count, d_out]) + o.reshape([1, count, d_out])).reshape([rows * count, d_out]),
            None => z,
        })
    }

    fn export(&self) -> LayerExport {
        LayerExport {
            name: String::new(),
            kind: "linear".into(),
            normalisation: self.normalisation.name().into(),
            activation: self.activation.name().into(),
        }
    }
}
