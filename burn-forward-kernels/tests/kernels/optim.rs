//! Optimisers of this crate compared with Burn's own: weights and records are identical to the bit, over many steps.

use burn::backend::Flex;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, Optimizer, RecordState, SgdConfig, StateSink,
};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use burn_forward_kernels::optim::{FusedAdam, FusedAdamW, FusedSgd};
use burn_forward_kernels::testing::{assert_refused, wrong_shapes};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Settings that Burn's optimisers and those of this crate have in common.
#[derive(Debug, Clone)]
enum Settings {
    Sgd { momentum: Option<MomentumConfig>, decay: Option<f32> },
    Adam { betas: [f32; 2], epsilon: f32, amsgrad: bool, decay: Option<f32> },
    AdamW { betas: [f32; 2], epsilon: f32, amsgrad: bool, decay: f32, cautious: bool },
}

/// Runs `$body` with Burn's optimiser with `$settings` as `$burns`, and that of this crate as `$ours`.
macro_rules! with_both {
    ($settings:expr, |$burns:ident, $ours:ident| $body:expr) => {
        match $settings.clone() {
            Settings::Sgd { momentum, decay: weight_decay } => {
                let decay = weight_decay.map(|penalty| WeightDecayConfig { penalty });
                let $burns = SgdConfig::new().with_momentum(momentum.clone()).with_weight_decay(decay).build();
                let $ours = FusedSgd { momentum, weight_decay };
                $body
            }
            Settings::Adam { betas: [beta_1, beta_2], epsilon, amsgrad, decay: weight_decay } => {
                let decay = weight_decay.map(|penalty| WeightDecayConfig { penalty });
                let config = AdamConfig::new().with_beta_1(beta_1).with_beta_2(beta_2).with_epsilon(epsilon);
                let $burns = config.with_amsgrad(amsgrad).with_weight_decay(decay).build();
                let $ours = FusedAdam { beta_1, beta_2, epsilon, amsgrad, weight_decay };
                $body
            }
            Settings::AdamW { betas: [beta_1, beta_2], epsilon, amsgrad, decay: weight_decay, cautious } => {
                let config = AdamWConfig::new().with_beta_1(beta_1).with_beta_2(beta_2).with_epsilon(epsilon);
                let config = config.with_weight_decay(weight_decay).with_cautious_weight_decay(cautious);
                let $burns = config.with_amsgrad(amsgrad).build();
                let cautious_weight_decay = cautious;
                let $ours = FusedAdamW { beta_1, beta_2, epsilon, weight_decay, cautious_weight_decay, amsgrad };
                $body
            }
        }
    };
}

fn momentum(nesterov: bool) -> MomentumConfig {
    MomentumConfig { momentum: 0.9, dampening: 0.1, nesterov }
}

/// Every setting, on and off.
fn all_settings() -> Vec<Settings> {
    let betas = [0.9, 0.999];
    let mut all = Vec::new();
    for decay in [None, Some(0.01)] {
        for momentum in [None, Some(momentum(false)), Some(momentum(true))] {
            all.push(Settings::Sgd { momentum, decay });
        }
        for amsgrad in [false, true] {
            all.push(Settings::Adam { betas, epsilon: 1e-8, amsgrad, decay });
            for cautious in [false, true] {
                let decay = decay.unwrap_or(0.0);
                all.push(Settings::AdamW { betas, epsilon: 1e-8, amsgrad, decay, cautious });
            }
        }
    }
    all
}

fn settings() -> impl Strategy<Value = Settings> {
    let decay = || proptest::option::of(0.0f32..0.5);
    let betas = || [0.0f32..0.99, 0.0f32..0.9999];
    let momentum = (0.0..0.99, 0.0..1.0, any::<bool>());
    let momentum =
        momentum.prop_map(|(momentum, dampening, nesterov)| MomentumConfig { momentum, dampening, nesterov });
    let epsilon = || prop_oneof![Just(1e-8f32), Just(1e-5), Just(0.1)];
    prop_oneof![
        (proptest::option::of(momentum), decay()).prop_map(|(momentum, decay)| Settings::Sgd { momentum, decay }),
        (betas(), epsilon(), any::<bool>(), decay()).prop_map(|(betas, epsilon, amsgrad, decay)| Settings::Adam {
            betas,
            epsilon,
            amsgrad,
            decay
        }),
        (betas(), epsilon(), any::<bool>(), decay(), any::<bool>()).prop_map(
            |(betas, epsilon, amsgrad, decay, cautious)| {
                Settings::AdamW { betas, epsilon, amsgrad, decay: decay.unwrap_or(0.0), cautious }
            }
        ),
    ]
}

