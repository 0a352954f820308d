//! Import of public weights into a model, from PyTorch checkpoints (pickle or zip) and from safetensors files.
//!
//! The format of a file is detected from its content. `burn-store` reads it, and nothing in a pickle is executed.
//! Tensor names follow from the architecture ([`Layer::public_names`](burn_forward::network::Layer::public_names)), so
//! there is no table of keys. Wrappers (`module.`, `_orig_mod.`) and dictionaries (`state_dict`, `net`, `model`) put a
//! prefix in front of these names; the import uses the prefix that covers most of the network's tensors. Tensors
//! outside that prefix, such as an optimiser's state, are ignored. If a file holds both the weights and their moving
//! average, the weights are used.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{ModuleStore, PytorchStore, SafetensorsStore};
use burn::tensor::{Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::public_names::{self, PublicTensor};
use burn_forward::data::DataFolders;
use burn_forward::model::LocalModel;
use burn_forward::parameters::is_running_statistic;
use burn_forward::{Error, Result};

/// The weights that a run starts from.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `file` | required | | a PyTorch checkpoint or a safetensors file; absolute, or relative to the config's folder, the current one, or `weights` in the data folder |
/// | `classifier` | true | | whether to import the file's classifier too; false starts with a new one, for other classes |
/// | `freeze` | 0 | 0 to layers - 1 | number of layers, counted from the input, that do not learn and have no heads |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WeightsConfig {
    /// The file.
    pub file: String,
    /// Whether to import the file's classifier too.
    #[serde(default = "default::classifier")]
    pub classifier: bool,
    /// Number of layers, counted from the input, that do not learn.
    #[serde(default)]
    pub freeze: usize,
}

/// Defaults that differ from those of their types.
mod default {
    pub(super) fn classifier() -> bool {
        true
    }
}

impl WeightsConfig {
    /// The path at which the file was found.
    ///
    /// # Errors
    /// [`Error::Data`] if the file is in none of the places; the error lists them.
    pub fn resolve(&self, folders: &DataFolders) -> Result<PathBuf> {
        let mut candidates: Vec<PathBuf> = folders.config.iter().map(|folder| folder.join(&self.file)).collect();
        candidates.push(PathBuf::from(&self.file));
        candidates.extend(folders.root().ok().map(|root| root.join("weights").join(&self.file)));
        if let Some(file) = candidates.iter().find(|file| file.is_file()) {
            return Ok(file.clone());
        }
        let places: Vec<String> = candidates.iter().map(|c| c.display().to_string()).collect();
        Err(Error::data(
            &self.file,
            format!("no such file at {}", places.join(", ")),
            "the file that $.weights.file names",
        ))
    }
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// Number of tensors in the file, or in the part of it that was read.
    pub tensors: usize,
    /// Number of imported values that are parameters of the model (running statistics of batch normalisation are not
    /// counted).
    pub parameters: usize,
    /// Prefix of the tensors' names in the file; empty if there is none.
    pub prefix: String,
}

type Stored = BTreeMap<String, StoredTensor>;

/// The file formats that can be read.
const NEEDED: &str = "a PyTorch checkpoint or a safetensors file";

/// The tensors of a file by name.
fn read(path: &Path) -> Result<Stored> {
    if !path.is_file() {
        return Err(Error::data(path, "no such file", "a file of weights"));
    }
    let unreadable = |e: String| Error::data(path, e, NEEDED);
    let tensors = match head(path)? {
        Head::Foreign(what) => return Err(Error::data(path, what, NEEDED)),
        Head::Safetensors => {
            let mut store = SafetensorsStore::from_file(path);
            store.get_all_tensors().map_err(|e| unreadable(e.to_string()))?.clone()
        }
        Head::Other => {
            let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
            store.get_all_tensors().map_err(|e| unreadable(e.to_string()))?.clone()
        }
    };
    if tensors.is_empty() {
        let needed = "a state dict; if this is a model saved as a Python object, save its state dict instead";
        return Err(Error::data(path, "no tensors", needed));
    }
    // `torch.compile` adds this prefix to the names of whatever it compiled, which may be a part of the model.
    Ok(tensors.into_iter().map(|(name, tensor)| (name.replace("_orig_mod.", ""), tensor)).collect())
}

