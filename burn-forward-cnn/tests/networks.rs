//! Architectures compared with their published numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData};
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Block;
use burn_forward::data::{Batch, BatchKey};
use burn_forward::model::LocalModel;
use burn_forward::network::{Network, Partition, PartitionName};
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward::parameters::parameters;
use burn_forward::random::Seed;
use burn_forward::rules::{BackpropConfig, RuleSpec};
use burn_forward_train::training::{parameter_counts, plan};
use serde_json::{Value, json};

use burn_forward_testing::values::parameters as parameters_by_path;

fn network(name: &str, settings: &Value, partition: Partition, side: usize) -> Network {
    network_on(name, settings, partition, side, &Device::flex())
}

fn network_on(name: &str, settings: &Value, partition: Partition, side: usize, device: &Device) -> Network {
    let row = burn_forward_cnn::networks::network_entries().into_iter().find(|row| row.name == name).unwrap();
    let (spec, _) = (row.parse)(settings).unwrap();
    let input = RowShape::Maps { channels: 3, height: side, width: side };
    let layers = spec.layers(input, Seed::new(0), device).unwrap();
    assert_eq!(layers.iter().map(|l| l.outline()).collect::<Vec<_>>(), spec.outline(), "{name} {settings}");
    Network::new(layers, partition).unwrap()
}

/// The network with a linear classifier, under back-propagation with ten classes or another number of them.
fn classifying(network: Network, classes: usize) -> LocalModel {
    let rule = BackpropConfig::default().build(&network, classes, Seed::new(0)).unwrap();
    LocalModel::new(network, rule, Seed::new(0))
}

/// Parameter counts published with the models: by torchvision for 1000 classes, from which 990 outputs of the classifier are
/// subtracted for ten classes; by the widely used CIFAR ResNets for PyTorch; by He et al. 2015, table 6, and by the author of
/// the paper on local errors for Fashion-MNIST, with the digits given there.
#[test]
fn parameters_are_those_of_the_published_models() {
    let resnet = |depth: usize, stem: &str| json!({"depth": depth, "stem": stem});
    let v2 = |strides: &str| json!({"strides": strides});
    let v3 = |size: &str, strides: &str| json!({"size": size, "strides": strides});
    let vgg = json!({"variant": "8b", "width": 2});
    let cases = [
        ("resnet", resnet(18, "imagenet"), 224, 1000, 11_689_512, 1),
        ("resnet", resnet(34, "imagenet"), 224, 1000, 21_797_672, 1),
        ("resnet", resnet(50, "imagenet"), 224, 1000, 25_557_032, 1),
        ("resnet", resnet(18, "cifar"), 32, 10, 11_173_962, 1),
        ("resnet", resnet(34, "cifar"), 32, 10, 21_282_122, 1),
        ("resnet", resnet(50, "cifar"), 32, 10, 23_520_842, 1),
        ("mobilenet-v2", v2("imagenet"), 224, 1000, 3_504_872, 1),
        ("mobilenet-v2", v2("cifar"), 32, 10, 2_236_682, 1),
        ("mobilenet-v3", v3("small", "imagenet"), 224, 1000, 2_542_856, 1),
        ("mobilenet-v3", v3("large", "imagenet"), 224, 1000, 5_483_032, 1),
        ("mobilenet-v3", v3("small", "cifar"), 32, 10, 1_528_106, 1),
        ("mobilenet-v3", v3("large", "cifar"), 32, 10, 4_214_842, 1),
        ("cifar-resnet", json!({"depth": 20}), 32, 10, 269_722, 1),
        ("cifar-resnet", json!({"depth": 32}), 32, 10, 460_000, 10_000),
        ("cifar-resnet", json!({"depth": 44}), 32, 10, 660_000, 10_000),
        ("cifar-resnet", json!({"depth": 56}), 32, 10, 850_000, 10_000),
        ("cifar-resnet", json!({"depth": 110}), 32, 10, 1_700_000, 100_000),
        ("vgg", vgg, 28, 10, 28_000_000, 1_000_000),
    ];
    for (name, settings, side, classes, published, digits) in cases {
        let model = classifying(network(name, &settings, Partition::WHOLE, side), classes);
        let round = |n: usize| (n + digits / 2) / digits * digits;
        let (inference, teaching) = parameter_counts(&model);
        assert_eq!((round(inference), teaching), (published, 0), "{name} {settings}");
        let blocks = plan(&model, &OptimizerConfig::new(OptimizerName::Adam, 1e-3), 1);
        let all: usize = blocks.iter().map(|b| b.parameters + b.head_parameters).sum();
        assert_eq!(all, inference, "{name} {settings}: the block table");
    }
}

