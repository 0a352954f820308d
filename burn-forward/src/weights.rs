//! Import: public weights into a model, from PyTorch's state dicts (pickle or zip) and from safetensors.
//!
//! Files are read by `burn-store`; nothing in a pickle is executed. Names follow from the architecture
//! ([`Layer::public_names`](crate::network::Layer::public_names)), so there is no table of keys. Prefixes that wrappers
//! put in front of every key (`module.`, `state_dict.`) are taken off.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{ModuleStore, PytorchStore, SafetensorsStore};
use burn::tensor::{Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::DataFolders;
use crate::parameters::is_running_statistic;
use crate::public_names::{self, PublicTensor};
use crate::training::LocalModel;
use crate::{Error, Result};

/// Weights that a run starts from.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `file` | required | | `.pth`, `.pt`, `.th` or `.safetensors`; absolute, or relative to the config's folder, the current one, or `weights` in the data folder |
/// | `classifier` | true | | whether the file's classifier is taken too; off starts with a fresh one, for other classes |
/// | `freeze` | 0 | 0 to layers - 1 | so many layers from the input on do not learn and have no heads |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WeightsConfig {
    /// The file.
    pub file: String,
    /// Whether the file's classifier is taken too.
    #[serde(default = "yes")]
    pub classifier: bool,
    /// Layers from the input on that do not learn.
    #[serde(default)]
    pub freeze: usize,
}

fn yes() -> bool {
    true
}

impl WeightsConfig {
    /// The file, where it is.
    ///
    /// # Errors
    /// [`Error::Data`] if it is in none of the places, with these.
    pub fn resolve(&self, folders: &DataFolders) -> Result<PathBuf> {
        let mut candidates: Vec<PathBuf> = folders.config.iter().map(|folder| folder.join(&self.file)).collect();
        candidates.push(PathBuf::from(&self.file));
        candidates.extend(folders.root().ok().map(|root| root.join("weights").join(&self.file)));
        if let Some(file) = candidates.iter().find(|file| file.is_file()) {
            return Ok(file.clone());
        }
        let places: Vec<String> = candidates.iter().map(|c| c.display().to_string()).collect();
        Err(Error::data(&self.file, format!("no such file at {}", places.join(", ")), "the file of $.weights.file"))
    }
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Tensors in the file.
    pub tensors: usize,
    /// Numbers that are now parameters of the model (running statistics of batch normalisation are none).
    pub parameters: usize,
}

/// The tensors of a file by name, without common prefixes.
fn read(path: &Path) -> Result<BTreeMap<String, StoredTensor>> {
    if !path.is_file() {
        return Err(Error::data(path, "no such file", "a file of weights"));
    }
    let unreadable = |e: String| Error::data(path, e, "a PyTorch state dict or a safetensors file");
    let tensors = if path.extension().is_some_and(|e| e == "safetensors") {
        let mut store = SafetensorsStore::from_file(path);
        store.get_all_tensors().map_err(|e| unreadable(e.to_string()))?.clone()
    } else {
        let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
        store.get_all_tensors().map_err(|e| unreadable(e.to_string()))?.clone()
    };
    Ok(without_prefixes(tensors))
}

fn without_prefixes(mut tensors: BTreeMap<String, StoredTensor>) -> BTreeMap<String, StoredTensor> {
    for prefix in ["state_dict.", "model.", "module."] {
        if !tensors.is_empty() && tensors.keys().all(|name| name.starts_with(prefix)) {
            tensors = tensors.into_iter().map(|(name, t)| (name[prefix.len()..].to_string(), t)).collect();
        }
    }
    tensors
}

/// The model with the weights of a file; with `classifier`, those of its classifier too.
///
/// # Errors
/// [`Error::Data`] if the file cannot be read, or names every tensor that is missing, unexpected or of another shape.
pub fn import(model: LocalModel, path: &Path, classifier: bool) -> Result<(LocalModel, Imported)> {
    let mut stored = read(path)?;
    let tensors = stored.len();
    let mut wanted: Vec<PublicTensor> = public_names::of_layers(&model).into_iter().flatten().collect();
    let classifier_name = public_names::classifier_name(&model);
    if classifier {
        wanted.extend(public_names::of_classifier(&model));
    } else {
        stored.retain(|name, _| name.strip_prefix(&classifier_name).is_none_or(|rest| !rest.starts_with('.')));
    }
    let mut wrong = Vec::new();
    let mut values: HashMap<ParamId, TensorData> = HashMap::new();
    let mut parameters = 0;
    for tensor in wanted {
        let Some(found) = stored.remove(&tensor.name) else {
            wrong.push(format!("{} {:?} is missing", tensor.name, tensor.shape()));
            continue;
        };
        if found.shape.to_vec() != tensor.shape() {
            wrong.push(format!("{} is {:?} and not {:?}", tensor.name, found.shape.to_vec(), tensor.shape()));
            continue;
        }
        if !is_running_statistic(&tensor.name) {
            parameters += tensor.value.num_elements();
        }
        let (shape, dtype) = (found.shape.to_vec(), found.dtype);
        let bytes = found.into_bytes().map_err(|e| Error::data(path, e.to_string(), "a whole file"))?;
        let data = TensorData::from_bytes(bytes, shape.clone(), dtype);
        let numbers: Vec<f32> = data.iter::<f32>().collect();
        let data = match shape[..] {
            [rows, columns] => {
                let turned = (0..columns * rows).map(|i| numbers[i % rows * columns + i / rows]).collect::<Vec<f32>>();
                TensorData::new(turned, [columns, rows])
            }
            _ => TensorData::new(numbers, shape),
        };
        values.insert(tensor.id, data);
    }
    // A counter of steps that nothing here reads.
    let unexpected = stored.into_iter().filter(|(name, _)| !name.ends_with("num_batches_tracked"));
    wrong.extend(unexpected.map(|(name, t)| format!("{name} {:?} is unexpected", t.shape.to_vec())));
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(12);
        wrong.truncate(12);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let needed = "every tensor of the network in its shape and no other";
        return Err(Error::data(path, format!("{}{more}", wrong.join("; ")), needed));
    }
    Ok((model.map(&mut Assign { values }), Imported { tensors, parameters }))
}

/// Puts values in the place of parameters.
struct Assign {
    values: HashMap<ParamId, TensorData>,
}

impl ModuleMapper for Assign {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.values.remove(&param.id) else { return param };
        let trained = param.is_require_grad();
        param.map(|old| Tensor::from_data(value, &old.device()).set_require_grad(trained))
    }
}
