//! Import of public weights and export under public names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::config::Registry;
use burn_forward::data::cifar;
use burn_forward::network::{Network, Partition};
use burn_forward::random::Seed;
use burn_forward::training::LocalModel;
use burn_forward::{export, weights};
use serde_json::{Value, json};

fn registry() -> Registry {
    let mut registry = Registry::default();
    burn_forward_cnn::register(&mut registry);
    registry
}

fn model(network: &str, settings: &Value, classes: usize, side: usize, partition: Partition, seed: u64) -> LocalModel {
    let registry = registry();
    let device = Device::flex();
    let row = registry.networks.iter().find(|row| row.name == network).unwrap();
    let input = RowShape::Maps { channels: 3, height: side, width: side };
    let layers = (row.parse)(settings).unwrap().0.layers(input, Seed::new(seed), &device).unwrap();
    let network = Network::new(layers, partition).unwrap();
    let row = registry.rules.iter().find(|row| row.name == "backprop").unwrap();
    let rule = (row.parse)(&json!({})).unwrap().0.build(&network, classes, Seed::new(seed)).unwrap();
    LocalModel::new(network, rule, Seed::new(seed))
}

/// This crate's folder as it is when the tests run: what was compiled in another checkout may be run in this one.
fn this_crate() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
}

/// A file of the shared folder beside the checkout, or of the data folder; says so where it is in neither.
fn public_file(name: &str) -> Option<PathBuf> {
    let shared = this_crate().join("../../shared/data/weights").join(name);
    let folders = burn_forward::data::DataFolders::new(None, None);
    let data = folders.root().ok().map(|root| root.join("weights").join(name));
    let found = std::iter::once(shared).chain(data).find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: {name} is neither in ../shared/data/weights nor in the data folder");
    }
    found
}

fn logits(model: &LocalModel, images: Tensor<4>) -> Vec<f32> {
    model.valid().scores(AnyActivation::Maps(images)).primary().into_data().iter::<f32>().collect()
}

fn images(rows: usize, side: usize) -> Tensor<4> {
    let values: Vec<f32> = (0..rows * 3 * side * side).map(|i| ((i * 37 % 101) as f32 - 50.0) / 30.0).collect();
    Tensor::from_data(TensorData::new(values, [rows, 3, side, side]), &Device::flex())
}

/// Logits of the first test image as published with the weights' evaluation.
const LOGITS: [f32; 10] =
    [-5.30968, -0.49577, 0.87726, 23.73052, -4.10504, 4.46373, -0.23435, -5.41793, -3.71179, -9.88218];

#[test]
fn a_public_residual_network_gives_its_published_logits() {
    let Some(file) = public_file("resnet20-12fca82f.th") else { return };
    let fresh = model("cifar-resnet", &json!({"depth": 20}), 10, 32, Partition::RESIDUAL, 0);
    let (model, imported) = weights::import(fresh, &file, true).unwrap();
    assert_eq!(imported.parameters, 269_722);
    let root = burn_forward::data::DataFolders::new(None, None).root().unwrap().join("cifar10");
    let Ok((_, test)) = cifar::read_folder(&root, cifar::Cifar::Ten, "") else {
        println!("skipped: no CIFAR-10 in the data folder");
        return;
    };
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let pixels: Vec<f32> = test
        .image(0)
        .iter()
        .enumerate()
        .map(|(i, p)| (f32::from(*p) / 255.0 - mean[i / 1024]) / std[i / 1024])
        .collect();
    let image = Tensor::from_data(TensorData::new(pixels, [1, 3, 32, 32]), &Device::flex());
    for (got, expected) in logits(&model, image).iter().zip(LOGITS) {
        assert!((got - expected).abs() < 1e-3, "{got}, published {expected}");
    }
}

#[test]
fn a_public_mobile_network_loads_whole() {
    let Some(file) = public_file("mobilenet_v2-b0353104.pth") else { return };
    let fresh = model("mobilenet-v2", &json!({"strides": "imagenet"}), 1000, 64, Partition::RESIDUAL, 0);
    let (_, imported) = weights::import(fresh, &file, true).unwrap();
    assert_eq!((imported.tensors, imported.parameters), (314, 3_504_872));
    // For other classes, without its classifier.
    let fresh = model("mobilenet-v2", &json!({"strides": "imagenet"}), 10, 64, Partition::RESIDUAL, 0);
    let (_, imported) = weights::import(fresh.clone(), &file, false).unwrap();
    assert_eq!(imported.parameters, 3_504_872 - 1_281_000);
    let error = weights::import(fresh, &file, true).unwrap_err().to_string();
    assert!(error.contains("classifier.1.weight is [1000, 1280] and not [10, 1280]"), "{error}");
}

#[test]
fn what_does_not_fit_is_named_with_both_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let narrow = json!({"depth": 18, "width": 0.0625});
    export::write(&model("resnet", &narrow, 10, 32, Partition::WHOLE, 0), &file).unwrap();
    let wide = model("resnet", &json!({"depth": 18, "width": 0.125}), 10, 32, Partition::WHOLE, 0);
    let error = weights::import(wide, &file, true).unwrap_err().to_string();
    assert!(error.contains("conv1.weight is [4, 3, 3, 3] and not [8, 3, 3, 3]"), "{error}");
    let deeper = model("resnet", &json!({"depth": 34, "width": 0.0625}), 10, 32, Partition::WHOLE, 0);
    let error = weights::import(deeper, &file, true).unwrap_err().to_string();
    assert!(error.contains("layer1.2.conv1.weight [4, 4, 3, 3] is missing"), "{error}");
    let other = model("cifar-resnet", &json!({"depth": 8}), 10, 32, Partition::WHOLE, 0);
    let error = weights::import(other, &file, true).unwrap_err().to_string();
    assert!(error.contains("is unexpected") || error.contains("more"), "{error}");
    let error = weights::import(model("resnet", &narrow, 10, 32, Partition::WHOLE, 0), Path::new("no.pth"), true);
    assert!(error.unwrap_err().to_string().contains("no such file"));
}

#[test]
fn exported_weights_have_public_names_and_give_the_same_logits() {
    let folder = tempfile::tempdir().unwrap();
    let v3 = json!({"size": "small", "width": 0.25});
    for (name, settings, expected) in [
        ("resnet", json!({"depth": 18, "width": 0.0625}), "layer2.0.downsample.1.running_var"),
        ("resnet", json!({"depth": 50, "width": 0.0625}), "layer4.2.conv3.weight"),
        ("cifar-resnet", json!({"depth": 8}), "linear.bias"),
        ("mobilenet-v2", json!({"width": 0.25}), "features.18.1.running_mean"),
        ("mobilenet-v3", v3, "features.4.block.2.fc1.bias"),
        ("conv-stack", json!({"channels": [4, 8]}), "layers.1.norm.weight"),
        ("vgg", json!({"variant": "8b", "width": 0.03125}), "layers.6.norm.running_mean"),
    ] {
        let file = folder.path().join(format!("{name}.safetensors"));
        let original = model(name, &settings, 10, 32, Partition::LAYER, 1);
        export::write(&original, &file).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
        let header: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
        assert!(header.get(expected).is_some(), "{name}: no {expected} in {header}");
        // Into a network of other weights and other blocks.
        let (loaded, _) = weights::import(model(name, &settings, 10, 32, Partition::WHOLE, 2), &file, true).unwrap();
        let x = images(2, 32);
        assert_eq!(logits(&original, x.clone()), logits(&loaded, x), "{name}");
    }
}
