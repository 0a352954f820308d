//! Import of public weights, and export with public names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "weights/pickle.rs"]
mod pickle;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::model::LocalModel;
use burn_forward::network::{Network, Partition};
use burn_forward::random::Seed;
use burn_forward::registry::Registry;
use burn_forward_testing::skip;
use burn_forward_train::images::cifar;
use burn_forward_train::{export, weights};
use pickle::{Value as Pickled, checkpoint};
use serde_json::{Value, json};

fn registry() -> Registry {
    let mut registry = burn_forward_train::registry();
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
    let rule = (row.parse)(&json!({}), &registry.rules).unwrap().0.build(&network, classes, Seed::new(seed)).unwrap();
    LocalModel::new(network, rule, Seed::new(seed))
}

/// A file in the folder `weights` of the data folder; without it, the test is skipped.
fn public_file(name: &str) -> Option<PathBuf> {
    let file = format!("weights/{name}");
    Some(skip::unless_data_has(&file)?.root().unwrap().join(file))
}

fn logits(model: &LocalModel, images: Tensor<4>) -> Vec<f32> {
    model.valid().scores(AnyActivation::Maps(images)).primary().into_data().iter::<f32>().collect()
}

fn images(rows: usize, side: usize) -> Tensor<4> {
    let values: Vec<f32> = (0..rows * 3 * side * side).map(|i| ((i * 37 % 101) as f32 - 50.0) / 30.0).collect();
    Tensor::from_data(TensorData::new(values, [rows, 3, side, side]), &Device::flex())
}

/// The logits of the first test image, as published with the evaluation of the weights.
const LOGITS: [f32; 10] =
    [-5.30968, -0.49577, 0.87726, 23.73052, -4.10504, 4.46373, -0.23435, -5.41793, -3.71179, -9.88218];

#[test]
fn a_public_residual_network_gives_its_published_logits() {
    let Some(file) = public_file("resnet20-12fca82f.th") else { return };
    let fresh = model("cifar-resnet", &json!({"depth": 20}), 10, 32, Partition::RESIDUAL, 0);
    let (model, imported) = weights::import(fresh, &file, true).unwrap();
    assert_eq!(imported.parameters, 269_722);
    let Some(folders) = skip::unless_data_has("cifar10") else { return };
    let (_, test) = cifar::read_folder(&folders.root().unwrap().join("cifar10"), cifar::Cifar::Ten, "").unwrap();
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
    // For other classes, without the classifier.
    let fresh = model("mobilenet-v2", &json!({"strides": "imagenet"}), 10, 64, Partition::RESIDUAL, 0);
    let (_, imported) = weights::import(fresh.clone(), &file, false).unwrap();
    assert_eq!(imported.parameters, 3_504_872 - 1_281_000);
    let error = weights::import(fresh, &file, true).unwrap_err().to_string();
    assert!(error.contains("classifier.1.weight has shape [1000, 1280] instead of [10, 1280]"), "{error}");
}

#[test]
fn what_does_not_fit_is_named_with_both_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.safetensors");
    let narrow = json!({"depth": 18, "width": 0.0625});
    export::write(&model("resnet", &narrow, 10, 32, Partition::WHOLE, 0), &file).unwrap();
    let wide = model("resnet", &json!({"depth": 18, "width": 0.125}), 10, 32, Partition::WHOLE, 0);
    let error = weights::import(wide, &file, true).unwrap_err().to_string();
    assert!(error.contains("conv1.weight has shape [4, 3, 3, 3] instead of [8, 3, 3, 3]"), "{error}");
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
        // Into a network with other weights and another partition.
        let (loaded, _) = weights::import(model(name, &settings, 10, 32, Partition::WHOLE, 2), &file, true).unwrap();
        let x = images(2, 32);
        assert_eq!(logits(&original, x.clone()), logits(&loaded, x), "{name}");
    }
}

/// A small network, and the tensors in its exported file: name, shape, values.
fn small(seed: u64) -> LocalModel {
    model("cifar-resnet", &json!({"depth": 8}), 10, 32, Partition::WHOLE, seed)
}

type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn exported(model: &LocalModel) -> (Vec<u8>, Tensors) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w");
    export::write(model, &file).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let tensors = header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__").map(|(name, t)| {
        let at = |i: usize| 8 + length + t["data_offsets"][i].as_u64().unwrap() as usize;
        let values = bytes[at(0)..at(1)].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let shape = t["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        (name.clone(), shape, values)
    });
    let tensors = tensors.collect();
    (bytes, tensors)
}

/// The tensors as a dictionary, with `prefix` before every name and every value multiplied by `scale`.
fn dict(tensors: &Tensors, prefix: &str, scale: f32) -> Pickled {
    let item = |(name, shape, values): &(String, Vec<usize>, Vec<f32>)| {
        let values = values.iter().map(|v| scale * v).collect();
        (format!("{prefix}{name}"), Pickled::Tensor { shape: shape.clone(), values })
    };
    Pickled::Dict(tensors.iter().map(item).collect())
}

