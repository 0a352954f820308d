//! A dense layer after convolutions: `dropout(f(BN(x W + b)))`.

use burn::module::Module;
use burn::nn::{BatchNorm, Linear};
use burn::tensor::{Device, Tensor};
use burn_forward::Result;
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::{Trace, Units};
use burn_forward::network::{AnyLayer, Layer, LayerExport, LayerOutline};
use burn_forward::pieces::dropout::Dropout;
use burn_forward::random::Seed;

use super::{LayerSettings, normalisation_name};
use crate::module_init::{ModuleInit, NormSetting};
use crate::nonlinearity::Nonlinearity;

/// A dense layer; maps are flattened.
#[derive(Module, Debug)]
pub struct DenseLayer {
    linear: Linear,
    norm: Option<BatchNorm>,
    dropout: Dropout,
    #[module(skip)]
    activation: Nonlinearity,
    #[module(skip)]
    settings: LayerSettings,
    #[module(skip)]
    names: (String, Option<String>),
}

impl DenseLayer {
    /// A layer from `input` features to `width`. `names` are its prefix in public weight files and, if there is
    /// one, that of the classifier after it.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if a width is 0.
    pub fn new(
        input: usize,
        width: usize,
        norm: Option<NormSetting>,
        activation: Nonlinearity,
        settings: LayerSettings,
        names: (String, Option<String>),
        init: &mut ModuleInit<'_>,
    ) -> Result<Self> {
        Ok(Self {
            linear: init.linear(input, width, true)?,
            norm: norm.map(|setting| init.norm(width, setting)),
            dropout: Dropout::none(),
            activation,
            settings,
            names,
        })
    }

    /// Adds dropout at the end.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] for a probability outside `[0, 1)`.
    pub fn with_dropout(mut self, probability: f64) -> burn_forward::Result<Self> {
        self.dropout = Dropout::new(probability)?;
        Ok(self)
    }

    fn linear_map(&self, input: AnyActivation) -> Tensor<2> {
        self.linear.forward(self.settings.normalisation.forward(input.features()))
    }

    /// The values before the activation, from the output of the linear map.
    fn pre_activation(&self, mut z: Tensor<2>, bias: Option<Tensor<2>>) -> Tensor<2> {
        if let Some(norm) = &self.norm {
            z = norm.forward(z);
        }
        match bias {
            Some(bias) => z + bias,
            None => z,
        }
    }

    fn finish(&self, z: Tensor<2>) -> Trace<AnyActivation> {
        let units = Units { activity: self.activation.forward(z.clone()), pre_activation: z };
        let output = AnyActivation::Features(self.dropout.forward(units.activity.clone()));
        Trace { output, units: Some(units.map(AnyActivation::Features)) }
    }

    fn sizes(&self) -> [usize; 2] {
        self.linear.weight.lazy_shape().dims()
    }
}

impl Layer for DenseLayer {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        let [input, output] = self.sizes();
        format!("dense {input}->{output} {}", self.activation.name())
    }

    fn output(&self) -> RowShape {
        RowShape::Features(self.sizes()[1])
    }

    fn outline(&self) -> LayerOutline {
        LayerOutline { affine: true, ..self.settings.outline }
    }

    fn macs_per_row(&self) -> usize {
        self.sizes().iter().product()
    }

    fn activation_bytes_per_row(&self) -> usize {
        let [input, output] = self.sizes();
        let normalised = usize::from(self.norm.is_some());
        let dropped = if self.dropout.prob > 0.0 { 2 } else { 0 };
        (self.settings.kept([input, 1, 1]) + output * (1 + normalised + self.activation.kept() + dropped))
            * size_of::<f32>()
    }

    fn normalised_values_per_row(&self) -> Option<usize> {
        self.norm.as_ref().map(|_| 1)
    }

    fn bias_width(&self) -> Option<usize> {
        Some(self.sizes()[1])
    }

    fn units(&self) -> Option<RowShape> {
        Some(self.output())
    }

    fn trace(&self, input: AnyActivation, bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        self.finish(self.pre_activation(self.linear_map(input), bias))
    }

    fn affine(&self, input: AnyActivation) -> Option<AnyActivation> {
        Some(AnyActivation::Features(self.linear_map(input)))
    }

    fn activate(&self, z: AnyActivation) -> Trace<AnyActivation> {
        self.finish(self.pre_activation(z.features(), None))
    }

    fn forward(&self, input: AnyActivation) -> AnyActivation {
        let h = self.activation.forward(self.pre_activation(self.linear_map(input), None));
        AnyActivation::Features(self.dropout.forward(h))
    }

    fn public_names(&self) -> Vec<(String, String)> {
        vec![("linear".into(), self.names.0.clone()), ("norm".into(), format!("{}.norm", self.names.0))]
    }

    fn readout_name(&self) -> Option<String> {
        self.names.1.clone()
    }

    fn fresh(&self, input: RowShape, draws: u64, seed: Seed, device: &Device) -> Result<AnyLayer> {
        let mut init = ModuleInit::from(seed, "auxiliary", draws, device);
        let norm = self.norm.as_ref().map(|n| NormSetting { epsilon: n.epsilon, momentum: n.momentum });
        let width = self.sizes()[1];
        Ok(AnyLayer::new(Self::new(
            input.len(),
            width,
            norm,
            self.activation,
            self.settings,
            self.names.clone(),
            &mut init,
        )?))
    }

    fn export(&self) -> LayerExport {
        LayerExport {
            name: String::new(),
            kind: "linear".into(),
            normalisation: normalisation_name(self.settings.normalisation),
            activation: self.activation.name().into(),
        }
    }
}
