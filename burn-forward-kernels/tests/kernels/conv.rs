//! Convolutions of this crate compared with explicit sums, and with Burn's own under autodiff.

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::pool::AvgPool2dConfig;
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor, TensorData};
use burn_forward_kernels::conv::{FusedActivation, average_pool, batch_norm, conv2d, global_average_pool};
use burn_forward_kernels::testing::{assert_refused, panic_of, wrong_shapes};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rstest::rstest;

/// The sizes of a convolution: batch, input and output channels, groups, height, width, kernel, stride, padding.
#[derive(Debug, Clone, Copy)]
struct Case {
    batch: usize,
    channels: [usize; 2],
    groups: usize,
    side: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Case {
    fn weight_shape(self) -> [usize; 4] {
        [self.channels[1], self.channels[0] / self.groups, self.kernel, self.kernel]
    }

    fn input_shape(self) -> [usize; 4] {
        [self.batch, self.channels[0], self.side[0], self.side[1]]
    }

    fn output(self) -> [usize; 2] {
        self.side.map(|n| (n + 2 * self.padding - self.kernel) / self.stride + 1)
    }

    fn values(self, name: &str, shape: [usize; 4]) -> Vec<f32> {
        let seed = name.bytes().fold(3, |seed, byte| 31 * seed + u64::from(byte));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    fn conv(self, device: &Device) -> Conv2d {
        let shape = self.weight_shape();
        let weight = TensorData::new(self.values("weight", shape), shape);
        let p = self.padding;
        Conv2d {
            weight: Param::from_tensor(Tensor::from_data(weight, device)),
            bias: None,
            stride: [self.stride; 2],
            kernel_size: [self.kernel; 2],
            dilation: [1; 2],
            groups: self.groups,
            padding: PaddingConfig2d::Explicit(p, p, p, p),
        }
    }

    fn input(self, device: &Device) -> Tensor<4> {
        let shape = self.input_shape();
        Tensor::from_data(TensorData::new(self.values("x", shape), shape), device)
    }

    /// `y_(b,o,i,j) = sum_(c,u,v) w_(o,c,u,v) x_(b, c, i s + u - p, j s + v - p)`, in double precision.
    fn by_hand(self) -> Vec<f32> {
        let (x, w) = (self.values("x", self.input_shape()), self.values("weight", self.weight_shape()));
        let ([made, depth, k, _], [height, width]) = (self.weight_shape(), self.side);
        let [rows, columns] = self.output();
        let mut y = Vec::new();
        for b in 0..self.batch {
            for o in 0..made {
                let group = o / (made / self.groups);
                for i in 0..rows {
                    for j in 0..columns {
                        let mut sum = 0.0f64;
                        for c in 0..depth {
                            for u in 0..k {
                                for v in 0..k {
                                    let (a, e) = (i * self.stride + u, j * self.stride + v);
                                    let inside = (self.padding..height + self.padding).contains(&a)
                                        && (self.padding..width + self.padding).contains(&e);
                                    if inside {
                                        let channel = b * self.channels[0] + group * depth + c;
                                        let pixel = (channel * height + a - self.padding) * width + e - self.padding;
                                        sum += f64::from(w[((o * depth + c) * k + u) * k + v]) * f64::from(x[pixel]);
                                    }
                                }
                            }
                        }
                        y.push(sum as f32);
                    }
                }
            }
        }
        y
    }
}

fn close<const D: usize>(what: &str, ours: &Tensor<D>, expected: &[f32]) {
    let ours: Vec<f32> = ours.to_data().iter::<f32>().collect();
    assert_eq!(ours.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0f32, |a, v| a.max(v.abs()));
    for (i, (a, b)) in ours.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 2e-5 * scale, "{what} {i}: {a} instead of {b}");
    }
}

