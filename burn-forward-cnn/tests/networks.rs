//! Architectures against their published numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::block::Block;
use burn_forward::network::{Network, Partition, PartitionName};
use burn_forward::random::Seed;
use burn_forward::training::{LocalModel, Run};
use serde_json::{Value, json};

fn network(name: &str, settings: &Value, partition: Partition, side: usize) -> Network {
    let row = burn_forward_cnn::networks::network_entries().into_iter().find(|row| row.name == name).unwrap();
    let (spec, _) = (row.parse)(settings).unwrap();
    let input = RowShape::Maps { channels: 3, height: side, width: side };
    let layers = spec.layers(input, Seed::new(0), &Device::flex()).unwrap();
    assert_eq!(layers.iter().map(|l| l.outline()).collect::<Vec<_>>(), spec.outline(), "{name} {settings}");
    Network::new(layers, partition).unwrap()
}

/// Trained parameters: everything but the running statistics.
fn trained(network: &Network) -> usize {
    use burn::module::{ModuleVisitor, Param};
    #[derive(Default)]
    struct Count {
        path: Vec<String>,
        n: usize,
    }
    impl ModuleVisitor for Count {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !self.path.last().unwrap().starts_with("running_") {
                self.n += param.lazy_shape().num_elements();
            }
        }
    }
    let mut count = Count::default();
    network.visit(&mut count);
    count.n
}

/// Counts that the published models have with their classifier of `classes` classes, whose size is its closed form.
#[test]
fn parameters_are_those_of_the_published_models() {
    let imagenet = json!({"stem": "imagenet"});
    let with = |depth: usize| {
        let mut s = imagenet.clone();
        s["depth"] = json!(depth);
        s
    };
    let cases = [
        ("resnet", with(18), 224, 1000, 11_689_512),
        ("resnet", with(34), 224, 1000, 21_797_672),
        ("resnet", with(50), 224, 1000, 25_557_032),
        ("mobilenet-v2", json!({"strides": "imagenet"}), 224, 1000, 3_504_872),
        ("mobilenet-v3", json!({"size": "small", "strides": "imagenet"}), 224, 1000, 2_542_856),
        ("mobilenet-v3", json!({"size": "large", "strides": "imagenet"}), 224, 1000, 5_483_032),
        ("cifar-resnet", json!({"depth": 20}), 32, 10, 269_722),
    ];
    for (name, settings, side, classes, expected) in cases {
        let network = network(name, &settings, Partition::WHOLE, side);
        let features = network.blocks().last().unwrap().output().len();
        assert_eq!(trained(&network) + (features + 1) * classes, expected, "{name} {settings}");
    }
}

/// Multiply-accumulates at 224 x 224 as published with the models (He et al. 2015: 1.8, 3.6 and, with the stride in the
/// 3x3 convolution, 4.1 billion; Sandler et al. 2018: 300 million; Howard et al. 2019: 56 and 219 million).
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
    // A stem and eight residual blocks in four stages; the classifier is the rule's.
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
    // 32 x 32 images: stages of 32, 16, 8 and 4 pixels for ResNet-18 (CIFAR stem).
    let network = network("resnet", &json!({"depth": 18, "width": 0.125}), Partition::STAGE, 32);
    let sides: Vec<String> = network.blocks().iter().map(|b| b.layers()[0].output().to_string()).collect();
    assert_eq!(sides, ["8x32x32", "16x16x16", "32x8x8", "64x4x4"]);
}

/// Class maps are no linear heads and have no place in an exported file; a sum over blocks cannot do without them.
#[test]
fn heads_that_the_readout_reads_are_parameters_of_inference() {
    let settings = json!({"depth": 18, "stem": "cifar", "width": 0.25});
    let row =
        burn_forward_cnn::rules::rule_entries().into_iter().find(|r| r.name == "scalable-forward-forward").unwrap();
    let counts = |readout: &str| {
        let network = network("resnet", &settings, Partition::Named(PartitionName::Residual), 32);
        let own = network.num_params();
        let (spec, _) = (row.parse)(&json!({"readout": readout})).unwrap();
        let rule = spec.build(&network, 10, Seed::new(0)).unwrap();
        let (inference, teaching) = Run::parameter_counts(&LocalModel::new(network, rule, Seed::new(0)));
        (inference - own, teaching)
    };
    // Convolutions of side 1 to ten classes with biases, and a linear layer of the 128 features at the end.
    let maps: usize = [16, 16, 16, 32, 32, 64, 64, 128].iter().map(|channels| 10 * channels + 10).sum();
    assert_eq!(counts("last"), (1290, maps));
    assert_eq!(counts("sum"), (1290 + maps, 0));
}