/// The layout of the numbers of a tensor.
#[derive(Debug, Clone, Copy)]
enum Storage {
    Rows,
    /// Columns are adjacent.
    Transposed,
    /// Rows in the middle of a larger tensor.
    Part,
    /// Every second column of a larger tensor.
    Spread,
}

const STORAGES: [Storage; 4] = [Storage::Rows, Storage::Transposed, Storage::Part, Storage::Spread];

impl Storage {
    fn tensor(self, [rows, columns]: [usize; 2], values: &[f32], device: &Device) -> Tensor<2> {
        let at = |rows: usize, columns: usize, value: &dyn Fn(usize, usize) -> f32| {
            let numbers: Vec<f32> = (0..rows * columns).map(|i| value(i / columns, i % columns)).collect();
            Tensor::from_data(TensorData::new(numbers, [rows, columns]), device)
        };
        let value = |i: usize, j: usize| values.get(i * columns + j).copied().unwrap_or(7.0);
        match self {
            Self::Rows => at(rows, columns, &value),
            Self::Transposed => at(columns, rows, &|j, i| value(i, j)).transpose(),
            Self::Part => at(rows + 2, columns, &|i, j| if i == 0 { 7.0 } else { value(i - 1, j) })
                .slice([1..rows + 1, 0..columns]),
            Self::Spread => {
                let wide = at(rows, 2 * columns, &|i, j| if j % 2 == 0 { value(i, j / 2) } else { 7.0 });
                wide.reshape([rows, columns, 2]).slice([0..rows, 0..columns, 0..1]).squeeze_dim(2)
            }
        }
    }
}

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0f32..1.0) * 10f32.powi(rng.random_range(-6..2))).collect()
}

/// Treats all NaN values as equal.
fn bits(data: &TensorData) -> Vec<u32> {
    data.iter::<f32>().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect()
}

/// The weights after the steps, and the record of the state, as bits.
type Outcome = (Vec<u32>, Vec<(String, Vec<u32>)>, Vec<String>);

fn steps<O: Optimizer, const D: usize>(
    optimizer: &O,
    lr: f64,
    mut weights: Tensor<D>,
    gradients: impl IntoIterator<Item = Tensor<D>>,
) -> Outcome {
    let mut state = None;
    for gradient in gradients {
        (weights, state) = optimizer.step(lr, weights, gradient, state);
    }
    let mut record = StateSink::default();
    state.unwrap().state_flatten("1", &mut record);
    let tensors = record.tensors.iter().map(|(name, data)| (name.clone(), bits(data))).collect();
    let scalars = record.scalars.iter().map(|scalar| format!("{scalar:?}")).collect();
    (bits(&weights.into_data()), tensors, scalars)
}

fn assert_same<const D: usize>(settings: &Settings, lr: f64, tensors: impl Fn() -> Vec<Tensor<D>>) {
    let (ours, burns) = with_both!(settings, |burns, ours| {
        let run = |tensors: Vec<Tensor<D>>| {
            let mut tensors = tensors.into_iter();
            (tensors.next().unwrap(), tensors)
        };
        let (weights, gradients) = run(tensors());
        let of_ours = steps(&ours, lr, weights, gradients);
        let (weights, gradients) = run(tensors());
        (of_ours, steps(&burns, lr, weights, gradients))
    });
    assert_eq!(ours, burns, "{settings:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn ten_steps_are_burns_to_the_bit(
        settings in settings(),
        lr in prop_oneof![Just(0.0), 1e-5..1.0],
        rows in 1usize..9,
        columns in 1usize..40,
        storages in proptest::collection::vec(proptest::sample::select(&STORAGES[..]), 11),
        seed in any::<u64>(),
    ) {
        let tensors = || {
            let tensor = |(i, storage): (usize, &Storage)| {
                storage.tensor([rows, columns], &numbers(seed ^ i as u64, rows * columns), &Device::flex())
            };
            storages.iter().enumerate().map(tensor).collect()
        };
        assert_same(&settings, lr, tensors);
    }
}

/// With enough numbers to be processed on several threads; the last chunk is not full.
#[test]
fn large_parameters_are_burns_to_the_bit() {
    for settings in all_settings() {
        let tensor = |i| Storage::Rows.tensor([3, 44_021], &numbers(i, 3 * 44_021), &Device::flex());
        assert_same(&settings, 0.01, || (0..4).map(tensor).collect());
    }
}

