//! The unit of convolutional networks: convolution, batch normalisation, activation, squeeze-and-excite.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, activation};
use burn_forward::Result;
use burn_forward::activation::RowShape;
use burn_forward::block::Units;
use burn_forward_kernels::conv::{conv2d, global_average_pool};
use burn_forward_kernels::shape;

use crate::module_init::{ConvInit, ConvShape, ModuleInit, NormSetting};
use crate::nonlinearity::Nonlinearity;

/// Names of a unit's parts in public weight files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitNames {
    /// Prefix of the convolution's tensors: `layer1.0.conv1`.
    pub conv: String,
    /// Prefix of the normalisation's tensors: `layer1.0.bn1`.
    pub norm: String,
    /// Prefixes of the two convolutions of squeeze-and-excite.
    pub squeeze: Option<[String; 2]>,
}

impl UnitNames {
    /// A convolution and a normalisation.
    pub fn new(conv: impl Into<String>, norm: impl Into<String>) -> Self {
        Self { conv: conv.into(), norm: norm.into(), squeeze: None }
    }
}

/// The description of a [`ConvUnit`].
#[derive(Debug, Clone, PartialEq)]
pub struct UnitSpec {
    /// Sizes of the convolution.
    pub shape: ConvShape,
    /// Constants of batch normalisation; `None` if the unit has none.
    pub norm: Option<NormSetting>,
    /// Activation function.
    pub activation: Nonlinearity,
    /// Number of channels after the squeeze of squeeze-and-excite; `None` if the unit has none.
    pub squeeze: Option<usize>,
    /// Initial weights.
    pub init: ConvInit,
    /// Names in public weight files.
    pub names: UnitNames,
}

impl UnitSpec {
    /// Convolution, batch normalisation, activation.
    pub fn new(shape: ConvShape, activation: Nonlinearity, names: UnitNames) -> Self {
        let norm = Some(NormSetting::default());
        Self { shape, norm, activation, squeeze: None, init: ConvInit::default(), names }
    }
}

/// `h = s(f(BN(conv(x))))`, where `s` is squeeze-and-excite if the unit has it.
#[derive(Module, Debug)]
pub struct ConvUnit {
    conv: Conv2d,
    norm: Option<BatchNorm>,
    squeeze: Option<SqueezeExcite>,
    #[module(skip)]
    activation: Nonlinearity,
    #[module(skip)]
    spec: UnitSpec,
    #[module(skip)]
    output: [usize; 3],
}

impl ConvUnit {
    /// A unit for inputs of `[C, H, W]`.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if the channels do not match or the maps are smaller than the kernel.
    pub fn new(spec: UnitSpec, input: [usize; 3], init: &mut ModuleInit<'_>) -> Result<Self> {
        let shape = spec.shape;
        let [channels, height, width] = input;
        let fits = height.min(width) + 2 * shape.padding >= shape.kernel;
        if channels != shape.input || !fits {
            return Err(burn_forward::Error::argument(
                "ConvUnit",
                "input",
                format!("{channels}x{height}x{width}"),
                format!(
                    "{} channels and a side of at least {}",
                    shape.input,
                    shape.kernel - shape.padding.min(shape.kernel)
                ),
            ));
        }
        let conv = init.conv(shape, spec.init)?;
        let norm = spec.norm.map(|setting| init.norm(shape.output, setting));
        let squeeze = spec.squeeze.map(|to| SqueezeExcite::new(shape.output, to, init)).transpose()?;
        let output = [shape.output, shape.side(height), shape.side(width)];
        Ok(Self { conv, norm, squeeze, activation: spec.activation, spec, output })
    }

    /// The description that the unit was built from.
    pub fn spec(&self) -> &UnitSpec {
        &self.spec
    }

    /// Shape `[C, H, W]` of an output row.
    pub fn output(&self) -> [usize; 3] {
        self.output
    }

    /// The forward pass.
    ///
    /// # Shapes
    /// - `x`: `[B, C_in, H, W]`; returns `[B, C, H', W']`
    /// - `bias`: `[B, C]`, added to the pre-activation at every position.
    ///
    /// # Panics
    /// If a shape differs.
    pub fn forward(&self, x: Tensor<4>, bias: Option<Tensor<2>>) -> Tensor<4> {
        match (bias, &self.norm) {
            (Some(bias), _) => self.trace(x, Some(bias)).activity,
            // Normalisation and activation in one operation.
            (None, Some(norm)) => self.gate(self.activation.of_normalised(norm, conv2d(&self.conv, x))),
            (None, None) => self.gate(self.activation.forward(conv2d(&self.conv, x))),
        }
    }

    /// The forward pass, with the pre-activations, which are the values between normalisation and activation.
    ///
    /// # Shapes
    /// Those of [`forward`](Self::forward).
    ///
    /// # Panics
    /// If a shape differs.
    pub fn trace(&self, x: Tensor<4>, bias: Option<Tensor<2>>) -> Units<Tensor<4>> {
        if let Some(bias) = &bias {
            let [rows, ..] = x.dims();
            shape::check("convolutional unit", "bias", bias.dims(), [Some(rows), Some(self.spec.shape.output)]);
        }
        self.finish(self.convolve(x), bias)
    }

