//! Global average pooling: maps to features.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_forward::Result;
use burn_forward::activation::{Activation, AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::network::{AnyLayer, Layer, LayerExport, LayerOutline};
use burn_forward::pieces::dropout::Dropout;
use burn_forward::random::Seed;
use burn_forward_kernels::conv::global_average_pool;

/// `h_c = mean_{hw} x_{chw}`: a layer without parameters, which is always in the same block as the layer before it.
#[derive(Module, Debug)]
pub struct GlobalPool {
    dropout: Dropout,
    #[module(skip)]
    input: [usize; 3],
    #[module(skip)]
    stage: usize,
    #[module(skip)]
    readout: Option<String>,
}

impl GlobalPool {
    /// A pool of maps `[C, H, W]` in the given stage; `readout` is the public name of the classifier after it.
    pub fn new(input: [usize; 3], stage: usize, readout: Option<String>) -> Self {
        Self { dropout: Dropout::none(), input, stage, readout }
    }

    /// Adds dropout after the pool.
    ///
    /// # Errors
    /// [`burn_forward::Error::Argument`] for a probability outside `[0, 1)`.
    pub fn with_dropout(mut self, probability: f64) -> burn_forward::Result<Self> {
        self.dropout = Dropout::new(probability)?;
        Ok(self)
    }
}

impl Layer for GlobalPool {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        "mean".into()
    }

    fn output(&self) -> RowShape {
        RowShape::Features(self.input[0])
    }

    fn outline(&self) -> LayerOutline {
        LayerOutline { stage: self.stage, with_previous: true, ..LayerOutline::default() }
    }

    fn macs_per_row(&self) -> usize {
        0
    }

    fn activation_bytes_per_row(&self) -> usize {
        let dropped = if self.dropout.prob > 0.0 { 2 } else { 0 };
        self.input[0] * (1 + dropped) * size_of::<f32>()
    }

    fn trace(&self, input: AnyActivation, _: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let features = match input {
            AnyActivation::Maps(x) => {
                let [rows, channels, _, _] = x.dims();
                global_average_pool(x).reshape([rows, channels])
            }
            other => other.features(),
        };
        AnyActivation::Features(self.dropout.forward(features)).into()
    }

    fn readout_name(&self) -> Option<String> {
        self.readout.clone()
    }

    fn fresh(&self, input: RowShape, _: u64, _: Seed, _: &Device) -> Result<AnyLayer> {
        let input = crate::conv::map_shape(input, "GlobalPool::fresh")?;
        Ok(AnyLayer::new(Self { input, ..self.clone() }))
    }

    fn export(&self) -> LayerExport {
        LayerExport {
            name: String::new(),
            kind: "global-mean".into(),
            normalisation: "none".into(),
            activation: "identity".into(),
        }
    }
}