/// Numbers for which rules of arithmetic fail, each as a weight combined with each as a gradient.
#[test]
fn nan_infinity_zeros_and_denormals_are_burns() {
    let special = [0.0, -0.0, 1.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -1e-45, f32::MAX, 1e-30];
    let n = special.len();
    let weights: Vec<f32> = (0..n * n).map(|i| special[i / n]).collect();
    let gradients = |turn: usize| (0..n * n).map(|i| special[(i + turn * (i / n)) % n]).collect::<Vec<_>>();
    for settings in all_settings() {
        assert_same(&settings, 0.1, || {
            let of_gradients = (0..6).map(gradients);
            let all = std::iter::once(weights.clone()).chain(of_gradients);
            all.map(|values| Tensor::<1>::from_data(values.as_slice(), &Device::flex())).collect()
        });
    }
}

/// Steps with Burn's own operations, through this crate's optimisers: another number type, and a gradient with autodiff.
#[test]
fn what_is_not_ours_is_burns() {
    for settings in all_settings() {
        let numbers = |i| Storage::Rows.tensor([3, 7], &numbers(i, 21), &Device::flex());
        assert_same(&settings, 0.01, || (0..4).map(|i| numbers(i).cast(FloatDType::F64)).collect());
        assert_same(&settings, 0.01, || (0..4).map(|i| Tensor::from_inner(numbers(i))).collect());
        #[cfg(feature = "ndarray")]
        {
            #[allow(deprecated)]
            let device = Device::ndarray();
            assert_same(&settings, 0.01, || (0..4).map(|i| numbers(i).to_device(&device)).collect());
        }
    }
    let double = Storage::Rows.tensor([1, 1], &[1.0], &Device::flex()).cast(FloatDType::F64);
    let (stepped, _) = FusedAdam::default().step(0.1, double.clone(), double, None);
    assert_eq!(stepped.dtype(), DType::F64);
}

fn layer(device: &Device) -> Linear {
    let weight = Tensor::from_data(TensorData::new(numbers(0, 35), [7, 5]), device);
    let bias = Tensor::from_data(TensorData::new(numbers(1, 5), [5]), device);
    Linear { weight: Param::from_tensor(weight), bias: Some(Param::from_tensor(bias)) }
}

fn gradients(layer: &Linear, step: u64) -> GradientsParams {
    let x = Tensor::<2>::from_data(TensorData::new(numbers(step, 21), [3, 7]), &layer.devices()[0]);
    GradientsParams::from_grads(layer.forward(x).square().mean().backward(), layer)
}

/// Each optimiser continues from the record of the other, as if it had not been replaced.
#[test]
fn records_are_burns() {
    for settings in all_settings() {
        with_both!(settings, |burns, ours| {
            let (burns, ours) = (|| ModuleOptimizer::from(burns.clone()), || ModuleOptimizer::from(ours.clone()));
            let run = |mut optimizer: ModuleOptimizer, mut layer: Linear, steps: std::ops::Range<u64>| {
                for step in steps {
                    let gradients = gradients(&layer, step);
                    layer = optimizer.step(0.01, layer, gradients);
                }
                (optimizer, layer)
            };
            let first = layer(&Device::flex().autodiff());
            let (_, expected) = run(burns(), first.clone(), 0..6);
            for [before, after] in [[burns(), ours()], [ours(), burns()], [ours(), ours()]] {
                let (optimizer, middle) = run(before, first.clone(), 0..3);
                let saved = optimizer.into_bytes().unwrap();
                let (_, last) = run(after.from_bytes(saved).unwrap(), middle, 3..6);
                let weights =
                    |layer: &Linear| (bits(&layer.weight.to_data()), bits(&layer.bias.as_ref().unwrap().to_data()));
                assert_eq!(weights(&last), weights(&expected), "{settings:?}");
            }
        });
    }
}

fn address<const D: usize>(tensor: &Tensor<D>) -> usize {
    let flex = tensor.clone().try_into_primitive::<Flex>().unwrap();
    flex.as_slice::<f32>().unwrap().as_ptr() as usize
}

