use burn::tensor::{Device, Distribution, TensorData};

use super::*;
use crate::activation::RowShape;
use crate::network::{MlpConfig, Network, Partition};
use crate::optim::{ClipConfig, OptimizerName};
use crate::random::Seed;
use crate::rules::{DfaConfig, RuleSpec};

/// Two blocks and an output layer.
fn model() -> LocalModel {
    let device = Device::flex().autodiff();
    let mlp = MlpConfig {
        widths: vec![4, 3],
        activation: Default::default(),
        dropout: 0.0,
        normalisation: Default::default(),
        init: Default::default(),
    };
    let layers = mlp.layers(RowShape::Features(5), Seed::new(1), &device).unwrap();
    let network = Network::new(layers, Partition::LAYER).unwrap();
    let rule = DfaConfig::default().build(&network, 2, Seed::new(1)).unwrap();
    LocalModel::new(network, rule, Seed::new(1))
}

/// Calls `f` with every parameter that has an optimiser.
struct Each<F>(F);

impl<F: FnMut(ParamId, TensorData)> ModuleVisitor for Each<F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        (self.0)(param.id, param.val().into_data());
    }
}

fn weights(model: &LocalModel) -> Vec<TensorData> {
    let mut all = Vec::new();
    model.visit(&mut Each(|_, data| all.push(data)));
    all
}

/// A random gradient for every parameter that learns, times `scale`.
struct Draw(GradientsParams, f64);

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let distribution = Distribution::Normal(0.0, self.1);
        self.0.register(param.id, Tensor::<D>::random(param.lazy_shape(), distribution, &Device::flex()));
    }
}

fn gradients(model: &LocalModel, step: u64, scale: f64) -> GradientsParams {
    Device::flex().seed(step);
    let mut draw = Draw(GradientsParams::new(), scale);
    model.visit(&mut draw);
    draw.0
}

/// The same steps with the state of one optimiser for all parameters and with one for every block.
#[test]
fn a_step_is_that_of_one_optimiser() {
    for name in OptimizerName::ALL {
        let mut config = OptimizerConfig::new(name, 0.01);
        config.block_lr = Some(vec![0.02, 0.005]);
        let (mut one, mut many) = (model(), model());
        // Parameters of two models differ in their identity, so gradients are drawn for each.
        let mut optimizer = config.optimizer(&[]).unwrap();
        let mut optimizers = BlockOptimizers::new(&config, &[], &many).unwrap();
        let owners = [OptimizerOwner::Block(0), OptimizerOwner::Block(1), OptimizerOwner::Rule];
        assert_eq!(optimizers.owners().collect::<Vec<_>>(), owners);
        let mut rates = config.scheduler(&[], 3).unwrap();
        let before = weights(&one);
        assert_eq!(before, weights(&many));
        for step in 0..3 {
            let lr = rates.step();
            let drawn = gradients(&one, step, 1.0);
            one = optimizer.step(lr.clone(), one, drawn);
            let drawn = gradients(&many, step, 1.0);
            many = optimizers.step(lr, many, drawn);
            // From its state on, as a resumed run.
            let records = optimizers.to_records();
            optimizers = BlockOptimizers::new(&config, &[], &many).unwrap().load_records(records);
        }
        assert!(weights(&one) == weights(&many) && weights(&one) != before, "{name:?}");
    }
}

/// A block whose state is lost starts anew, and the others go on.
#[test]
fn a_state_is_that_of_its_block() {
    let config = OptimizerConfig::new(OptimizerName::Adam, 0.01);
    let start = model();
    let mut optimizers = BlockOptimizers::new(&config, &[], &start).unwrap();
    let drawn = gradients(&start, 0, 1.0);
    let stepped = optimizers.step(0.01, start, drawn);
    let after = |records| {
        let mut optimizers = BlockOptimizers::new(&config, &[], &stepped).unwrap().load_records(records);
        let drawn = gradients(&stepped, 1, 1.0);
        weights(&optimizers.step(0.01, stepped.clone(), drawn))
    };
    let whole = after(optimizers.to_records());
    let mut records = optimizers.to_records();
    records.remove(&OptimizerOwner::Block(1)).unwrap();
    let without = after(records);
    let mut paths = Vec::new();
    crate::parameters::each_parameter(&stepped, |path, _| paths.push(path.join(".")));
    let changed: Vec<_> = paths.iter().zip(whole.iter().zip(&without)).filter(|(_, (a, b))| a != b).collect();
    assert!(!changed.is_empty());
    assert!(changed.iter().all(|(path, _)| Owner::of(path) == Some(Owner::Block(1))), "{changed:?}");
}

/// By the definition: all gradients times `largest / norm`, and as they are where the norm is no larger.
#[test]
fn a_global_norm_scales_all_gradients_alike() {
    let model = model();
    let entries = |gradients: &GradientsParams| {
        let mut all: Vec<f64> = Vec::new();
        struct Read<'a>(&'a GradientsParams, &'a mut Vec<f64>);
        impl ModuleVisitor for Read<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.extend(
                    self.0.get::<D>(param.id).into_iter().flat_map(|g| g.into_data().iter::<f64>().collect::<Vec<_>>()),
                );
            }
        }
        model.visit(&mut Read(gradients, &mut all));
        all
    };
    for scale in [1e-3, 1.0, 1e3] {
        let given = entries(&gradients(&model, 3, scale));
        let norm = given.iter().map(|g| g * g).sum::<f64>().sqrt();
        let clipped = entries(&clip_global_norm(&model, gradients(&model, 3, scale), 0.5));
        let factor = if norm > 0.5 { 0.5 / norm } else { 1.0 };
        assert_eq!(given.len(), clipped.len());
        for (given, clipped) in given.iter().zip(&clipped) {
            assert!((clipped - given * factor).abs() <= 1e-6 * (given * factor).abs(), "{scale}: {clipped} {given}");
        }
    }
    // In a step: SGD without momentum moves by the clipped gradient.
    let mut config = OptimizerConfig::new(OptimizerName::Sgd, 1.0);
    config.momentum = Some(0.0);
    config.clip = Some(ClipConfig { global_norm: Some(0.25), ..ClipConfig::default() });
    let before = weights(&model);
    let drawn = gradients(&model, 4, 1.0);
    let after = weights(&BlockOptimizers::new(&config, &[], &model).unwrap().step(1.0, model.clone(), drawn));
    let moved = before.iter().zip(&after).flat_map(|(a, b)| a.iter::<f64>().zip(b.iter::<f64>()).collect::<Vec<_>>());
    let length = moved.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!((length - 0.25).abs() < 1e-5, "{length}");
}