#[rstest]
// Several samples per task, one sample in bands, a single sample.
#[case(Case { batch: 5, channels: [3, 8], groups: 1, side: [8, 8], kernel: 3, stride: 1, padding: 1 })]
#[case(Case { batch: 2, channels: [3, 4], groups: 1, side: [40, 37], kernel: 3, stride: 1, padding: 1 })]
#[case(Case { batch: 1, channels: [2, 5], groups: 1, side: [9, 7], kernel: 3, stride: 1, padding: 1 })]
// Strides that divide the size and strides that do not, kernels of side 1, 5 and 7, no padding, padding of more than half the
// kernel.
#[case(Case { batch: 3, channels: [4, 6], groups: 1, side: [9, 12], kernel: 3, stride: 2, padding: 1 })]
#[case(Case { batch: 3, channels: [4, 6], groups: 1, side: [33, 30], kernel: 7, stride: 2, padding: 3 })]
#[case(Case { batch: 9, channels: [4, 6], groups: 1, side: [4, 4], kernel: 1, stride: 1, padding: 0 })]
#[case(Case { batch: 3, channels: [4, 6], groups: 1, side: [26, 25], kernel: 1, stride: 1, padding: 0 })]
#[case(Case { batch: 3, channels: [4, 6], groups: 1, side: [8, 8], kernel: 1, stride: 2, padding: 0 })]
#[case(Case { batch: 2, channels: [2, 3], groups: 1, side: [6, 5], kernel: 5, stride: 3, padding: 0 })]
#[case(Case { batch: 2, channels: [2, 3], groups: 1, side: [4, 3], kernel: 3, stride: 1, padding: 3 })]
// A kernel that is wider than the map.
#[case(Case { batch: 2, channels: [2, 3], groups: 1, side: [1, 2], kernel: 3, stride: 1, padding: 1 })]
// Groups, and depthwise convolutions.
#[case(Case { batch: 3, channels: [6, 4], groups: 2, side: [7, 6], kernel: 3, stride: 1, padding: 1 })]
#[case(Case { batch: 3, channels: [5, 5], groups: 5, side: [7, 6], kernel: 3, stride: 1, padding: 1 })]
#[case(Case { batch: 3, channels: [5, 5], groups: 5, side: [9, 10], kernel: 5, stride: 2, padding: 2 })]
#[case(Case { batch: 3, channels: [5, 5], groups: 5, side: [2, 2], kernel: 5, stride: 1, padding: 2 })]
#[case(Case { batch: 2, channels: [3, 6], groups: 3, side: [5, 5], kernel: 3, stride: 2, padding: 1 })]
fn values_and_gradients(#[case] case: Case) {
    let device = Device::flex();
    close("output", &conv2d(&case.conv(&device), case.input(&device)), &case.by_hand());

    // The gradient of a weighted sum of the outputs.
    let device = device.autodiff();
    let [rows, columns] = case.output();
    let shape = [case.batch, case.channels[1], rows, columns];
    let factors = Tensor::<4>::from_data(TensorData::new(case.values("factors", shape), shape), &device);
    let gradients = |forward: &dyn Fn(&Conv2d, Tensor<4>) -> Tensor<4>| {
        let (conv, x) = (case.conv(&device), case.input(&device).require_grad());
        let gradients = (forward(&conv, x.clone()) * factors.clone()).sum().backward();
        [x.grad(&gradients).unwrap(), conv.weight.val().grad(&gradients).unwrap()]
    };
    let ours = gradients(&|conv, x| conv2d(conv, x));
    let burns = gradients(&|conv, x| conv.forward(x));
    for (what, (ours, burns)) in ["input", "weight"].into_iter().zip(ours.iter().zip(&burns)) {
        assert_eq!(ours.dims(), burns.dims());
        close(what, ours, &burns.to_data().iter::<f32>().collect::<Vec<_>>());
    }
}

/// Settings of Burn's `Conv2d` that these kernels do not support are left to Burn.
#[test]
fn the_rest_is_burns() {
    let device = Device::flex();
    let case = Case { batch: 2, channels: [2, 3], groups: 1, side: [6, 5], kernel: 3, stride: 1, padding: 1 };
    let mut conv = case.conv(&device);
    conv.padding = PaddingConfig2d::Explicit(0, 1, 2, 1);
    conv.dilation = [2, 1];
    let x = case.input(&device);
    assert_eq!(conv2d(&conv, x.clone()).to_data(), conv.forward(x).to_data());
}

/// The order of the sums in the gradient of the weights does not depend on threads.
#[test]
fn the_same_bits_again() {
    let device = Device::flex().autodiff();
    let case = Case { batch: 40, channels: [8, 16], groups: 1, side: [16, 16], kernel: 3, stride: 1, padding: 1 };
    let gradient = || {
        let conv = case.conv(&device);
        let gradients = conv2d(&conv, case.input(&device)).square().sum().backward();
        conv.weight.val().grad(&gradients).unwrap().to_data()
    };
    let first = gradient();
    for _ in 0..10 {
        assert_eq!(gradient(), first);
    }
}

fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