/// After some steps with every optimiser, all weights have changed and all numbers are finite.
#[test]
fn every_optimizer_steps_every_network() {
    let device = Device::flex().autodiff();
    let networks = [
        ("conv-stack", json!({"channels": [4, 6]})),
        ("vgg", json!({"variant": "8b", "width": 0.02})),
        ("resnet", json!({"depth": 18, "width": 0.0625})),
        ("cifar-resnet", json!({"depth": 8, "width": 0.25})),
        ("mobilenet-v2", json!({"width": 0.1})),
        ("mobilenet-v3", json!({"size": "small", "width": 0.1})),
    ];
    let all: BTreeSet<&str> = burn_forward_cnn::networks::network_entries().iter().map(|row| row.name).collect();
    assert_eq!(networks.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), all);
    let pixels: Vec<f32> = (0..8 * 3 * 32 * 32).map(|i| (1.3 * (i * i % 1009) as f32).sin()).collect();
    let batch = Batch {
        inputs: AnyActivation::Maps(Tensor::from_data(TensorData::new(pixels, [8, 3, 32, 32]), &device)),
        targets: Tensor::from_data([0, 1, 2, 3, 0, 1, 2, 3], &device),
        classes: 4,
        key: BatchKey::new(1, 0, 1),
        samples: (0..8).collect(),
    };
    for (name, settings) in networks {
        for optimizer in OptimizerName::ALL {
            let mut steps = OptimizerConfig::new(optimizer, 1e-3).optimizer(&[]).unwrap();
            let mut model = classifying(network_on(name, &settings, Partition::WHOLE, 32, &device), 4);
            // Also checks that every number is finite.
            let before = parameters_by_path(&model).unwrap();
            for _ in 0..3 {
                let output = model.learn(&batch);
                model = steps.step(1e-3, model, output.grads);
            }
            let still: Vec<String> = parameters_by_path(&model)
                .unwrap()
                .into_iter()
                .filter(|(path, now)| path.ends_with(".weight") && before[path] == *now)
                .map(|(path, _)| path)
                .collect();
            assert!(still.is_empty(), "{name}: {} leaves {still:?} as they were", optimizer.name());
        }
    }
}

/// Multiply-accumulate operations at 224 x 224, as published with the models (He et al. 2015: 1.8, 3.6 and, with the stride in
/// the 3x3 convolution, 4.1 billion; Sandler et al. 2018: 300 million; Howard et al. 2019: 56 and 219 million).
#[test]
fn macs_are_those_of_the_papers() {
    let cases = [
        ("resnet", json!({"depth": 18, "stem": "imagenet"}), 1.8e9),
        ("resnet", json!({"depth": 34, "stem": "imagenet"}), 3.6e9),
        ("resnet", json!({"depth": 50, "stem": "imagenet"}), 4.1e9),
        ("mobilenet-v2", json!({"strides": "imagenet"}), 300e6),
        ("mobilenet-v3", json!({"size": "small", "strides": "imagenet"}), 56e6),
        ("mobilenet-v3", json!({"size": "large", "strides": "imagenet"}), 219e6),
    ];
    for (name, settings, published) in cases {
        let network = network(name, &settings, Partition::WHOLE, 224);
        let macs: usize = network.blocks().iter().map(|b| b.macs_per_row()).sum();
        assert!((macs as f64 / published - 1.0).abs() < 0.05, "{name} {settings}: {macs}");
    }
}