/// The kind of a file, judged by its first bytes.
enum Head {
    Safetensors,
    /// Not a file of weights.
    Foreign(&'static str),
    /// Probably a PyTorch file.
    Other,
}

fn head(path: &Path) -> Result<Head> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    file.take(64).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    // The length of a JSON object, followed by the object.
    let length = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    Ok(match &bytes[..] {
        [] => Head::Foreign("an empty file"),
        [_, _, _, _, _, _, _, _, b'{', ..] if length.is_some_and(|length| length <= 100_000_000) => Head::Safetensors,
        start if start.starts_with(b"version https://git-lfs") => {
            Head::Foreign("a Git LFS pointer instead of the file itself")
        }
        start if start.trim_ascii_start().starts_with(b"<") => Head::Foreign("an HTML or XML page"),
        _ => Head::Other,
    })
}

/// Prefix of the `wanted` tensors' names in the file; empty if none of them is there.
fn prefix_of(wanted: &[PublicTensor], stored: &Stored) -> String {
    let shapes: HashMap<&str, Vec<usize>> = wanted.iter().map(|t| (t.name.as_str(), t.shape())).collect();
    // Number of tensors whose names match, and of those whose shapes match as well.
    let mut fitting: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (name, tensor) in stored {
        let starts = std::iter::once(0).chain(name.match_indices('.').map(|(dot, _)| dot + 1));
        for (prefix, rest) in starts.map(|start| name.split_at(start)) {
            if let Some(shape) = shapes.get(rest) {
                let [named, fits] = fitting.entry(prefix).or_default();
                *named += 1;
                *fits += usize::from(tensor.shape.to_vec() == *shape);
            }
        }
    }
    let is_average = |prefix: &str| ["ema", "avg", "average", "swa"].iter().any(|word| prefix.contains(word));
    let best = fitting
        .into_iter()
        .max_by_key(|(prefix, counts)| (*counts, !is_average(prefix), std::cmp::Reverse(prefix.len())));
    best.map_or(String::new(), |(prefix, _)| prefix.to_owned())
}

/// A summary of a file's tensors, grouped by the first part of their names.
fn outline<'a>(tensors: impl Iterator<Item = (&'a String, &'a StoredTensor)>) -> String {
    let mut groups: Vec<(&str, String, usize)> = Vec::new();
    for (name, tensor) in tensors {
        let first = name.split('.').next().unwrap_or_default();
        match groups.iter_mut().find(|(group, ..)| *group == first) {
            Some((.., count)) => *count += 1,
            None => groups.push((first, format!("{name} {:?}", tensor.shape.to_vec()), 1)),
        }
    }
    let more = groups.len().saturating_sub(LISTED);
    let named = groups.into_iter().take(LISTED).map(|(group, example, count)| match count {
        1 => example,
        _ => format!("{count} of {group} ({example}, ..)"),
    });
    let mut text = named.collect::<Vec<_>>().join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}

/// Maximum number of items that an error lists.
const LISTED: usize = 12;

/// The first value of a tensor that is NaN or infinite, in words.
fn not_finite(values: &[f32]) -> Option<String> {
    let place = values.iter().position(|value| !value.is_finite())?;
    let count = values.iter().filter(|value| !value.is_finite()).count();
    let more = if count > 1 { format!(" and {} more such values", count - 1) } else { String::new() };
    Some(format!("{} at element {place}{more}", values[place]))
}

/// Returns the model with the weights of a file, and, if `classifier` is set, with the file's classifier too.
///
/// # Errors
/// [`Error::Data`] if the file cannot be read, or if tensors are missing, unexpected, of another shape, or contain NaN
/// or an infinity; the message names these tensors.
pub fn import(model: LocalModel, path: &Path, classifier: bool) -> Result<(LocalModel, ImportReport)> {
    let mut wanted: Vec<PublicTensor> = public_names::of_layers(&model).into_iter().flatten().collect();
    let classifier_name = public_names::classifier_name(&model);
    if classifier {
        wanted.extend(public_names::of_classifier(&model));
    }
    let all = read(path)?;
    let prefix = prefix_of(&wanted, &all);
    let (inside, outside): (Stored, Stored) = all.into_iter().partition(|(name, _)| name.starts_with(&prefix));
    let mut stored: Stored = inside.into_iter().map(|(name, t)| (name[prefix.len()..].to_owned(), t)).collect();
    let tensors = stored.len();
    if !wanted.iter().any(|tensor| stored.contains_key(&tensor.name)) {
        let example = wanted.first().map_or(String::new(), |t| format!(", such as {} {:?}", t.name, t.shape()));
        let found = format!("none of the network's tensors in {}", outline(stored.iter()));
        return Err(Error::data(path, found, format!("{ALL_TENSORS}{example}")));
    }
    if !classifier {
        stored.retain(|name, _| name.strip_prefix(&classifier_name).is_none_or(|rest| !rest.starts_with('.')));
    }
    let Assigned { values, parameters, wrong, not_finite } = assign(wanted, stored, path)?;
    if !wrong.is_empty() {
        let under = if prefix.is_empty() { String::new() } else { format!(" under \"{prefix}\"") };
        let beside = match outside.is_empty() {
            true => String::new(),
            false => format!("; the file also contains {}", outline(outside.iter())),
        };
        return Err(Error::data(path, format!("{}{under}{beside}", shortened(wrong)), ALL_TENSORS));
    }
    if !not_finite.is_empty() {
        return Err(Error::data(path, shortened(not_finite), "finite numbers"));
    }
    Ok((model.map(&mut Assign { values }), ImportReport { tensors, parameters, prefix }))
}

