//! Every rule, with its defaults and with every value of every setting that has named values, on a small plain stack and on a
//! tiny residual network.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, DeviceConfig, FloatDType};
use burn_forward::activation::RowShape;
use burn_forward::data::Batch;
use burn_forward::device;
use burn_forward::network::{NetworkSpec, Partition};
use burn_forward::registry::Registry;
use burn_forward_testing::{Laws, Prototypes, TestData, TestNetwork};
use serde_json::{Value, json};

pub(crate) use burn_forward_testing::{Case, seed};

pub(crate) const CLASSES: usize = 4;
const CHANNELS: usize = 2;
const SIDE: usize = 8;
pub(crate) const INPUT: RowShape = RowShape::Maps { channels: CHANNELS, height: SIDE, width: SIDE };

fn registry() -> Registry {
    let mut registry = Registry::default();
    burn_forward_cnn::register(&mut registry);
    registry
}

/// A network from the registry.
pub(crate) fn network(name: &str, settings: &Value, partition: Partition) -> TestNetwork {
    let row = registry().networks.into_iter().find(|row| row.name == name).unwrap();
    let spec: Arc<dyn NetworkSpec> = Arc::from((row.parse)(settings).unwrap().0);
    TestNetwork::of(name, spec, partition)
}

/// A plain stack in which every layer is a block.
pub(crate) fn stack(settings: &Value) -> TestNetwork {
    network("conv-stack", settings, Partition::LAYER)
}

fn resnet() -> TestNetwork {
    let settings = json!({"depth": 8, "width": 0.25, "activation": "tanh", "normalisation": "rms"});
    network("cifar-resnet", &settings, Partition::RESIDUAL)
}

/// A small stack with tanh after RMS normalisation. This kind of layer is accepted by all rules, and is smooth, which finite
/// differences require.
fn smooth_stack(batch_norm: bool, dropout: f64) -> TestNetwork {
    stack(&json!({
        "channels": [4, 6, 5], "pool-kind": "average", "activation": "tanh", "normalisation": "rms",
        "batch-norm": batch_norm, "dropout": dropout,
    }))
}

/// The same stack with batch normalisation.
fn wide_stack(activation: &str) -> TestNetwork {
    stack(&json!({"channels": [16, 16], "activation": activation, "normalisation": "rms"}))
}

/// A flex device on which all floats of this program have double precision.
pub(crate) fn double_precision() -> Device {
    static CONFIGURED: OnceLock<()> = OnceLock::new();
    CONFIGURED.get_or_init(|| {
        let doubles = DeviceConfig::default().float_dtype(FloatDType::F64);
        device::parse("flex").unwrap().configure(doubles).unwrap();
    });
    device::parse("flex").unwrap().autodiff()
}

/// The laws for all rules of the core crate and of this crate. The settings of the core rules, and the second CPU device, are
/// tested in the core crate; here all cases run on flex.
pub(crate) fn laws() -> Laws {
    let core: Vec<&str> = Registry::default().rules.iter().map(|row| row.name).collect();
    let own: Vec<&str> = registry().rules.iter().map(|row| row.name).filter(|name| !core.contains(name)).collect();
    // Trifecta's overlapping updates are neither local nor the gradient of one sum of losses; they have a separate law.
    let varied: Vec<&str> = own.into_iter().filter(|name| *name != "trifecta").collect();
    let mut laws = Laws::of(&registry())
        .varied(&varied)
        .defaults("trifecta", json!({"overlap": false}))
        // One direction per step is not enough to learn in so few steps.
        .defaults("zeroth-order", json!({"queries": 12}))
        .data(Prototypes::images(CHANNELS, SIDE, CLASSES))
        .devices(vec![("flex".into(), double_precision())])
        .networks(vec![smooth_stack(false, 0.0), resnet()])
        .noisy_networks(vec![smooth_stack(true, 0.5), resnet()])
        .learning_networks(vec![vec![wide_stack("relu"), wide_stack("tanh")], vec![resnet()]])
        .learning_steps(80, 32)
        // Losses have double precision, and the ReLUs of auxiliary networks have kinks.
        .finite_differences(2e-5)
        .settings("forward-forward", json!({"preset": "ff-plus"}))
        .settings("scalable-forward-forward", json!({"depth": 2}))
        .settings("backprop", json!({"bias": false}));
    for settings in [json!({"pool": 1}), json!({"pool": "full"}), json!({"readout": "weighted"})] {
        laws = laws.settings("mono-forward", settings);
    }
    for heads in [
        json!({"name": "scalable-forward-forward", "between": "rms", "loss": "margin"}),
        json!({"name": "channel-wise", "shortcut": true, "between": "group-norm"}),
        json!({"name": "info-pro"}),
    ] {
        laws = laws.settings("deep-supervision", json!({"heads": heads}));
    }
    laws.except(
        "smoothing::every_head_that_takes_smoothing_minimises_the_expected_loss",
        "similarities between rows have no label of one row",
        |case| case.rule() == "predsim" && case.settings()["error"] != json!("pred"),
    )
    .except(
        "finished::steps_on_batches_of_unknown_address_do_not_share_their_randomness",
        "this network has nothing random",
        |case| case.network().name() == "cifar-resnet",
    )
    .except(
        "finite_difference::a_local_gradient_is_the_slope_of_the_blocks_own_loss",
        "the activities of the second pass are taken as given, and move with the weights",
        |case| case.rule() == "pepita",
    )
    .except(
        "finite_difference::a_local_gradient_is_the_slope_of_the_blocks_own_loss",
        "an estimate along a random direction is no slope: the laws of burn-forward compare the mean of many",
        |case| case.rule() == "zeroth-order",
    )
}

/// The rule `rule` with `settings` on every network.
pub(crate) fn on_all_devices(rule: &str, settings: &Value) -> Vec<Case> {
    laws().on_all_devices(rule, settings)
}

/// Every registry row with its defaults.
pub(crate) fn recipes() -> Vec<Case> {
    laws().recipes().unwrap()
}

/// Every registry row with its defaults, and with every value of every setting that has named values.
pub(crate) fn cases() -> Vec<Case> {
    laws().cases().unwrap()
}

/// Batch `index` of images around one prototype per class, with values around `[0, 1]`.
pub(crate) fn batch(rows: usize, index: u64, device: &Device) -> Batch {
    Prototypes::images(CHANNELS, SIDE, CLASSES).batch(rows, index, device)
}
