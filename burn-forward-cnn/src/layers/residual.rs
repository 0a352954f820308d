//! Residual blocks: `f(F(x) + shortcut(x))`, with plain, bottleneck and inverted branches.

use burn::module::Module;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor};
use burn_forward::Result;
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::{Trace, Units};
use burn_forward::network::{AnyLayer, Layer, LayerExport, LayerOutline};
use burn_forward::random::Seed;

use super::{LayerSettings, normalisation_name};
use crate::conv::{ConvUnit, UnitSpec, maps};
use crate::module_init::ModuleInit;
use crate::nonlinearity::Nonlinearity;

/// The path around the branch.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "only a few of them exist, while a network is built")]
pub enum Shortcut {
    /// None: an inverted residual block that changes the size (Sandler et al. 2018).
    None,
    /// The unchanged input.
    Identity,
    /// Every `stride`-th position, with zeros for the missing channels, half of them on either side: option A of He et al.
    /// 2015, arXiv 1512.03385.
    PadChannels {
        /// Stride.
        stride: usize,
        /// Number of output channels.
        channels: usize,
    },
    /// A 1x1 convolution with normalisation: option B of He et al. 2015.
    Projection(UnitSpec),
}

/// A residual block. Its branch is a list of convolutional units, so this one type represents the basic block of ResNet-18, the
/// bottleneck of ResNet-50 and the inverted bottleneck of MobileNet.
#[derive(Module, Debug)]
pub struct Residual {
    branch: Vec<ConvUnit>,
    projection: Option<ConvUnit>,
    #[module(skip)]
    shortcut: Shortcut,
    #[module(skip)]
    activation: Nonlinearity,
    #[module(skip)]
    settings: LayerSettings,
    #[module(skip)]
    input: [usize; 3],
    #[module(skip)]
    output: [usize; 3],
}

impl Residual {
    /// A residual block for inputs of shape `[C, H, W]`, whose sum goes through `activation`.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if the sizes do not match.
    pub fn new(
        branch: Vec<UnitSpec>,
        shortcut: Shortcut,
        activation: Nonlinearity,
        settings: LayerSettings,
        input: [usize; 3],
        init: &mut ModuleInit<'_>,
    ) -> Result<Self> {
        let mut units = Vec::with_capacity(branch.len());
        let mut output = input;
        for spec in branch {
            let unit = ConvUnit::new(spec, output, init)?;
            output = unit.output();
            units.push(unit);
        }
        let projection = match &shortcut {
            Shortcut::Projection(spec) => Some(ConvUnit::new(spec.clone(), input, init)?),
            _ => None,
        };
        let around = match (&shortcut, &projection) {
            (Shortcut::None, _) => output,
            (_, Some(unit)) => unit.output(),
            (Shortcut::PadChannels { stride, channels }, _) => {
                [*channels, input[1].div_ceil(*stride), input[2].div_ceil(*stride)]
            }
            _ => input,
        };
        if around != output {
            return Err(burn_forward::Error::argument(
                "Residual",
                "shape of the shortcut",
                maps(around),
                format!("{}, the shape of the branch", maps(output)),
            ));
        }
        Ok(Self { branch: units, projection, shortcut, activation, settings, input, output })
    }

    /// The sum of the branch and the shortcut, before the activation; a bias is added in the first unit of the branch.
    fn sum(&self, input: AnyActivation, bias: Option<Tensor<2>>) -> Tensor<4> {
        let x = self.settings.enter(input, self.input);
        let mut h = x.clone();
        let mut bias = bias;
        for unit in &self.branch {
            h = unit.forward(h, bias.take());
        }
        match self.around(x) {
            Some(around) => h + around,
            None => h,
        }
    }

    fn around(&self, x: Tensor<4>) -> Option<Tensor<4>> {
        match (&self.shortcut, &self.projection) {
            (Shortcut::None, _) => None,
            (_, Some(unit)) => Some(unit.forward(x, None)),
            (Shortcut::PadChannels { stride, channels }, _) => Some(pad_channels(x, *stride, *channels)),
            _ => Some(x),
        }
    }
}

/// Every `stride`-th position of `x` `[B, C, H, W]`, with zeros before and after its channels to make `channels` channels.
fn pad_channels(x: Tensor<4>, stride: usize, channels: usize) -> Tensor<4> {
    let x = if stride == 1 {
        x
    } else {
        // The mean over one pixel is the pixel itself.
        avg_pool2d(x, AvgPoolOptions::new([1, 1]).with_stride([stride; 2]))
    };
    let [rows, present, height, width] = x.dims();
    let missing = channels.saturating_sub(present);
    if missing == 0 {
        return x;
    }
    let zeros = |n| Tensor::zeros([rows, n, height, width], &x.device());
    let before = missing / 2;
    let parts = [(before > 0).then(|| zeros(before)), Some(x.clone()), Some(zeros(missing - before))];
    Tensor::cat(parts.into_iter().flatten().collect(), 1)
}

