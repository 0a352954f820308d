//! Names and layouts of a network's tensors in public files. They are PyTorch's, as in the architecture's reference
//! implementation.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use burn_forward::model::LocalModel;

/// A tensor of a model under its public name.
#[derive(Debug, Clone)]
pub(crate) struct PublicTensor {
    /// The parameter or running statistic.
    pub(crate) id: ParamId,
    /// Name in a file.
    pub(crate) name: String,
    /// The tensor itself, in Burn's layout.
    pub(crate) value: TensorData,
}

impl PublicTensor {
    /// Shape in a file: matrices are `[out, in]` there and `[in, out]` here.
    pub(crate) fn shape(&self) -> Vec<usize> {
        let mut shape = self.value.shape().to_vec();
        if shape.len() == 2 {
            shape.reverse();
        }
        shape
    }
}

/// Every tensor of the layers of `model`, by layer.
pub(crate) fn of_layers(model: &LocalModel) -> Vec<Vec<PublicTensor>> {
    model
        .layers()
        .enumerate()
        .map(|(i, layer)| {
            let mut collect = Collect {
                index: i,
                names: layer.public_names(),
                path: Vec::new(),
                paths: Vec::new(),
                tensors: Vec::new(),
            };
            layer.visit(&mut collect);
            collect.distinct()
        })
        .collect()
}

/// Public name of the classifier on the last layer, or `head` if the architecture does not name one.
pub(crate) fn classifier_name(model: &LocalModel) -> String {
    model.layers().last().and_then(|layer| layer.readout_name()).unwrap_or_else(|| "head".into())
}

/// Weight and bias of the rule's classifier on the last layer; empty if there is none.
pub(crate) fn of_classifier(model: &LocalModel) -> Vec<PublicTensor> {
    let Some(head) = model.rule.output_head() else { return Vec::new() };
    let name = classifier_name(model);
    let weight = &head.projection.weight;
    let weight = PublicTensor { id: weight.id, name: format!("{name}.weight"), value: weight.val().into_data() };
    let bias = head.projection.bias.as_ref().map(|bias| PublicTensor {
        id: bias.id,
        name: format!("{name}.bias"),
        value: bias.val().into_data(),
    });
    std::iter::once(weight).chain(bias).collect()
}

struct Collect {
    index: usize,
    names: Vec<(String, String)>,
    path: Vec<String>,
    /// Full path of every tensor.
    paths: Vec<String>,
    tensors: Vec<PublicTensor>,
}

impl Collect {
    fn name(&self) -> String {
        let (leaf, modules) = match self.path.split_last() {
            Some((leaf, modules)) => (leaf.as_str(), modules.join(".")),
            None => ("", String::new()),
        };
        // Burn's names for the scale and shift of a normalisation.
        let leaf = match leaf {
            "gamma" => "weight",
            "beta" => "bias",
            other => other,
        };
        match self.names.iter().find(|(path, _)| *path == modules) {
            Some((_, public)) => format!("{public}.{leaf}"),
            None => format!("layers.{}.{leaf}", self.index),
        }
    }
}

impl Collect {
    /// The tensors. If a layer has several tensors of one name, they get their full paths.
    fn distinct(mut self) -> Vec<PublicTensor> {
        let names: Vec<String> = self.tensors.iter().map(|t| t.name.clone()).collect();
        for (tensor, path) in self.tensors.iter_mut().zip(&self.paths) {
            if names.iter().filter(|name| **name == tensor.name).count() > 1 {
                tensor.name = format!("layers.{}.{path}", self.index);
            }
        }
        self.tensors
    }
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.paths.push(self.path.join("."));
        self.tensors.push(PublicTensor { id: param.id, name: self.name(), value: param.val().into_data() });
    }
}
