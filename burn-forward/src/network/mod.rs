//! Networks: layers in order, grouped into blocks by a partition that is computed, never listed by hand.

mod layer;
mod mlp;
mod partition;
#[cfg(feature = "config")]
mod registry;
mod spec;

pub use layer::{AnyLayer, Candidates, Layer, LayerExport};
pub use mlp::{Dense, MlpConfig};
pub use partition::{LayerOutline, Partition, PartitionName};
#[cfg(feature = "config")]
pub use registry::{NetworkEntry, ParseNetwork, network_entries, network_entry};
pub use spec::{ExtraInputs, LayerRequest, NetworkSpec};

use std::ops::Range;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use crate::activation::{AnyActivation, RowShape};
use crate::block::{Block, Trace};
use crate::{Error, Result};

/// Consecutive layers that form a block and are trained together.
#[derive(Module, Debug)]
pub struct Chain {
    layers: Vec<AnyLayer>,
}

impl Block for Chain {
    type Input = AnyActivation;
    type Output = AnyActivation;

    fn forward(&self, input: AnyActivation) -> AnyActivation {
        self.layers.iter().fold(input, |x, layer| layer.forward(x))
    }

    fn trace(&self, input: AnyActivation) -> Trace<AnyActivation> {
        self.trace_with_bias(input, None)
    }
}

impl Chain {
    /// A chain of layers in order.
    pub fn new(layers: Vec<AnyLayer>) -> Self {
        Self { layers }
    }

    /// The layers.
    pub fn layers(&self) -> &[AnyLayer] {
        &self.layers
    }

    /// The forward pass with `bias` `[B, w]` added to the first pre-activation of the block.
    pub fn forward_with_bias(&self, input: AnyActivation, bias: Option<Tensor<2>>) -> AnyActivation {
        self.run(input, bias, None).output
    }

    /// Like [`forward_with_bias`](Self::forward_with_bias), with the [units](Self::units) of the block.
    pub fn trace_with_bias(&self, input: AnyActivation, bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        self.run(input, bias, self.layers.iter().rposition(|layer| layer.units().is_some()))
    }

    /// The forward pass with the units of layer `shown`. Only this layer, and one with a bias, is traced.
    fn run(&self, input: AnyActivation, bias: Option<Tensor<2>>, shown: Option<usize>) -> Trace<AnyActivation> {
        let mut trace = Trace::from(input);
        let mut bias = bias;
        for (index, layer) in self.layers.iter().enumerate() {
            let bias = bias.take();
            if shown == Some(index) {
                trace = layer.trace(trace.output, bias);
            } else if bias.is_some() {
                trace.output = layer.trace(trace.output, bias).output;
            } else {
                trace.output = layer.forward(trace.output);
            }
        }
        trace
    }

    /// The forward passes of `C` variants of every row: `B C` rows, with the variants of a row next to each other.
    pub fn forward_candidates(&self, input: &AnyActivation, candidates: &Candidates) -> AnyActivation {
        let Some((first, rest)) = self.layers.split_first() else {
            return input.clone();
        };
        let all = first.trace_candidates(input, candidates).output;
        rest.iter().fold(all, |x, layer| layer.forward(x))
    }

    /// Shape of an output row.
    pub fn output(&self) -> RowShape {
        self.layers.last().map_or(RowShape::Features(0), |l| l.output())
    }

    /// Shape of a row of the block's units: those of its last layer that has any, before pooling and dropout.
    pub fn units(&self) -> Option<RowShape> {
        self.layers.iter().rev().find_map(|layer| layer.units())
    }

    /// Width of the first pre-activation, to which a bias is added; `None` if the first layer accepts none.
    pub fn bias_width(&self) -> Option<usize> {
        self.layers.first().and_then(|l| l.bias_width())
    }

    /// Bytes of `f32` activations that one row keeps within the block while it learns.
    pub fn activation_bytes_per_row(&self) -> usize {
        self.layers.iter().map(|l| l.activation_bytes_per_row()).sum()
    }