/// What a file has to contain.
const ALL_TENSORS: &str = "every tensor of the network, each with its shape, and no others";

/// A file's tensors by the parameter they belong to, and what is wrong with the others.
#[derive(Default)]
struct Assigned {
    values: HashMap<ParamId, TensorData>,
    /// Number of values that are parameters.
    parameters: usize,
    /// Tensors that are missing, unexpected or of another shape.
    wrong: Vec<String>,
    /// Tensors that contain NaN or an infinity.
    not_finite: Vec<String>,
}

/// Finds every `wanted` tensor among those of the file at `path`.
fn assign(wanted: Vec<PublicTensor>, mut stored: Stored, path: &Path) -> Result<Assigned> {
    let mut all = Assigned::default();
    for tensor in wanted {
        let Some(found) = stored.remove(&tensor.name) else {
            all.wrong.push(format!("{} {:?} is missing", tensor.name, tensor.shape()));
            continue;
        };
        if found.shape.to_vec() != tensor.shape() {
            let (is, needed) = (found.shape.to_vec(), tensor.shape());
            all.wrong.push(format!("{} has shape {is:?} instead of {needed:?}", tensor.name));
            continue;
        }
        if !is_running_statistic(&tensor.name) {
            all.parameters += tensor.value.num_elements();
        }
        let (shape, numbers) = numbers(found, path)?;
        match not_finite(&numbers) {
            Some(value) => all.not_finite.push(format!("{} with {value}", tensor.name)),
            None => {
                all.values.insert(tensor.id, in_layout_of_burn(shape, numbers));
            }
        }
    }
    // `num_batches_tracked` is a step counter that nothing here needs.
    let unexpected = stored.into_iter().filter(|(name, _)| !name.ends_with("num_batches_tracked"));
    all.wrong.extend(unexpected.map(|(name, t)| format!("{name} {:?} is unexpected", t.shape.to_vec())));
    Ok(all)
}

/// Shape and values of a tensor in the file at `path`.
fn numbers(tensor: StoredTensor, path: &Path) -> Result<(Vec<usize>, Vec<f32>)> {
    let (shape, dtype) = (tensor.shape.to_vec(), tensor.dtype);
    let bytes = tensor.into_bytes().map_err(|e| Error::data(path, e.to_string(), "a complete file"))?;
    let numbers = TensorData::from_bytes(bytes, shape.clone(), dtype).iter::<f32>().collect();
    Ok((shape, numbers))
}

/// A matrix `[out, in]` as `[in, out]`; anything else unchanged.
fn in_layout_of_burn(shape: Vec<usize>, numbers: Vec<f32>) -> TensorData {
    match shape[..] {
        [rows, columns] => {
            let turned = (0..columns * rows).map(|i| numbers[i % rows * columns + i / rows]).collect::<Vec<f32>>();
            TensorData::new(turned, [columns, rows])
        }
        _ => TensorData::new(numbers, shape),
    }
}

/// The first items of a list, and how many more there are.
fn shortened(mut things: Vec<String>) -> String {
    let more = things.len().saturating_sub(LISTED);
    things.truncate(LISTED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    things.join("; ") + &more
}

/// The first tensor of a model that contains NaN or an infinity, and that value.
pub(crate) fn first_not_finite(model: &LocalModel) -> Option<(String, String)> {
    struct Find {
        path: Vec<String>,
        found: Option<(String, String)>,
    }
    impl ModuleVisitor for Find {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.found.is_none() {
                let values: Vec<f32> = param.val().into_data().iter::<f32>().collect();
                self.found = not_finite(&values).map(|value| (self.path.join("."), value));
            }
        }
    }
    let mut find = Find { path: Vec::new(), found: None };
    model.visit(&mut find);
    find.found
}

/// Replaces the values of parameters.
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
