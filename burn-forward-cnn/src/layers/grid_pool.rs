//! Average pooling over a grid of a given size.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::module::adaptive_avg_pool2d;
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Trace;
use burn_forward::network::{Layer, LayerExport};

use crate::conv::maps;

/// Averages maps `[C, H, W]` over a grid of `H' x W'`. Auxiliary networks use it where layers between the copied ones reduce
/// the size of maps.
#[derive(Module, Debug)]
pub struct GridPool {
    #[module(skip)]
    output: [usize; 3],
}

impl GridPool {
    /// A pool to maps of `[C, H', W']`.
    pub fn new(output: [usize; 3]) -> Self {
        Self { output }
    }
}

impl Layer for GridPool {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        format!("mean to {}x{}", self.output[1], self.output[2])
    }

    fn output(&self) -> RowShape {
        maps(self.output)
    }

    fn macs_per_row(&self) -> usize {
        0
    }

    fn trace(&self, input: AnyActivation, _: Option<Tensor<2>>) -> Trace<AnyActivation> {
        match input {
            AnyActivation::Maps(x) => {
                AnyActivation::Maps(adaptive_avg_pool2d(x, [self.output[1], self.output[2]])).into()
            }
            other => other.into(),
        }
    }

    fn export(&self) -> LayerExport {
        LayerExport {
            name: String::new(),
            kind: "mean".into(),
            normalisation: "none".into(),
            activation: "identity".into(),
        }
    }
}
