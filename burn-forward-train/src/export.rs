//! Export: writes the inference network as safetensors with PyTorch's names and layouts. Whatever was used for training
//! alone is left out.
//!
//! Tensors of a published architecture keep their published names (`layer1.0.conv1.weight`, `fc.weight`). In other
//! networks, the tensors of layer `i` are `layers.<i>.weight` `[out, in]` and `layers.<i>.bias` `[out]`
//! (`layers.<i>.own.weight` and so on in a layer with several matrices). The classifier is `head.weight` `[C, d]`, or
//! for a summed readout `heads.<k>.weight`, one for each block in the readout. Label embeddings are `labels.<k>`
//! `[C, d]`, one per block.
//!
//! The `burn_forward` entry of the file's metadata describes in JSON how to use them: the `layers` in order, the
//! `blocks` (how many layers form each block), and the `readout`. Dropout layers are left out, since they only act in
//! training. The `burn_forward_model` entry describes the input and the output
//! ([`ModelSignature`](burn_forward::data::ModelSignature)): the shape of an input row, the number and names of the
//! classes, and the constants that turn a pixel into an input value.

use std::path::Path;

use burn::tensor::TensorData;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Map, Value};

use crate::Result;
use crate::public_names::{self, PublicTensor};
use burn_forward::model::LocalModel;

/// The error for a file that cannot be assembled.
fn unwritable(reason: impl std::fmt::Display) -> burn_forward::Error {
    burn_forward::Error::burn("export", reason)
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

/// A safetensors file whose metadata keep their order. The safetensors crate writes them in the order of a hash map,
/// which differs from one process to the next.
fn with_metadata(file: Vec<u8>, metadata: &Value) -> Result<Vec<u8>> {
    let broken = || unwritable("the serialised file has no header");
    let (length, rest) = file.split_first_chunk::<8>().ok_or_else(broken)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(unwritable)?;
    let (header, data) = rest.split_at_checked(length).ok_or_else(broken)?;
    let tensors: Map<String, Value> = serde_json::from_slice(header).map_err(unwritable)?;
    let mut all = Map::from_iter([("__metadata__".to_string(), metadata.clone())]);
    all.extend(tensors);
    // The data begin at a multiple of eight bytes.
    let mut header = Value::Object(all).to_string();
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    Ok([&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat())
}

/// Writes the inference network of `model` to `path`, [atomically](crate::files::write) and
/// [without blocks that the readout does not use](LocalModel::with_readout_blocks_only).
///
/// # Errors
/// [`Error::Write`](crate::Error::Write) if the file cannot be written, [`burn_forward::Error::Burn`] if it cannot be
/// assembled.
pub fn write(model: &LocalModel, path: &Path) -> Result<()> {
    let model = &model.with_readout_blocks_only();
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    let mut layers = Vec::new();
    for (i, (layer, of_layer)) in model.layers().zip(public_names::of_layers(model)).enumerate() {
        for PublicTensor { name, value, .. } in of_layer {
            let (shape, values) =
                if value.shape().len() == 2 { transposed(&value)? } else { (value.shape().to_vec(), floats(&value)?) };
            tensors.push((name, shape, values));
        }
        let mut description = layer.export();
        description.name = format!("layers.{i}");
        layers.push(description);
    }
    let mut readout = model.rule.export(&model.network);
    if let [(name, ..)] = readout.linears.as_mut_slice()
        && name == "head"
    {
        *name = public_names::classifier_name(model);
        readout.description["name"] = serde_json::json!(name);
    }
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
    let mut metadata = serde_json::json!({"burn_forward": description.to_string()});
    if let Some(signature) = model.signature() {
        let signature = serde_json::to_string(signature).map_err(unwritable)?;
        metadata["burn_forward_model"] = signature.into();
    }

    let stored: Vec<(String, Vec<usize>, Vec<u8>)> = tensors.into_iter().map(|(n, s, v)| (n, s, bytes(&v))).collect();
    let mut views = Vec::with_capacity(stored.len());
    for (name, shape, raw) in &stored {
        let view = TensorView::new(Dtype::F32, shape.clone(), raw).map_err(unwritable)?;
        views.push((name.clone(), view));
    }
    let file = safetensors::serialize(views, None).map_err(unwritable)?;
    crate::files::write(path, with_metadata(file, &metadata)?)
}