#[test]
fn partitions_follow_the_architecture() {
    let blocks = |name, settings: &Value, p| network(name, settings, p, 32).len();
    let r18 = json!({"depth": 18});
    // A stem and eight residual blocks in four stages; the classifier belongs to the rule.
    assert_eq!(blocks("resnet", &r18, Partition::RESIDUAL), 9);
    assert_eq!(blocks("resnet", &r18, Partition::STAGE), 4);
    assert_eq!(blocks("resnet", &r18, Partition::LAYER), 9);
    assert_eq!(blocks("resnet", &r18, Partition::WHOLE), 1);
    assert_eq!(blocks("resnet", &r18, Partition::Blocks { blocks: 5 }), 5);
    assert_eq!(blocks("cifar-resnet", &json!({"depth": 110}), Partition::RESIDUAL), 55);
    assert_eq!(blocks("mobilenet-v2", &json!({}), Partition::RESIDUAL), 18);
    assert_eq!(blocks("mobilenet-v3", &json!({"size": "small"}), Partition::RESIDUAL), 12);
    assert_eq!(blocks("vgg", &json!({"variant": "8b"}), Partition::LAYER), 7);
    assert_eq!(blocks("conv-stack", &json!({"channels": [8, 16, 32]}), Partition::LAYER), 3);
}

#[test]
fn shapes_are_what_comes_out() {
    for (name, settings) in [
        ("conv-stack", json!({"channels": [8, 16]})),
        ("conv-stack", json!({"channels": [8, 16, 8, 8, 8], "global-pool": false, "pool-kind": "average"})),
        ("vgg", json!({"variant": "8b", "width": 0.03125})),
        ("resnet", json!({"depth": 18, "width": 0.0625})),
        ("resnet", json!({"depth": 50, "width": 0.0625, "stem": "imagenet", "resize": 48})),
        ("cifar-resnet", json!({"depth": 8})),
        ("mobilenet-v2", json!({"width": 0.25})),
        ("mobilenet-v3", json!({"size": "small", "width": 0.25})),
        ("mobilenet-v3", json!({"size": "large", "width": 0.25, "strides": "imagenet"})),
    ] {
        let network = network(name, &settings, Partition::LAYER, 32);
        let mut x = AnyActivation::Maps(Tensor::ones([2, 3, 32, 32], &Device::flex()));
        for block in network.blocks() {
            x = block.forward(x);
            let shape = match &x {
                AnyActivation::Maps(t) => {
                    let [_, channels, height, width] = t.dims();
                    RowShape::Maps { channels, height, width }
                }
                AnyActivation::Features(t) => RowShape::Features(t.dims()[1]),
                AnyActivation::Nodes(_) => panic!("no graph here"),
            };
            assert_eq!(shape, block.output(), "{name} {settings}: {}", block.describe());
        }
    }
}

#[test]
fn small_image_strides_keep_the_resolution_early() {
    // With images of 32 x 32, the stages of ResNet-18 (with the CIFAR stem) have sides of 32, 16, 8 and 4.
    let network = network("resnet", &json!({"depth": 18, "width": 0.125}), Partition::STAGE, 32);
    let sides: Vec<String> = network.blocks().iter().map(|b| b.layers()[0].output().to_string()).collect();
    assert_eq!(sides, ["8x32x32", "16x16x16", "32x8x8", "64x4x4"]);
}

/// Class maps are not linear heads, so an exported file cannot contain them. A sum over blocks needs them.
#[test]
fn heads_that_the_readout_reads_are_parameters_of_inference() {
    let settings = json!({"depth": 18, "stem": "cifar", "width": 0.25});
    let row =
        burn_forward_cnn::rules::rule_entries().into_iter().find(|r| r.name == "scalable-forward-forward").unwrap();
    let counts = |readout: &str| {
        let network = network("resnet", &settings, Partition::Named(PartitionName::Residual), 32);
        let own = parameters(&network);
        let (spec, _) = (row.parse)(&json!({"readout": readout}), &[]).unwrap();
        let rule = spec.build(&network, 10, Seed::new(0)).unwrap();
        let (inference, teaching) = parameter_counts(&LocalModel::new(network, rule, Seed::new(0)));
        (inference - own, teaching)
    };
    // Convolutions of side 1 to ten classes with biases, and at the end a linear layer for the 128 features.
    let maps: usize = [16, 16, 16, 32, 32, 64, 64, 128].iter().map(|channels| 10 * channels + 10).sum();
    assert_eq!(counts("last"), (1290, maps));
    assert_eq!(counts("sum"), (1290 + maps, 0));
}
