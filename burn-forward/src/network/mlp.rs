//! Multi-layer perceptrons: dense layers `h = f(N(x) W + b)`, with dropout after the activation.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::LayerOutline;
use super::layer::{AnyLayer, Candidates, Layer, LayerExport, repeat_rows};
use crate::activation::{Activation, AnyActivation, RowShape};
use crate::block::{Trace, Units};
use crate::init::{self, InitScheme};
use crate::pieces::activation_fn::ActivationFn;
use crate::pieces::dropout::Dropout;
use crate::pieces::normalisation::Normalisation;
use crate::random::Seed;
use crate::{Error, Result, require};

/// A multi-layer perceptron.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `widths` | required | 1 to 1000 of >= 1 | number of units in every hidden layer; the readout belongs to the rule |
/// | `activation` | relu | relu, leaky-relu, gelu, tanh, none | activation function of every layer |
/// | `dropout` | 0 | [0, 1) | probability of zeroing an activity during training |
/// | `normalisation` | none | none, rms, l2, layer-norm | normalisation of every layer's input, including the network's |
/// | `init` | default | default, unit-normal, he-uniform, xavier, zeros | initial weights |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MlpConfig {
    /// Number of units in every hidden layer.
    #[cfg_attr(feature = "config", schemars(length(min = 1, max = 1000), inner(range(min = 1, max = 1_000_000))))]
    pub widths: Vec<usize>,
    /// Activation function of every layer.
    #[serde(default)]
    pub activation: ActivationFn,
    /// Probability of zeroing an activity during training.
    #[serde(default)]
    #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 0.99)))]
    pub dropout: f64,
    /// Normalisation of every layer's input.
    #[serde(default)]
    pub normalisation: Normalisation,
    /// Distribution of the initial weights.
    #[serde(default)]
    pub init: InitScheme,
}

impl MlpConfig {
    /// Hidden layers of these widths, with default values for everything else.
    ///
    /// ```
    /// use burn_forward::network::MlpConfig;
    /// use burn_forward::pieces::normalisation::Normalisation;
    ///
    /// let config = MlpConfig { normalisation: Normalisation::Rms, ..MlpConfig::new([256, 256]) };
    /// assert_eq!(config.widths, [256, 256]);
    /// ```
    pub fn new(widths: impl Into<Vec<usize>>) -> Self {
        Self {
            widths: widths.into(),
            activation: ActivationFn::default(),
            dropout: 0.0,
            normalisation: Normalisation::default(),
            init: InitScheme::default(),
        }
    }

    /// The layers, with weights from the stream `init` of `seed`.
    ///
    /// # Errors
    /// [`Error::Argument`] if a width is 0.
    pub fn layers(&self, input: RowShape, seed: Seed, device: &Device) -> Result<Vec<AnyLayer>> {
        self.layers_up_to(None, input, seed, device)
    }

    /// The layers; if `classes` is given, the last one gives that many class scores instead of following the config.
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
                dropout: Dropout::new(if scores.is_some() { 0.0 } else { self.dropout })?,
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
    normalisation: Normalisation,
}

impl Dense {
    fn sizes(&self) -> [usize; 2] {
        self.linear.weight.lazy_shape().dims()
    }

    /// The input of the product: rows with as many features as the weights.
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

    fn outline(&self) -> LayerOutline {
        LayerOutline { affine: true, ..LayerOutline::default() }
    }

    fn activation_bytes_per_row(&self) -> usize {
        let [d_in, d_out] = self.sizes();
        // Kept for the backward pass: the input if it is normalised, the pre-activation, the output, the dropout mask.
        let normalised = if self.normalisation == Normalisation::None { 0 } else { d_in };
        let mask = if self.dropout.prob > 0.0 { d_out } else { 0 };
        (normalised + 2 * d_out + mask) * size_of::<f32>()
    }

    fn macs_per_row(&self) -> usize {
        self.sizes().iter().product()
    }

    fn bias_width(&self) -> Option<usize> {
        Some(self.sizes()[1])
    }

    fn units(&self) -> Option<RowShape> {
        Some(self.output())
    }

    fn trace(&self, input: AnyActivation, bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let z = self.linear.forward(self.normalisation.forward(self.enter(&input)));
        if let Some(bias) = &bias {
            let (given, needed) = (bias.dims(), z.dims());
            require(given == needed, || {
                Error::argument("dense layer", "shape of a bias", format!("{given:?}"), format!("{needed:?}"))
            });
        }
        self.finish(match bias {
            Some(bias) => z + bias,
            None => z,
        })
    }

    fn forward(&self, input: AnyActivation) -> AnyActivation {
        let z = self.linear.forward(self.normalisation.forward(self.enter(&input)));
        AnyActivation::Features(self.dropout.forward(self.activation.forward(z)))
    }

    fn affine(&self, input: AnyActivation) -> Option<AnyActivation> {
        Some(AnyActivation::Features(self.linear.forward(self.normalisation.forward(self.enter(&input)))))
    }

    fn activate(&self, z: AnyActivation) -> Trace<AnyActivation> {
        self.finish(z.features())
    }

    /// One product for the shared part and one for the variants, instead of one per variant. For a normaliser that only
    /// divides, `N(x + v_c) W = (x W + v_c W) / rho_c`, where `rho_c` follows from the squared length
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
                    // A normaliser that also shifts: nothing can be shared, so compute every variant.
                    let all = repeat_rows(x, count) + inputs.clone().repeat_dim(0, rows);
                    let bias = candidates.biases.as_ref().map(|d| d.clone().repeat_dim(0, rows));
                    return self.trace(AnyActivation::Features(all), bias);
                };
                let shared = x.matmul(weight.clone()).reshape([rows, 1, d_out]);
                let own = inputs.clone().matmul(weight).reshape([1, count, d_out]);
                ((shared + own) / divisor.reshape([rows, count, 1])).reshape([rows * count, d_out])
            }
        };
        let mut offset = candidates.biases.clone();
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