impl Layer for Residual {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        let kernels: Vec<String> = self
            .branch
            .iter()
            .map(|u| {
                let (k, depthwise) = (u.spec().shape.kernel, u.spec().shape.groups > 1);
                format!(
                    "{k}x{k}{}{}",
                    if depthwise { "dw" } else { "" },
                    if u.spec().squeeze.is_some() { "+se" } else { "" }
                )
            })
            .collect();
        let [from, to] = [self.input[0], self.output[0]];
        let stride = self.input[1] / self.output[1].max(1);
        let way = if self.shortcut == Shortcut::None { "no shortcut" } else { "residual" };
        format!("{way} {from}->{to}/{stride} ({})", kernels.join(", "))
    }

    fn output(&self) -> RowShape {
        maps(self.output)
    }

    fn outline(&self) -> LayerOutline {
        self.settings.outline
    }

    fn macs_per_row(&self) -> usize {
        self.branch.iter().chain(&self.projection).map(ConvUnit::macs).sum()
    }

    fn activation_bytes_per_row(&self) -> usize {
        let out: usize = self.output.iter().product();
        let units: usize = self.branch.iter().chain(&self.projection).map(ConvUnit::kept).sum();
        // The sum if the activation keeps it, and the output.
        let sum = if self.activation == Nonlinearity::Identity { 0 } else { out * self.activation.kept() };
        let padded = if matches!(self.shortcut, Shortcut::PadChannels { .. }) { out } else { 0 };
        (self.settings.kept(self.input) + units + sum + padded + out) * size_of::<f32>()
    }

    fn normalised_values_per_row(&self) -> Option<usize> {
        self.branch.iter().chain(&self.projection).filter_map(ConvUnit::normalised_values_per_row).min()
    }

    fn bias_width(&self) -> Option<usize> {
        self.branch.first().map(|u| u.spec().shape.output)
    }

    fn units(&self) -> Option<RowShape> {
        Some(self.output())
    }

    fn trace(&self, input: AnyActivation, bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let sum = self.sum(input, bias);
        let activity = AnyActivation::Maps(self.activation.forward(sum.clone()));
        let units = Units { pre_activation: AnyActivation::Maps(sum), activity: activity.clone() };
        Trace { output: activity, units: Some(units) }
    }

    fn forward(&self, input: AnyActivation) -> AnyActivation {
        AnyActivation::Maps(self.activation.forward(self.sum(input, None)))
    }

    fn public_names(&self) -> Vec<(String, String)> {
        let branch = self.branch.iter().enumerate().flat_map(|(i, u)| u.public_names(&format!("branch.{i}.")));
        branch.chain(self.projection.iter().flat_map(|u| u.public_names("projection."))).collect()
    }

    /// A copy for inputs with another number of channels has a projection as its shortcut if the shapes then differ.
    fn fresh(&self, input: RowShape, draws: u64, seed: Seed, device: &Device) -> Result<AnyLayer> {
        let input = crate::conv::map_shape(input, "Residual::fresh")?;
        let mut specs: Vec<UnitSpec> = self.branch.iter().map(|u| u.spec().clone()).collect();
        if let Some(first) = specs.first_mut() {
            first.shape.input = input[0];
            if first.shape.groups > 1 {
                (first.shape.groups, first.shape.output) = (input[0], input[0]);
            }
        }
        for i in 1..specs.len() {
            specs[i].shape.input = specs[i - 1].shape.output;
        }
        let stride: usize = specs.iter().map(|s| s.shape.stride).product();
        let channels = self.output[0];
        let shortcut = match &self.shortcut {
            Shortcut::None => Shortcut::None,
            Shortcut::PadChannels { .. } => Shortcut::PadChannels { stride, channels },
            Shortcut::Identity if stride == 1 && channels == input[0] => Shortcut::Identity,
            Shortcut::Projection(spec) => {
                let mut spec = spec.clone();
                spec.shape.input = input[0];
                Shortcut::Projection(spec)
            }
            Shortcut::Identity if self.activation == Nonlinearity::Identity => Shortcut::None,
            Shortcut::Identity => {
                let shape = crate::module_init::ConvShape::same(input[0], channels, 1, stride);
                Shortcut::Projection(UnitSpec::new(shape, Nonlinearity::Identity, Default::default()))
            }
        };
        let mut init = ModuleInit::from(seed, "auxiliary", draws, device);
        Ok(AnyLayer::new(Self::new(specs, shortcut, self.activation, self.settings, input, &mut init)?))
    }

    fn export(&self) -> LayerExport {
        LayerExport {
            name: String::new(),
            kind: "residual".into(),
            normalisation: normalisation_name(self.settings.normalisation),
            activation: self.activation.name().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn option_a_takes_every_second_pixel_and_pads_both_sides() {
        let values: Vec<f32> = (0..18).map(|i| i as f32).collect();
        let x = Tensor::<4>::from_data(TensorData::new(values, [1, 2, 3, 3]), &Device::flex());
        let y = pad_channels(x, 2, 4);
        let zero = [0.0; 4];
        let expected: Vec<f32> = [zero, [0.0, 2.0, 6.0, 8.0], [9.0, 11.0, 15.0, 17.0], zero].concat();
        assert_eq!(y.dims(), [1, 4, 2, 2]);
        assert_eq!(y.into_data().iter::<f32>().collect::<Vec<_>>(), expected);
    }
}