    /// The convolution alone.
    ///
    /// # Shapes
    /// Those of [`forward`](Self::forward).
    pub fn convolve(&self, x: Tensor<4>) -> Tensor<4> {
        conv2d(&self.conv, x)
    }

    /// The rest of the unit, applied to the output `z` `[B, C, H', W']` of the [convolution](Self::convolve); `bias` as in
    /// [`forward`](Self::forward).
    pub fn finish(&self, mut z: Tensor<4>, bias: Option<Tensor<2>>) -> Units<Tensor<4>> {
        if let Some(norm) = &self.norm {
            z = Nonlinearity::Identity.of_normalised(norm, z);
        }
        if let Some(bias) = bias {
            let [rows, channels] = bias.dims();
            z = z + bias.reshape([rows, channels, 1, 1]);
        }
        Units { activity: self.gate(self.activation.forward(z.clone())), pre_activation: z }
    }

    /// Applies squeeze-and-excite if the unit has it.
    fn gate(&self, h: Tensor<4>) -> Tensor<4> {
        match &self.squeeze {
            Some(squeeze) => squeeze.forward(h),
            None => h,
        }
    }

    /// Number of values per channel that one row provides to the batch normalisation; `None` if the unit has none.
    pub fn normalised_values_per_row(&self) -> Option<usize> {
        let [_, height, width] = self.output;
        self.norm.as_ref().map(|_| height * width)
    }

    /// Number of multiply-accumulate operations for one row.
    pub fn macs(&self) -> usize {
        let ConvShape { input, kernel, groups, .. } = self.spec.shape;
        let squeeze = self.squeeze.as_ref().map_or(0, |s| 2 * s.sizes().iter().product::<usize>());
        self.len() * input / groups * kernel * kernel + squeeze
    }

    /// Number of floats that one row keeps in the autodiff graph: the output of the convolution, the normalised output if the
    /// activation keeps it, and the output of the unit.
    pub fn kept(&self) -> usize {
        let activated = if self.activation == Nonlinearity::Identity { 0 } else { 1 };
        let normalised = usize::from(self.norm.is_some()) * self.activation.kept();
        let squeezed = usize::from(self.squeeze.is_some());
        self.len() * (1 + normalised + activated + squeezed)
    }

    fn len(&self) -> usize {
        self.output.iter().product()
    }

    /// Paths within the unit, prefixed by `path`, with their names in public weight files.
    pub fn public_names(&self, path: &str) -> Vec<(String, String)> {
        let names = &self.spec.names;
        let mut all = vec![(format!("{path}conv"), names.conv.clone()), (format!("{path}norm"), names.norm.clone())];
        if let Some([reduce, expand]) = &names.squeeze {
            all.push((format!("{path}squeeze.reduce"), reduce.clone()));
            all.push((format!("{path}squeeze.expand"), expand.clone()));
        }
        all
    }
}

/// Squeeze-and-excite, which scales channels by a gate `hard_sigmoid(W_2 relu(W_1 mean_{hw} h))` (Hu et al. 2018, arXiv
/// 1709.01507, with the gate of Howard et al. 2019, arXiv 1905.02244).
#[derive(Module, Debug)]
pub struct SqueezeExcite {
    reduce: Conv2d,
    expand: Conv2d,
}

impl SqueezeExcite {
    /// A gate for `channels` channels with `squeezed` hidden units.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if a size is 0.
    pub fn new(channels: usize, squeezed: usize, init: &mut ModuleInit<'_>) -> Result<Self> {
        let shape = |input, output| ConvShape::same(input, output, 1, 1).with_bias();
        Ok(Self {
            reduce: init.conv(shape(channels, squeezed), ConvInit::HeNormal)?,
            expand: init.conv(shape(squeezed, channels), ConvInit::HeNormal)?,
        })
    }

    fn sizes(&self) -> [usize; 2] {
        let [squeezed, channels, _, _] = self.reduce.weight.lazy_shape().dims();
        [channels, squeezed]
    }

    /// The gated maps.
    ///
    /// # Shapes
    /// - `h`: `[B, C, H, W]`; returns the same shape.
    ///
    /// # Panics
    /// If the number of channels differs.
    pub fn forward(&self, h: Tensor<4>) -> Tensor<4> {
        let mean = global_average_pool(h.clone());
        let gate = conv2d(&self.expand, activation::relu(conv2d(&self.reduce, mean)));
        h * activation::hard_sigmoid(gate, 1.0 / 6.0, 0.5)
    }
}

/// The row shape of maps `[C, H, W]`.
pub(crate) fn maps([channels, height, width]: [usize; 3]) -> RowShape {
    RowShape::Maps { channels, height, width }
}

/// `[C, H, W]` of a row of maps.
///
/// # Errors
/// [`burn_forward::Error::Argument`] if the rows are not maps.
pub(crate) fn map_shape(input: RowShape, place: &'static str) -> Result<[usize; 3]> {
    match input {
        RowShape::Maps { channels, height, width } => Ok([channels, height, width]),
        other => Err(burn_forward::Error::argument(place, "input", other, "feature maps CxHxW (images)")),
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests;
