//! The whole network as one block is an ordinary Burn network in an ordinary training loop, bit for bit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, PaddingConfig2d, Relu};
use burn::optim::{GradientsParams, SgdConfig, momentum::MomentumConfig};
use burn::tensor::{Device, Tensor, TensorData};
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::data::Batch;
use burn_forward::model::LocalModel;
use burn_forward::network::{Network, Partition};
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward_kernels::conv::{FusedActivation, batch_norm, conv2d, global_average_pool};
use serde_json::json;

use burn_forward_testing::values::{Values, numbers, parameters, same_bits};
use burn_forward_testing::{Prototypes, TestData, seed};

const CLASSES: usize = 4;
const INPUT: RowShape = RowShape::Maps { channels: 2, height: 8, width: 8 };

fn batch(rows: usize, index: u64, device: &Device) -> Batch {
    Prototypes::images(2, 8, CLASSES).batch(rows, index, device)
}

/// The same network written by hand: two convolutions with normalisation and pools, mean, classifier.
#[derive(Module, Debug)]
struct Plain {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    pool: MaxPool2d,
    mean: AdaptiveAvgPool2d,
    output: Linear,
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values.to_vec(), shape), device))
}

impl Plain {
    fn new(p: &Values, device: &Device) -> Self {
        let at = |path: &str| p[&format!("network.blocks.0.layers.{path}")].as_slice();
        let conv = |layer: usize, channels: [usize; 2]| Conv2d {
            weight: tensor(at(&format!("{layer}.unit.conv.weight")), [channels[1], channels[0], 3, 3], device),
            bias: None,
            stride: [1, 1],
            kernel_size: [3, 3],
            dilation: [1, 1],
            groups: 1,
            padding: PaddingConfig2d::Explicit(1, 1, 1, 1),
        };
        Self {
            conv1: conv(0, [2, 4]),
            norm1: BatchNormConfig::new(4).init(device),
            conv2: conv(1, [4, 6]),
            norm2: BatchNormConfig::new(6).init(device),
            pool: MaxPool2dConfig::new([2, 2]).init(),
            mean: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            output: Linear {
                weight: tensor(&p["rule.heads.0.projection.weight"], [6, CLASSES], device),
                bias: Some(tensor(&p["rule.heads.0.projection.bias"], [CLASSES], device)),
            },
        }
    }

    fn forward(&self, x: Tensor<4>, parts: Parts) -> Tensor<2> {
        let x = self.pool.forward((parts.unit)(&self.conv1, &self.norm1, x));
        let x = self.pool.forward((parts.unit)(&self.conv2, &self.norm2, x));
        let [rows, channels, _, _] = x.dims();
        self.output.forward((parts.mean)(&self.mean, x).reshape([rows, channels]))
    }

    /// Copies the parameters of this network to the paths of the other.
    fn values(&self) -> Values {
        let valid = self.valid();
        let mut all = Values::new();
        let mut put = |path: String, values: Vec<f32>| all.insert(path, values);
        for (i, conv, norm) in [(0, &valid.conv1, &valid.norm1), (1, &valid.conv2, &valid.norm2)] {
            let at = format!("network.blocks.0.layers.{i}.unit");
            put(format!("{at}.conv.weight"), numbers(conv.weight.val()));
            put(format!("{at}.norm.gamma"), numbers(norm.gamma.val()));
            put(format!("{at}.norm.beta"), numbers(norm.beta.val()));
            put(format!("{at}.norm.running_mean"), numbers(norm.running_mean.value()));
            put(format!("{at}.norm.running_var"), numbers(norm.running_var.value()));
        }
        put("rule.heads.0.projection.weight".into(), numbers(valid.output.weight.val()));
        put("rule.heads.0.projection.bias".into(), numbers(valid.output.bias.as_ref().unwrap().val()));
        all
    }
}

/// Forward passes of modules: a convolution with normalisation and ReLU, and the mean over positions.
#[derive(Clone, Copy)]
struct Parts {
    unit: fn(&Conv2d, &BatchNorm, Tensor<4>) -> Tensor<4>,
    mean: fn(&AdaptiveAvgPool2d, Tensor<4>) -> Tensor<4>,
}

/// The modules' own forward passes, on devices for which this crate has no operations.
#[cfg(feature = "ndarray")]
#[test]
fn whole_is_an_ordinary_training_loop() {
    #[allow(deprecated)] // Burn deprecates this backend since 0.22; it is supported here as long as Burn ships it.
    let device = Device::ndarray();
    let parts = Parts {
        unit: |conv, norm, x| Relu::new().forward(norm.forward(conv.forward(x))),
        mean: |mean, x| mean.forward(x),
    };
    same_as_ordinary(device, parts);
}

/// On flex, the forward passes of the kernels for the same modules, which the tests of the kernels compare with the modules'
/// own.
#[cfg(feature = "flex")]
#[test]
fn whole_is_an_ordinary_training_loop_on_flex() {
    let parts = Parts {
        unit: |conv, norm, x| batch_norm(norm, conv2d(conv, x), FusedActivation::Relu),
        mean: |_, x| global_average_pool(x),
    };
    same_as_ordinary(Device::flex(), parts);
}

fn same_as_ordinary(device: Device, parts: Parts) {
    let device = device.autodiff();
    let registry = {
        let mut r = burn_forward_train::registry();
        burn_forward_cnn::register(&mut r);
        r
    };
    let row = registry.networks.iter().find(|row| row.name == "conv-stack").unwrap();
    let (spec, _) = (row.parse)(&json!({"channels": [4, 6]})).unwrap();
    let network = Network::new(spec.layers(INPUT, seed(), &device).unwrap(), Partition::WHOLE).unwrap();
    let row = registry.rules.iter().find(|row| row.name == "backprop").unwrap();
    let rule = (row.parse)(&json!({}), &registry.rules).unwrap().0.build(&network, CLASSES, seed()).unwrap();
    let mut model = LocalModel::new(network, rule, seed());
    let mut plain = Plain::new(&parameters(&model).unwrap(), &device);

    let mut optimizer = OptimizerConfig::new(OptimizerName::Sgd, 0.05).optimizer(&[]).unwrap();
    let momentum = MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false };
    let mut ordinary = SgdConfig::new().with_momentum(Some(momentum)).init();
    let loss = CrossEntropyLossConfig::new().init(&device);
    for step in 0..8 {
        let batch = batch(16, step, &device);
        let output = model.learn(&batch);
        model = optimizer.step(0.05, model, output.grads);

        let AnyActivation::Maps(images) = batch.inputs.clone() else { panic!("images") };
        let value = loss.forward(plain.forward(images, parts), batch.targets.clone());
        let grads = GradientsParams::from_grads(value.backward(), &plain);
        plain = ordinary.step(0.05, plain, grads);
    }

    let (ours, theirs) = (parameters(&model.valid()).unwrap(), plain.values());
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (path, value) in &ours {
        assert!(same_bits(value, &theirs[path]), "{path}\n{value:?}\n{:?}", theirs[path]);
    }
    let inner = device.inner();
    let AnyActivation::Maps(images) = batch(16, 99, &inner).inputs else { panic!("images") };
    let a = numbers(model.valid().scores(AnyActivation::Maps(images.clone())).primary());
    assert!(same_bits(&a, &numbers(plain.valid().forward(images, parts))));
}
