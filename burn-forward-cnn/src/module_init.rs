//! Initial weights of convolutions, drawn on the host in the order in which the layers are built.

use burn::module::{Param, RunningState};
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use burn_forward::activation::RowShape;
use burn_forward::init::{self, Init};
use burn_forward::pieces::projection::HeadPool;
use burn_forward::random::{Rng, Seed};
use burn_forward::{ProjectedCrossEntropy, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Distribution of a convolution's initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConvInit {
    /// Weights `N(0, 2/fan_out)`, biases 0 (He et al. 2015, arXiv 1502.01852): the usual choice for residual networks.
    #[default]
    HeNormal,
    /// Weights and biases `U(+-1/sqrt(fan_in))`: the default of PyTorch and Burn.
    Default,
}

/// Sizes of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Number of input channels.
    pub input: usize,
    /// Number of output channels.
    pub output: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride, the same in both directions.
    pub stride: usize,
    /// Number of groups; equal to `input` for a depthwise convolution.
    pub groups: usize,
    /// Number of zeros on every side.
    pub padding: usize,
    /// Whether it has a bias.
    pub bias: bool,
}

impl ConvShape {
    /// An ungrouped convolution without bias, with an odd kernel and a padding that keeps the size at stride 1.
    pub fn same(input: usize, output: usize, kernel: usize, stride: usize) -> Self {
        Self { input, output, kernel, stride, groups: 1, padding: kernel / 2, bias: false }
    }

    /// The same convolution with a bias.
    pub fn with_bias(self) -> Self {
        Self { bias: true, ..self }
    }

    /// The same convolution with as many groups as channels.
    pub fn depthwise(self) -> Self {
        Self { groups: self.input, ..self }
    }

    /// Side of the output for an input of side `n`.
    pub fn side(self, n: usize) -> usize {
        (n + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1
    }
}

/// Draws the modules of a network one after another, each from its own stream.
#[derive(Debug)]
pub struct ModuleInit<'a> {
    seed: Seed,
    stream: &'static str,
    device: &'a Device,
    prefix: Option<u64>,
    next: u64,
}

impl<'a> ModuleInit<'a> {
    /// Modules on `device`, from the streams `(stream, 0)`, `(stream, 1)` ... of `seed`.
    pub fn new(seed: Seed, stream: &'static str, device: &'a Device) -> Self {
        Self { seed, stream, device, prefix: None, next: 0 }
    }

    /// Like [`new`](Self::new), for streams with a leading number: `(stream, first, 0)`, `(stream, first, 1)` ...
    pub fn from(seed: Seed, stream: &'static str, first: u64, device: &'a Device) -> Self {
        Self { seed, stream, device, prefix: Some(first), next: 0 }
    }

    /// The device of the modules.
    pub fn device(&self) -> &'a Device {
        self.device
    }

    /// The stream of the next module.
    pub fn rng(&mut self) -> Rng {
        let address: Vec<u64> = self.prefix.into_iter().chain([self.next]).collect();
        self.next += 1;
        self.seed.stream(self.stream, &address)
    }

    /// A convolution.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if a size is 0 or the groups do not divide the channels.
    pub fn conv(&mut self, shape: ConvShape, scheme: ConvInit) -> Result<Conv2d> {
        let ConvShape { input, output, kernel, stride, groups, padding, bias } = shape;
        let sound = input > 0 && output > 0 && kernel > 0 && stride > 0 && groups > 0;
        if !sound || !input.is_multiple_of(groups) || !output.is_multiple_of(groups) {
            return Err(burn_forward::Error::argument(
                "ModuleInit::conv",
                "convolution",
                format!("{input}->{output} channels, kernel {kernel}, stride {stride}, {groups} groups"),
                "sizes >= 1 and channels that are multiples of the groups",
            ));
        }
        let mut rng = self.rng();
        let fan_in = input / groups * kernel * kernel;
        let (weights, biases) = match scheme {
            ConvInit::HeNormal => (Init::Normal((2.0 / (output * kernel * kernel) as f64).sqrt()), Init::Zeros),
            ConvInit::Default => (Init::default_uniform(fan_in), Init::default_uniform(fan_in)),
        };
        let weight = weights.draw([output, input / groups, kernel, kernel], &mut rng, self.device)?;
        let bias = bias.then(|| biases.draw([output], &mut rng, self.device)).transpose()?;
        Ok(Conv2d {
            weight: Param::from_tensor(weight),
            bias: bias.map(Param::from_tensor),
            stride: [stride; 2],
            kernel_size: [kernel; 2],
            dilation: [1; 2],
            groups,
            padding: PaddingConfig2d::Explicit(padding, padding, padding, padding),
        })
    }

    /// Batch normalisation with scale 1 and shift 0.
    pub fn norm(&self, channels: usize, setting: NormSetting) -> BatchNorm {
        let config = BatchNormConfig::new(channels).with_epsilon(setting.epsilon).with_momentum(setting.momentum);
        let drawn = config.init(self.device);
        // Create scale and shift now. Lazily created parameters would be created in a different step under every rule.
        BatchNorm {
            gamma: Param::from_tensor(Tensor::ones([channels], self.device)),
            beta: Param::from_tensor(Tensor::zeros([channels], self.device)),
            running_mean: RunningState::new(Tensor::zeros([channels], self.device)),
            running_var: RunningState::new(Tensor::ones([channels], self.device)),
            ..drawn
        }
    }

    /// A dense layer with weights uniform on `+-1/sqrt(fan_in)`.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if a width is 0.
    pub fn linear(&mut self, input: usize, output: usize, bias: bool) -> Result<Linear> {
        let init = Init::default_uniform(input);
        let mut rng = self.rng();
        init::linear(input, output, init, bias.then_some(init), &mut rng, self.device)
    }

    /// A linear classifier with cross-entropy for rows of `shape`; maps are averaged over their positions first.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if a size is 0.
    pub fn classifier(&mut self, shape: RowShape, classes: usize) -> Result<ProjectedCrossEntropy> {
        ProjectedCrossEntropy::of(shape, HeadPool::Side(1), classes, true, &mut self.rng(), self.device)
    }
}

/// Constants of batch normalisation, as published for an architecture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormSetting {
    /// Added to the variance to avoid division by zero.
    pub epsilon: f64,
    /// Weight of the current batch in the running statistics.
    pub momentum: f64,
}

impl Default for NormSetting {
    fn default() -> Self {
        Self { epsilon: 1e-5, momentum: 0.1 }
    }
}