/// Normalised maps have mean 0 and variance `v/(v + eps)`; values, gradients and running statistics equal those of Burn.
#[rstest]
#[case([6, 3, 5, 7], FusedActivation::Identity)]
#[case([6, 3, 5, 7], FusedActivation::Relu)]
#[case([6, 3, 5, 7], FusedActivation::Relu6)]
#[case([6, 3, 5, 7], FusedActivation::HardSwish)]
#[case([1, 2, 9, 4], FusedActivation::HardSwish)]
#[case([16, 5, 1, 1], FusedActivation::Identity)]
fn normalisation(#[case] shape: [usize; 4], #[case] then: FusedActivation) {
    let device = Device::flex().autodiff();
    let case = Case { batch: 1, channels: [1, 1], groups: 1, side: [1, 1], kernel: 1, stride: 1, padding: 0 };
    let draw = |name: &str, shape: [usize; 4]| TensorData::new(case.values(name, shape), shape);
    let channels = shape[1];
    let vector = |name: &str| {
        let values = draw(name, [channels, 1, 1, 1]);
        // The values are spread widely enough to reach both sides of every bend of the activations.
        Param::from_tensor((Tensor::<4>::from_data(values, &device).reshape([channels]) * 4.0).detach())
    };
    let factors = Tensor::<4>::from_data(draw("factors", shape), &device);
    let run = |forward: &dyn Fn(&BatchNorm, Tensor<4>) -> Tensor<4>| {
        let norm =
            BatchNorm { gamma: vector("gamma"), beta: vector("beta"), ..BatchNormConfig::new(channels).init(&device) };
        let x = (Tensor::from_data(draw("x", shape), &device) * 3.0 + 2.0).require_grad();
        let y = forward(&norm, x.clone());
        let gradients = (y.clone() * factors.clone()).sum().backward();
        let of = |p: &Param<Tensor<1>>| numbers(&p.val().grad(&gradients).unwrap());
        [
            numbers(&y),
            numbers(&x.grad(&gradients).unwrap()),
            of(&norm.gamma),
            of(&norm.beta),
            numbers(&norm.running_mean.value_sync()),
            numbers(&norm.running_var.value_sync()),
        ]
    };
    let (ours, burns) = (run(&|norm, x| batch_norm(norm, x, then)), run(&|norm, x| then.forward(norm.forward(x))));
    let names = ["output", "input's gradient", "gamma's gradient", "beta's gradient", "mean", "variance"];
    for ((what, ours), burns) in names.into_iter().zip(&ours).zip(&burns) {
        let ours = Tensor::<1>::from_data(TensorData::new(ours.clone(), [ours.len()]), &Device::flex());
        close(what, &ours, burns);
    }

    let plain = BatchNormConfig::new(channels).init(&device);
    let y = batch_norm(&plain, Tensor::from_data(draw("x", shape), &device) * 3.0, FusedActivation::Identity);
    let rows = y.swap_dims(0, 1).reshape([channels, shape[0] * shape[2] * shape[3]]);
    close("mean", &rows.clone().mean_dim(1), &vec![0.0; channels]);
    let deviations: Vec<f32> = numbers(&rows.square().mean_dim(1));
    assert!(deviations.iter().all(|v| (v - 1.0).abs() < 1e-3), "{deviations:?}");
}

#[rstest]
#[case(2, [8, 6])]
#[case(3, [9, 9])]
// Windows that do not cover the maps, which are left to Burn.
#[case(2, [7, 6])]
fn average_pools(#[case] window: usize, #[case] side: [usize; 2]) {
    let device = Device::flex().autodiff();
    let case = Case { batch: 3, channels: [4, 4], groups: 1, side, kernel: 1, stride: 1, padding: 0 };
    let pool = AvgPool2dConfig::new([window; 2]).with_strides([window; 2]).init();
    let run = |forward: &dyn Fn(Tensor<4>) -> Tensor<4>| {
        let x = case.input(&device).require_grad();
        let y = forward(x.clone());
        let gradients = (y.clone() * y.clone()).sum().backward();
        (y, x.grad(&gradients).unwrap())
    };
    let ((y, dx), (expected, gradient)) = (run(&|x| average_pool(&pool, x)), run(&|x| pool.forward(x)));
    assert_eq!(y.dims(), expected.dims());
    close("output", &y, &numbers(&expected));
    close("gradient", &dx, &numbers(&gradient));
    let ((y, dx), (expected, gradient)) = (run(&global_average_pool), run(&|x| adaptive_avg_pool2d(x, [1, 1])));
    close("mean", &y, &numbers(&expected));
    close("gradient of the mean", &dx, &numbers(&gradient));
}