    /// Number of multiply-accumulate operations in the forward pass of one row.
    pub fn macs_per_row(&self) -> usize {
        self.layers.iter().map(|l| l.macs_per_row()).sum()
    }

    /// Number of values per channel that one row provides to a batch normalisation, the minimum over all of them; see
    /// [`Layer::normalised_values_per_row`].
    pub fn normalised_values_per_row(&self) -> Option<usize> {
        self.layers.iter().filter_map(|l| l.normalised_values_per_row()).min()
    }

    /// One line for tables.
    pub fn describe(&self) -> String {
        self.layers.iter().map(|l| l.describe()).collect::<Vec<_>>().join(", ")
    }
}

/// A network: blocks in order.
#[derive(Module, Debug)]
pub struct Network {
    blocks: Vec<Chain>,
    #[module(skip)]
    input: Option<RowShape>,
    #[module(skip)]
    device: Option<Device>,
}

impl Network {
    /// Groups `layers` into the blocks of `partition`.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are no layers or the partition is impossible.
    pub fn new(layers: Vec<AnyLayer>, partition: Partition) -> Result<Self> {
        if layers.is_empty() {
            return Err(Error::argument("Network::new", "number of layers", 0, ">= 1"));
        }
        let outline: Vec<LayerOutline> = layers.iter().map(|l| l.outline()).collect();
        let bytes: Vec<usize> = layers.iter().map(|l| l.activation_bytes_per_row()).collect();
        let sizes = partition.sizes(&outline, &bytes)?;
        let mut layers = layers.into_iter();
        let blocks = sizes.into_iter().map(|n| Chain { layers: layers.by_ref().take(n).collect() }).collect();
        Ok(Self { blocks, input: None, device: None })
    }

    /// Sets the shape of an input row, for rules whose heads reconstruct the input.
    pub fn with_input(self, input: RowShape) -> Self {
        Self { input: Some(input), ..self }
    }

    /// Sets the device it was built on, which cannot be derived from parameters if there are none (all layers are frozen).
    pub fn with_device(self, device: &Device) -> Self {
        Self { device: Some(device.clone()), ..self }
    }

    /// The device of its parameters, including autodiff; without parameters, the device it was built on.
    pub fn device(&self) -> Device {
        struct First(Option<Device>);
        impl ModuleVisitor for First {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.get_or_insert_with(|| param.val().device());
            }
        }
        let mut first = First(None);
        self.visit(&mut first);
        first.0.or_else(|| self.device.clone()).unwrap_or_default()
    }

    /// Shape of an input row, if it was set.
    pub fn input(&self) -> Option<RowShape> {
        self.input
    }

    /// The blocks.
    pub fn blocks(&self) -> &[Chain] {
        &self.blocks
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Never true: a network has at least one block.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The first `n` blocks as a separate network.
    pub fn prefix(&self, n: usize) -> Self {
        Self { blocks: self.blocks[..n.clamp(1, self.blocks.len())].to_vec(), ..self.clone() }
    }

    /// Output of every block for an input, without local losses.
    pub fn forward_all(&self, input: AnyActivation) -> Vec<AnyActivation> {
        self.forward_range(0..self.blocks.len(), input)
    }

    /// Output of every block in a range, where `input` enters the first of them; empty for an empty range.
    pub fn forward_range(&self, blocks: Range<usize>, input: AnyActivation) -> Vec<AnyActivation> {
        let mut x = input;
        let mut outputs = Vec::with_capacity(blocks.len());
        for block in self.blocks.iter().take(blocks.end).skip(blocks.start) {
            x = block.forward(x);
            outputs.push(x.clone());
        }
        outputs
    }

    /// Output of the last block.
    pub fn forward(&self, input: AnyActivation) -> AnyActivation {
        self.blocks.iter().fold(input, |x, block| block.forward(x))
    }
}
