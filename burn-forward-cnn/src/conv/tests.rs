//! Units with every wrong shape, and every activation after a normalisation compared with Burn's modules.

use burn::module::Param;
use burn::nn::BatchNormConfig;
use burn::tensor::{Device, Distribution};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::random::Seed;
use burn_forward_kernels::testing::{assert_refused, panic_of, wrong_shapes};

use super::*;

/// Plain, with autodiff, and with checkpointing.
fn kinds_of_autodiff() -> [Device; 3] {
    [Device::flex(), Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()]
}

#[test]
fn units_refuse_every_wrong_shape() {
    for device in kinds_of_autodiff() {
        let mut init = ModuleInit::new(Seed::new(0), "test", &device);
        let spec = UnitSpec::new(ConvShape::same(3, 5, 3, 1), Nonlinearity::RELU, UnitNames::default());
        let unit = ConvUnit::new(UnitSpec { squeeze: Some(2), ..spec }, [3, 8, 8], &mut init).unwrap();
        let forward = |x: [usize; 4], bias: [usize; 2]| {
            drop(unit.forward(Tensor::ones(x, &device), Some(Tensor::ones(bias, &device))));
        };
        assert_eq!(panic_of(|| forward([2, 3, 8, 8], [2, 5])), None);
        for shape in wrong_shapes([2, 3, 8, 8], &[2, 3]) {
            assert_refused(&format!("input {shape:?}"), || forward(shape, [2, 5]));
        }
        for shape in wrong_shapes([2, 5], &[]) {
            assert_refused(&format!("bias {shape:?}"), || forward([2, 3, 8, 8], shape));
        }
        let gate = SqueezeExcite::new(6, 2, &mut init).unwrap();
        for shape in wrong_shapes([2, 6, 8, 8], &[0, 2, 3]) {
            assert_refused(&format!("gate {shape:?}"), || drop(gate.forward(Tensor::ones(shape, &device))));
        }
    }
}

#[test]
fn every_activation_behind_a_normalisation_is_that_of_burns_modules() {
    let of = [ActivationFn::Relu, ActivationFn::LeakyRelu, ActivationFn::Gelu, ActivationFn::Tanh, ActivationFn::None];
    let all = [Nonlinearity::Identity, Nonlinearity::Relu6, Nonlinearity::HardSwish];
    let device = Device::flex().autodiff();
    for then in all.into_iter().chain(of.map(Nonlinearity::Of)) {
        let random = |shape| Tensor::<4>::random(shape, Distribution::Normal(1.0, 3.0), &device);
        let (x, factors) = (random([6, 3, 5, 7]).require_grad(), random([6, 3, 5, 7]));
        // The values are spread widely enough to reach both sides of every bend of the activations.
        let gamma = Param::from_tensor(Tensor::<1>::from_data([4.0, -3.0, 0.5], &device));
        let numbers = |t: Tensor<4>| t.into_data().iter::<f32>().collect::<Vec<_>>();
        let run = |forward: &dyn Fn(&BatchNorm) -> Tensor<4>| {
            let norm = BatchNorm { gamma: gamma.clone(), ..BatchNormConfig::new(3).init(&device) };
            let y = forward(&norm);
            let gradients = (y.clone() * factors.clone()).sum().backward();
            [numbers(y.inner()), numbers(x.grad(&gradients).unwrap())]
        };
        let ours = run(&|norm| then.of_normalised(norm, x.clone()));
        let burns = run(&|norm| then.forward(norm.forward(x.clone())));
        for (ours, burns) in ours.iter().zip(&burns) {
            let scale = burns.iter().fold(1.0f32, |a, v| a.max(v.abs()));
            assert!(ours.iter().zip(burns).all(|(a, b)| (a - b).abs() <= 2e-5 * scale), "{then:?}");
        }
    }
}