/// The weights are the same, however a state dict is wrapped.
#[test]
fn checkpoints_are_read_as_people_save_them() {
    let folder = tempfile::tempdir().unwrap();
    let original = small(1);
    let (safetensors, tensors) = exported(&original);
    let plain = |prefix: &str| dict(&tensors, prefix, 1.0);
    let adam = || {
        let moments = dict(&tensors, "", 0.5);
        Pickled::dict([("state", Pickled::dict([("0", moments)])), ("lr", Pickled::Float(0.1))])
    };
    // Only a part of the model was compiled.
    let mut part = tensors.clone();
    part.iter_mut().for_each(|(name, ..)| *name = name.replacen("layer1.", "layer1._orig_mod.", 1));
    let other = |scale: f32| dict(&tensors, "module.", scale);
    let (acc, epoch) = (|| Pickled::Float(93.62), || Pickled::Int(199));
    let cases = [
        ("bare", plain("")),
        ("DataParallel", plain("module.")),
        ("compiled", plain("_orig_mod.")),
        ("compiled and parallel", plain("_orig_mod.module.")),
        ("a part compiled", dict(&part, "", 1.0)),
        ("net.", plain("net.")),
        ("module.model.", plain("module.model.")),
        ("model.", plain("model.")),
        ("net, acc, epoch", Pickled::dict([("net", plain("module.")), ("acc", acc()), ("epoch", epoch())])),
        (
            "model_state_dict",
            Pickled::dict([
                ("epoch", epoch()),
                ("model_state_dict", plain("")),
                ("optimizer_state_dict", adam()),
                ("loss", acc()),
            ]),
        ),
        ("state_dict, optimizer", Pickled::dict([("state_dict", plain("module.")), ("optimizer", adam())])),
        (
            "state_dict_ema beside",
            Pickled::dict([("state_dict_ema", other(0.5)), ("state_dict", other(1.0)), ("epoch", epoch())]),
        ),
        ("model_ema beside", Pickled::dict([("ema", other(0.5)), ("model", other(1.0))])),
        ("state_dict_ema alone", Pickled::dict([("state_dict_ema", other(1.0)), ("epoch", epoch())])),
        ("lightning", Pickled::dict([("epoch", epoch()), ("state_dict", plain("model.")), ("callbacks", adam())])),
    ];
    let files = cases.into_iter().map(|(what, root)| (what, checkpoint(&root)));
    let x = images(2, 32);
    let expected = logits(&original, x.clone());
    for (what, bytes) in files.chain([("safetensors", safetensors)]) {
        // The format is recognised by content: with no file extension, and with a wrong one.
        for name in ["weights", "weights.pth", "weights.safetensors"] {
            let file = folder.path().join(name);
            std::fs::write(&file, &bytes).unwrap();
            let (loaded, imported) = weights::import(small(2), &file, true).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(logits(&loaded, x.clone()), expected, "{what} as {name}");
            assert_eq!(imported.tensors, tensors.len(), "{what}");
        }
    }
}

#[test]
fn what_is_no_checkpoint_of_the_network_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.pth");
    let refused = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        weights::import(small(0), &file, true).unwrap_err().to_string()
    };
    let tensor = || Pickled::Tensor { shape: vec![2], values: vec![1.0, 2.0] };
    let foreign = Pickled::dict([
        ("encoder", Pickled::dict([("a", tensor()), ("b", tensor())])),
        ("mean", tensor()),
        ("epoch", Pickled::Int(3)),
    ]);
    let error = refused(&checkpoint(&foreign));
    assert!(
        error.contains("none of the network's tensors in 2 of encoder (encoder.a [2], ..), mean [2]; needed"),
        "{error}"
    );
    assert!(error.contains("such as conv1.weight [16, 3, 3, 3]"), "{error}");
    let error = refused(&checkpoint(&Pickled::dict([("epoch", Pickled::Int(3))])));
    assert!(error.contains("found no tensors"), "{error}");
    assert!(refused(b"").contains("found an empty file"));
    assert!(refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n").contains("found a Git LFS pointer"));
    assert!(refused(b"\n<!DOCTYPE html><html>").contains("found an HTML or XML page"));
    assert!(refused(b"hello").contains("needed a PyTorch checkpoint or a safetensors file"));
    // Only some tensors match: the message lists what is missing, where it was expected, and what else the file contains.
    let mut part = exported(&small(1)).1;
    part.retain(|(name, ..)| !name.starts_with("linear."));
    let error = refused(&checkpoint(&Pickled::dict([("net", dict(&part, "", 1.0)), ("head", tensor())])));
    assert!(error.contains("linear.weight [10, 64] is missing"), "{error}");
    assert!(error.contains(" under \"net.\"; the file also contains head [2]; needed"), "{error}");
}

/// NaN and infinite values are rejected as weights, in whatever tensor, and however the file was written.
#[test]
fn values_that_are_no_numbers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w");
    let tensors = exported(&small(1)).1;
    for (spoilt, value, said) in [
        ("conv1.weight", f32::NAN, "conv1.weight with NaN at element 5"),
        ("layer2.0.bn1.running_var", f32::INFINITY, "layer2.0.bn1.running_var with inf at element 5"),
        ("linear.bias", f32::NEG_INFINITY, "linear.bias with -inf at element 5"),
    ] {
        let mut tensors = tensors.clone();
        tensors.iter_mut().find(|(name, ..)| name == spoilt).unwrap().2[5] = value;
        std::fs::write(&file, checkpoint(&dict(&tensors, "", 1.0))).unwrap();
        let error = weights::import(small(0), &file, true).unwrap_err().to_string();
        assert!(error.contains(&format!("found {said}; needed finite numbers")), "{error}");
    }
}
