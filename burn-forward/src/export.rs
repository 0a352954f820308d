//! Export: the inference network as safetensors with PyTorch's names and layouts, without what only taught it.
//!
//! `layers.<i>.weight` `[out, in]` and `layers.<i>.bias` `[out]` for the network, `head.weight` `[C, d]` (or
//! `heads.<k>.weight`, one per block, for a summed readout) for the classifier, `labels.<k>` `[C, d]`, one per block, for
//! label embeddings. The entry `burn_forward` of the file's metadata describes in JSON what to do with them: `layers` in
//! order, `blocks` (how many layers form each), and the `readout`. Dropout is for training alone and left out.

use std::collections::HashMap;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};

use crate::training::LocalModel;
use crate::{Error, Result};

/// Tensors of one layer by the last part of their path.
#[derive(Default)]
struct Collect {
    path: Vec<String>,
    tensors: Vec<(String, TensorData)>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.last().cloned().unwrap_or_default();
        self.tensors.push((name, param.val().into_data()));
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Values of a matrix, transposed: Burn's `[in, out]` to PyTorch's `[out, in]`.
fn transposed(data: &TensorData) -> Result<(Vec<usize>, Vec<f32>)> {
    let [rows, columns] = [data.shape()[0], data.shape()[1]];
    let values = floats(data)?;
    let mut out = vec![0.0; values.len()];
    for r in 0..rows {
        for c in 0..columns {
            out[c * rows + r] = values[r * columns + c];
        }
    }
    Ok((vec![columns, rows], out))
}

fn floats(data: &TensorData) -> Result<Vec<f32>> {
    Ok(data.iter::<f32>().collect())
}

/// Writes the inference network of `model` to `path`, under a temporary name that is then renamed.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written, [`Error::Burn`] if it cannot be put together.
pub fn write(model: &LocalModel, path: &Path) -> Result<()> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    let mut layers = Vec::new();
    let all = model.network.blocks().iter().flat_map(|b| b.layers());
    for (i, layer) in all.enumerate() {
        let name = format!("layers.{i}");
        let mut collect = Collect::default();
        layer.visit(&mut collect);
        for (key, data) in collect.tensors {
            let (shape, values) =
                if data.shape().len() == 2 { transposed(&data)? } else { (data.shape().to_vec(), floats(&data)?) };
            tensors.push((format!("{name}.{key}"), shape, values));
        }
        let mut description = layer.export();
        description.name = name;
        layers.push(description);
    }
    let readout = model.rule.export(&model.network);
    for (name, weight, bias) in &readout.linears {
        let (shape, values) = transposed(weight)?;
        tensors.push((format!("{name}.weight"), shape, values));
        if let Some(bias) = bias {
            tensors.push((format!("{name}.bias"), bias.shape().to_vec(), floats(bias)?));
        }
    }
    for (name, matrix) in &readout.matrices {
        tensors.push((name.clone(), matrix.shape().to_vec(), floats(matrix)?));
    }
    let blocks: Vec<usize> = model.network.blocks().iter().map(|b| b.layers().len()).collect();
    let description =
        serde_json::json!({"format": 1, "layers": layers, "blocks": blocks, "readout": readout.description});
    let metadata = HashMap::from([("burn_forward".to_string(), description.to_string())]);

    let stored: Vec<(String, Vec<usize>, Vec<u8>)> = tensors.into_iter().map(|(n, s, v)| (n, s, bytes(&v))).collect();
    let mut views = Vec::with_capacity(stored.len());
    for (name, shape, raw) in &stored {
        let view = TensorView::new(Dtype::F32, shape.clone(), raw).map_err(|e| Error::burn("export", e))?;
        views.push((name.clone(), view));
    }
    let file = safetensors::serialize(views, Some(metadata)).map_err(|e| Error::burn("export", e))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.partial"));
    std::fs::write(&temporary, file).map_err(|e| Error::io(&temporary, e))?;
    std::fs::rename(&temporary, path).map_err(|e| Error::io(path, e))
}
