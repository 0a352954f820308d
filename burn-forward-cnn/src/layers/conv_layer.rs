//! A convolution with resizing before it, and normalisation, activation, pooling and dropout after it.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::interpolate::{Interpolate2d, Interpolate2dConfig, InterpolateMode};
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::tensor::{Device, Tensor};
use burn_forward::Result;
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::{Trace, Units};
use burn_forward::network::{AnyLayer, Layer, LayerExport, LayerOutline};
use burn_forward::pieces::dropout::Dropout;
use burn_forward::random::Seed;
use burn_forward_kernels::conv::average_pool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LayerSettings, normalisation_name};
use crate::conv::{ConvUnit, UnitSpec, maps};
use crate::module_init::ModuleInit;

/// How maps are pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PoolKind {
    /// The largest value of a window.
    #[default]
    Max,
    /// The mean of a window.
    Average,
}

/// A pool after a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Maximum or mean.
    pub kind: PoolKind,
    /// Side of the window.
    pub size: usize,
    /// Stride.
    pub stride: usize,
    /// Padding on every side.
    pub padding: usize,
}

impl Pool {
    /// Windows of `size` without overlap.
    pub fn new(kind: PoolKind, size: usize) -> Self {
        Self { kind, size, stride: size, padding: 0 }
    }

    fn side(self, n: usize) -> usize {
        (n + 2 * self.padding).saturating_sub(self.size) / self.stride + 1
    }
}

#[derive(Module, Debug)]
enum PoolModule {
    Max(MaxPool2d),
    Average(AvgPool2d),
}

impl PoolModule {
    fn new(pool: Pool) -> Self {
        let (size, stride, p) = ([pool.size; 2], [pool.stride; 2], pool.padding);
        let padding = PaddingConfig2d::Explicit(p, p, p, p);
        match pool.kind {
            PoolKind::Max => Self::Max(MaxPool2dConfig::new(size).with_strides(stride).with_padding(padding).init()),
            PoolKind::Average => {
                Self::Average(AvgPool2dConfig::new(size).with_strides(stride).with_padding(padding).init())
            }
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Max(pool) => pool.forward(x),
            Self::Average(pool) => average_pool(pool, x),
        }
    }
}

/// `dropout(pool(unit(resize(N(x)))))`.
#[derive(Module, Debug)]
pub struct ConvLayer {
    unit: ConvUnit,
    resize: Option<Interpolate2d>,
    pool: Option<PoolModule>,
    dropout: Dropout,
    #[module(skip)]
    pooling: Option<Pool>,
    #[module(skip)]
    settings: LayerSettings,
    #[module(skip)]
    input: [usize; 3],
}

impl ConvLayer {
    /// A layer for inputs `[C, H, W]`.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if the sizes do not match.
    pub fn new(spec: UnitSpec, settings: LayerSettings, input: [usize; 3], init: &mut ModuleInit<'_>) -> Result<Self> {
        let unit = ConvUnit::new(spec, input, init)?;
        Ok(Self { unit, resize: None, pool: None, dropout: Dropout::none(), pooling: None, settings, input })
    }

    /// Adds a pool after the activation.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] if the maps are smaller than the window.
    pub fn with_pool(mut self, pool: Pool) -> Result<Self> {
        let [_, height, width] = self.unit.output();
        if height.min(width) + 2 * pool.padding < pool.size || pool.size == 0 {
            return Err(burn_forward::Error::argument(
                "ConvLayer",
                "maps before a pool",
                format!("{height}x{width}"),
                format!("a side of at least {}", pool.size),
            ));
        }
        self.pooling = Some(pool);
        self.pool = Some(PoolModule::new(pool));
        Ok(self)
    }

    /// Adds dropout at the end.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] for a probability outside `[0, 1)`.
    pub fn with_dropout(mut self, probability: f64) -> burn_forward::Result<Self> {
        self.dropout = Dropout::new(probability)?;
        Ok(self)
    }

    /// Scales inputs of shape `[C, H, W]` bilinearly to the size that the unit was built for.
    pub fn with_resize(mut self, from: [usize; 3]) -> Self {
        let [_, height, width] = self.input;
        if from != self.input {
            let config = Interpolate2dConfig::new().with_output_size(Some([height, width]));
            self.resize = Some(config.with_mode(InterpolateMode::Linear).with_align_corners(false).init());
            self.input = from;
        }
        self
    }

