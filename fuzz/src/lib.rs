//! Code shared by the fuzz targets: writing the input to files, and a small network to load weights into.
//!
//! A reader may reject an input with an error that names the file. It must not panic, hang, or take much more memory than the
//! size of the input.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use burn::tensor::Device;
use burn_forward::activation::RowShape;
use burn_forward::model::LocalModel;
use burn_forward::network::{Network, Partition};
use burn_forward::random::Seed;
use burn_forward::registry::Registry;
use serde_json::json;
use tempfile::TempDir;

/// Separates the files in an input that represents several files.
const SEPARATOR: &[u8] = b"\n===\n";

/// The parts of an input, which are separated by lines of `===`.
pub fn parts(input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
        parts.push(&rest[..at]);
        rest = &rest[at + SEPARATOR.len()..];
    }
    parts.push(rest);
    parts
}

/// A temporary folder of this process, for files with fixed names.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path()
}

/// Writes the parts of an input to the files with these names in [`folder`]; a file without a part is removed.
pub fn write_files(names: &[&str], parts: &[&[u8]]) {
    for (i, name) in names.iter().enumerate() {
        match parts.get(i) {
            Some(bytes) => drop(write_file(name, bytes)),
            // It does not matter if there was no such file.
            None => drop(std::fs::remove_file(folder().join(name))),
        }
    }
}

/// Writes a file into [`folder`] and returns its path.
pub fn write_file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, bytes).expect("the temporary folder takes files");
    path
}

/// All rules, networks and data sets.
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut registry = burn_forward_train::registry();
        burn_forward_cnn::register(&mut registry);
        burn_forward_gnn::register(&mut registry);
        registry
    })
}

/// A network with one convolution layer and a classifier.
pub fn small_network() -> LocalModel {
    thread_local! {
        static MODEL: OnceCell<LocalModel> = const { OnceCell::new() };
    }
    MODEL.with(|model| model.get_or_init(build_small_network).clone())
}

fn build_small_network() -> LocalModel {
    let registry = registry();
    let row = registry.networks.iter().find(|row| row.name == "conv-stack").expect("the network conv-stack");
    let (network, _) = (row.parse)(&json!({"channels": [2]})).expect("settings of a network");
    let input = RowShape::Maps { channels: 1, height: 4, width: 4 };
    let layers = network.layers(input, Seed::new(0), &Device::flex()).expect("layers");
    let network = Network::new(layers, Partition::WHOLE).expect("a network");
    let row = registry.rules.iter().find(|row| row.name == "backprop").expect("the rule backprop");
    let (rule, _) = (row.parse)(&json!({}), &registry.rules).expect("settings of a rule");
    let rule = rule.build(&network, 2, Seed::new(0)).expect("a rule");
    LocalModel::new(network, rule, Seed::new(0))
}