/// Plain, with autodiff, and with checkpointing.
fn kinds_of_autodiff() -> [Device; 3] {
    [Device::flex(), Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()]
}

#[test]
fn a_convolution_refuses_every_wrong_shape() {
    // By columns, directly from the maps, channel by channel, and in groups.
    for (channels, groups, kernel) in [([4, 6], 1, 5), ([4, 6], 1, 3), ([6, 6], 6, 3), ([6, 9], 3, 3)] {
        let case = Case { batch: 2, channels, groups, side: [8, 8], kernel, stride: 1, padding: 0 };
        for device in kinds_of_autodiff() {
            let zeros = |shape| Tensor::<4>::zeros(shape, &device);
            let bias = |length| Some(Param::from_tensor(Tensor::<1>::zeros([length], &device)));
            let right = Conv2d { bias: bias(channels[1]), ..case.conv(&device) };
            assert_eq!(panic_of(|| drop(conv2d(&right, case.input(&device)))), None, "{case:?}");
            for shape in wrong_shapes(case.input_shape(), &[0, 2, 3]) {
                assert_refused(&format!("{case:?} of {shape:?}"), || drop(conv2d(&right, zeros(shape))));
            }
            for side in [[kernel - 1, 8], [8, kernel - 1], [0, 8], [1, 1]] {
                let shape = [2, channels[0], side[0], side[1]];
                assert_refused(&format!("{case:?} of {shape:?}"), || drop(conv2d(&right, zeros(shape))));
            }
            for length in [1, channels[1] - 1, channels[1] + 1] {
                let conv = Conv2d { bias: bias(length), ..case.conv(&device) };
                assert_refused(&format!("{case:?}, bias {length}"), || drop(conv2d(&conv, case.input(&device))));
            }
            let [made, read, ..] = case.weight_shape();
            for shape in [[made, read + 1, kernel, kernel], [made + 1, read, kernel, kernel]] {
                let weight = Param::from_tensor(zeros(shape));
                let conv = Conv2d { weight, bias: bias(made), ..case.conv(&device) };
                assert_refused(&format!("{case:?}, weights {shape:?}"), || drop(conv2d(&conv, case.input(&device))));
            }
        }
    }
}

#[test]
fn a_normalisation_refuses_every_wrong_shape() {
    for device in kinds_of_autodiff() {
        let norm = BatchNormConfig::new(3).init(&device);
        let normalise = |norm: &BatchNorm, shape| {
            drop(batch_norm(norm, Tensor::<4>::ones(shape, &device), FusedActivation::Relu));
        };
        assert_eq!(panic_of(|| normalise(&norm, [2, 3, 4, 4])), None);
        for shape in wrong_shapes([2, 3, 4, 4], &[0, 2, 3]) {
            assert_refused(&format!("{shape:?}"), || normalise(&norm, shape));
        }
        for length in [1, 2, 4] {
            let vector = || Tensor::<1>::ones([length], &device);
            let running = || burn::module::RunningState::new(vector());
            let wrong = [
                BatchNorm { gamma: Param::from_tensor(vector()), ..BatchNormConfig::new(3).init(&device) },
                BatchNorm { beta: Param::from_tensor(vector()), ..BatchNormConfig::new(3).init(&device) },
                BatchNorm { running_mean: running(), ..BatchNormConfig::new(3).init(&device) },
                BatchNorm { running_var: running(), ..BatchNormConfig::new(3).init(&device) },
            ];
            for norm in wrong {
                assert_refused(&format!("{length} channels of {norm:?}"), || normalise(&norm, [2, 3, 4, 4]));
            }
        }
    }
}

/// Maps smaller than a window: the result is that of Burn, whatever it is.
#[test]
fn pools_of_maps_that_are_too_small_are_burns() {
    let pool = AvgPool2dConfig::new([3, 3]).with_strides([3, 3]).init();
    for device in kinds_of_autodiff() {
        for side in [[2, 3], [3, 2], [1, 1]] {
            let x = || Tensor::<4>::ones([2, 3, side[0], side[1]], &device);
            let burns = panic_of(|| drop(pool.forward(x())));
            assert_eq!(panic_of(|| drop(average_pool(&pool, x()))).is_some(), burns.is_some(), "{side:?}: {burns:?}");
        }
    }
}