    /// Prepares the input for the unit.
    fn enter(&self, input: AnyActivation) -> Tensor<4> {
        let x = self.settings.enter(input, self.input);
        match &self.resize {
            Some(resize) => resize.forward(x),
            None => x,
        }
    }

    /// The output of the layer, computed from that of the unit.
    fn leave(&self, h: Tensor<4>) -> AnyActivation {
        let h = match &self.pool {
            Some(pool) => pool.forward(h),
            None => h,
        };
        AnyActivation::Maps(self.dropout.forward(h))
    }

    fn traced(&self, units: Units<Tensor<4>>) -> Trace<AnyActivation> {
        Trace { output: self.leave(units.activity.clone()), units: Some(units.map(AnyActivation::Maps)) }
    }

    fn shape(&self) -> [usize; 3] {
        let [channels, height, width] = self.unit.output();
        self.pooling.map_or([channels, height, width], |p| [channels, p.side(height), p.side(width)])
    }
}

impl Layer for ConvLayer {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        let shape = self.unit.spec().shape;
        let pool = self.pooling.map_or(String::new(), |p| match p.kind {
            PoolKind::Max => format!(" max{}", p.size),
            PoolKind::Average => format!(" mean{}", p.size),
        });
        let [k, s] = [shape.kernel, shape.stride];
        format!("conv{k}x{k}/{s} {}->{} {}{pool}", shape.input, shape.output, self.unit.spec().activation.name())
    }

    fn output(&self) -> RowShape {
        maps(self.shape())
    }

    fn outline(&self) -> LayerOutline {
        LayerOutline { affine: true, ..self.settings.outline }
    }

    fn macs_per_row(&self) -> usize {
        self.unit.macs()
    }

    fn activation_bytes_per_row(&self) -> usize {
        let out: usize = self.shape().iter().product();
        // A max pool keeps the position of every maximum (8 bytes each); its output is counted as the input of the next layer.
        let pooled = match self.pooling.map(|p| p.kind) {
            Some(PoolKind::Max) => 3 * out,
            Some(PoolKind::Average) => out,
            None => 0,
        };
        let dropped = if self.dropout.prob > 0.0 { 2 * out } else { 0 };
        (self.settings.kept(self.input) + self.unit.kept() + pooled + dropped) * size_of::<f32>()
    }

    fn normalised_values_per_row(&self) -> Option<usize> {
        self.unit.normalised_values_per_row()
    }

    fn bias_width(&self) -> Option<usize> {
        Some(self.unit.spec().shape.output)
    }

    fn units(&self) -> Option<RowShape> {
        Some(maps(self.unit.output()))
    }

    fn trace(&self, input: AnyActivation, bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        self.traced(self.unit.trace(self.enter(input), bias))
    }

    fn affine(&self, input: AnyActivation) -> Option<AnyActivation> {
        Some(AnyActivation::Maps(self.unit.convolve(self.enter(input))))
    }

    fn activate(&self, z: AnyActivation) -> Trace<AnyActivation> {
        match z {
            AnyActivation::Maps(z) => self.traced(self.unit.finish(z, None)),
            other => {
                let ([channels, height, width], rows) = (self.unit.output(), other.rows());
                self.traced(self.unit.finish(other.features().reshape([rows, channels, height, width]), None))
            }
        }
    }

    fn forward(&self, input: AnyActivation) -> AnyActivation {
        self.leave(self.unit.forward(self.enter(input), None))
    }

    fn public_names(&self) -> Vec<(String, String)> {
        self.unit.public_names("unit.")
    }

    fn fresh(&self, input: RowShape, draws: u64, seed: Seed, device: &Device) -> Result<AnyLayer> {
        let [channels, height, width] = crate::conv::map_shape(input, "ConvLayer::fresh")?;
        let mut spec = self.unit.spec().clone();
        spec.shape.input = channels;
        let mut init = ModuleInit::from(seed, "auxiliary", draws, device);
        let mut fresh = Self::new(spec, self.settings, [channels, height, width], &mut init)?;
        if let Some(pool) = self.pooling
            && height.min(width) >= pool.size.max(2)
        {
            fresh = fresh.with_pool(pool)?;
        }
        Ok(AnyLayer::new(fresh))
    }

    fn export(&self) -> LayerExport {
        LayerExport {
            name: String::new(),
            kind: "conv".into(),
            normalisation: normalisation_name(self.settings.normalisation),
            activation: self.unit.spec().activation.name().into(),
        }
    }
}