#[test]
fn weights_are_changed_in_place_unless_somebody_holds_them() {
    for settings in all_settings() {
        let on_our_way = !matches!(
            settings,
            Settings::Adam { amsgrad: true, .. }
                | Settings::AdamW { amsgrad: true, .. }
                | Settings::AdamW { cautious: true, .. }
        );
        with_both!(settings, |_burns, ours| {
            let tensor = |i| Storage::Rows.tensor([9, 7], &numbers(i, 63), &Device::flex());
            let weights = tensor(0);
            let place = address(&weights);
            let (weights, state) = ours.step(0.1, weights, tensor(1), None);
            let (weights, state) = ours.step(0.1, weights, tensor(2), state);
            assert!(!on_our_way || address(&weights) == place, "{settings:?}");
            let before = weights.to_data();
            let held = (weights.clone(), state.clone());
            let record = |state: &Option<_>| {
                let mut sink = StateSink::default();
                RecordState::state_flatten(Option::as_ref(state).unwrap(), "1", &mut sink);
                sink.tensors.into_iter().map(|(_, data)| bits(&data)).collect::<Vec<_>>()
            };
            let state_before = record(&held.1);
            let (stepped, _) = ours.step(0.1, weights, tensor(3), state);
            assert_eq!(bits(&held.0.to_data()), bits(&before));
            assert_ne!(bits(&stepped.to_data()), bits(&before));
            assert_eq!(record(&held.1), state_before);
        });
    }
}

#[test]
fn other_shapes_are_refused() {
    let zeros = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &Device::flex());
    for settings in all_settings() {
        with_both!(settings, |_burns, ours| {
            for wrong in wrong_shapes([3, 4], &[]) {
                assert_refused(&format!("gradient {wrong:?}"), || {
                    ours.step(0.1, zeros([3, 4]), zeros(wrong), None);
                });
                let (_, state) = ours.step(0.1, zeros(wrong), zeros(wrong), None);
                if !matches!(settings, Settings::Sgd { momentum: None, .. }) {
                    assert_refused(&format!("state {wrong:?}"), || {
                        ours.step(0.1, zeros([3, 4]), zeros([3, 4]), state);
                    });
                }
            }
        });
    }
}

/// Compared with numbers from an independent program: two steps of each optimiser, by the equations of the papers, in double
/// precision.
#[test]
fn two_steps_by_hand() {
    let (w, g, lr) = ([0.5, -2.0], [[0.3, -1.0], [-0.2, 4.0]], 0.1);
    let tensor = |values: [f64; 2]| Tensor::<1>::from_data(values.map(|v| v as f32), &Device::flex());
    let check = |ours: Vec<f32>, expected: [f64; 2]| {
        ours.iter().zip(expected).for_each(|(a, b)| assert!((f64::from(*a) - b).abs() < 1e-6, "{a}, {b}"));
    };
    fn two<O: Optimizer>(optimizer: &O, lr: f64, w: Tensor<1>, g: [Tensor<1>; 2]) -> Vec<f32> {
        let [first, second] = g;
        let (w, state) = optimizer.step(lr, w, first, None);
        optimizer.step(lr, w, second, state).0.into_data().iter().collect()
    }
    // v_1 = g_1, v_2 = 0.9 v_1 + g_2
    let momentum = Some(MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false });
    let sgd = FusedSgd { momentum, weight_decay: None };
    let expected = [0, 1].map(|i| w[i] - lr * g[0][i] - lr * (0.9 * g[0][i] + g[1][i]));
    check(two(&sgd, lr, tensor(w), g.map(tensor)), expected);
    let (beta_1, beta_2, epsilon, decay) = (0.9, 0.999, 1e-8, 0.2);
    let adaptive = |decoupled: f64| {
        [0, 1].map(|i| {
            let (mut w, mut m, mut v) = (w[i], 0.0, 0.0);
            for (t, g) in (1..).zip(g.map(|g| g[i])) {
                m = beta_1 * m + (1.0 - beta_1) * g;
                v = beta_2 * v + (1.0 - beta_2) * g * g;
                let (m, v) = (m / (1.0 - beta_1.powi(t)), v / (1.0 - beta_2.powi(t)));
                w = w - lr * decoupled * w - lr * m / (f64::sqrt(v) + epsilon);
            }
            w
        })
    };
    let adam = FusedAdam { epsilon: 1e-8, ..FusedAdam::default() };
    check(two(&adam, lr, tensor(w), g.map(tensor)), adaptive(0.0));
    let adamw = FusedAdamW { epsilon: 1e-8, weight_decay: decay as f32, ..FusedAdamW::default() };
    check(two(&adamw, lr, tensor(w), g.map(tensor)), adaptive(decay));
}
