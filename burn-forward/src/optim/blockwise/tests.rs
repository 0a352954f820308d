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
    let mlp = MlpConfig::new([4, 3]);
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
        let drawn = Tensor::<D>::random(param.lazy_shape(), Distribution::Normal(0.0, 1.0), &Device::flex());
        self.0.register(param.id, drawn * self.1);
    }
}

fn gradients(model: &LocalModel, step: u64, scale: f64) -> GradientsParams {
    Device::flex().seed(step);
    let mut draw = Draw(GradientsParams::new(), scale);
    model.visit(&mut draw);
    draw.0
}

/// A run whose optimiser is saved and loaded block by block at every step takes the same steps as Burn's own optimiser.
#[test]
fn a_state_that_was_taken_apart_and_put_together_is_the_same() {
    let plain = OptimizerName::ALL.map(|name| OptimizerConfig::new(name, 0.01));
    let decayed = OptimizerConfig { weight_decay: 0.1, decay_bias: Some(false), ..plain[2].clone() };
    let clipped =
        OptimizerConfig { clip: Some(ClipConfig { norm: Some(0.5), ..ClipConfig::default() }), ..plain[0].clone() };
    for mut config in plain.into_iter().chain([decayed, clipped]) {
        config.block_lr = Some(vec![0.02, 0.005]);
        // Parameters of the rule as a whole have their own optimiser.
        let groups =
            [ParameterGroup { path: "rule.output".into(), optimizer: OptimizerConfig::new(OptimizerName::Adam, 0.03) }];
        let (mut one, mut many) = (model(), model());
        let mut optimizer = config.optimizer(&groups).unwrap();
        let mut blockwise = BlockwiseOptimizer::new(&config, &groups).unwrap();
        let mut rates = config.scheduler(&groups, 3).unwrap();
        let before = weights(&one);
        assert_eq!(before, weights(&many));
        for step in 0..3 {
            let lr = rates.step();
            // Parameters of two models have different ids, so gradients are drawn for each model.
            let drawn = gradients(&one, step, 1.0);
            one = optimizer.step(lr.clone(), one, drawn);
            let drawn = gradients(&many, step, 1.0);
            many = blockwise.step(lr, many, drawn);
            let records = blockwise.to_records().unwrap();
            blockwise = BlockwiseOptimizer::new(&config, &groups).unwrap().load_records(records.into_values()).unwrap();
        }
        assert!(weights(&one) == weights(&many) && weights(&one) != before, "{config:?}");
    }
}

/// Burn's own record of all blocks, as saved by earlier versions, can be loaded, too.
#[test]
fn a_record_of_all_blocks_is_loaded() {
    let config = OptimizerConfig::new(OptimizerName::Adam, 0.01);
    let start = model();
    let mut optimizer = config.optimizer(&[]).unwrap();
    let drawn = gradients(&start, 0, 1.0);
    let stepped = optimizer.step(0.01, start, drawn);
    let load = |record| BlockwiseOptimizer::new(&config, &[]).unwrap().load_records([record]).unwrap();
    let mut blockwise = load(optimizer.to_record());
    // The record that we write is one of all blocks, too.
    let mut again = load(blockwise.to_record());
    let drawn = || gradients(&stepped, 1, 1.0);
    let theirs = weights(&optimizer.step(0.01, stepped.clone(), drawn()));
    for ours in [&mut blockwise, &mut again] {
        assert!(weights(&ours.step(0.01, stepped.clone(), drawn())) == theirs);
    }
    let owners: Vec<String> = blockwise.to_records().unwrap().keys().map(ToString::to_string).collect();
    assert_eq!(owners, ["block-0", "block-1", "rule"]);
    for owner in owners {
        assert_eq!(owner.parse::<OptimizerOwner>().unwrap().to_string(), owner);
    }
    assert!("block-x".parse::<OptimizerOwner>().is_err());
}

/// A block whose state is lost starts from the beginning, and the others continue.
#[test]
fn a_state_is_that_of_its_block() {
    let config = OptimizerConfig::new(OptimizerName::Adam, 0.01);
    let start = model();
    let mut optimizer = BlockwiseOptimizer::new(&config, &[]).unwrap();
    let drawn = gradients(&start, 0, 1.0);
    let stepped = optimizer.step(0.01, start, drawn);
    let after = |records: BTreeMap<OptimizerOwner, OptimizerRecord>| {
        let mut optimizer = BlockwiseOptimizer::new(&config, &[]).unwrap().load_records(records.into_values()).unwrap();
        let drawn = gradients(&stepped, 1, 1.0);
        weights(&optimizer.step(0.01, stepped.clone(), drawn))
    };
    let whole = after(optimizer.to_records().unwrap());
    let mut records = optimizer.to_records().unwrap();
    records.remove(&OptimizerOwner::Block(1)).unwrap();
    let without = after(records);
    let mut paths = Vec::new();
    crate::parameters::each_parameter(&stepped, |path, _| paths.push(path.join(".")));
    let changed: Vec<_> = paths.iter().zip(whole.iter().zip(&without)).filter(|(_, (a, b))| a != b).collect();
    assert!(!changed.is_empty());
    assert!(changed.iter().all(|(path, _)| Owner::of(path) == Some(Owner::Block(1))), "{changed:?}");
}

#[test]
fn a_group_has_no_global_norm() {
    let config = OptimizerConfig::new(OptimizerName::Sgd, 0.1);
    let clip = Some(ClipConfig { global_norm: Some(1.0), ..ClipConfig::default() });
    let group = ParameterGroup { path: "rule.output".into(), optimizer: OptimizerConfig { clip, ..config.clone() } };
    let error = BlockwiseOptimizer::new(&config, &[group]).unwrap_err().to_string();
    assert!(error.contains("global norm of the group at rule.output is given"), "{error}");
}

/// By definition: all gradients times `largest / norm`, or unchanged if the norm is not larger.
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
    for scale in [1e-30, 1e-3, 1.0, 1e3, 1e25] {
        let given = entries(&gradients(&model, 3, scale));
        let norm = given.iter().map(|g| g * g).sum::<f64>().sqrt();
        let clipped = entries(&clip_global_norm(&model, gradients(&model, 3, scale), 0.5));
        let factor = if norm > 0.5 { 0.5 / norm } else { 1.0 };
        assert_eq!(given.len(), clipped.len());
        for (given, clipped) in given.iter().zip(&clipped) {
            assert!((clipped - given * factor).abs() <= 1e-5 * (given * factor).abs(), "{scale}: {clipped} {given}");
        }
    }
    // Values that are not finite must show.
    for wrong in [f32::NAN, f32::INFINITY] {
        let clipped = entries(&clip_global_norm(&model, gradients(&model, 3, f64::from(wrong)), 0.5));
        assert!(clipped.iter().all(|g| g.is_nan()), "{wrong}");
    }
    // In a step: SGD without momentum moves by the clipped gradient.
    let mut config = OptimizerConfig::new(OptimizerName::Sgd, 1.0);
    config.momentum = Some(0.0);
    config.clip = Some(ClipConfig { global_norm: Some(0.25), ..ClipConfig::default() });
    let before = weights(&model);
    let drawn = gradients(&model, 4, 1.0);
    let after = weights(&BlockwiseOptimizer::new(&config, &[]).unwrap().step(1.0, model.clone(), drawn));
    let moved = before.iter().zip(&after).flat_map(|(a, b)| a.iter::<f64>().zip(b.iter::<f64>()).collect::<Vec<_>>());
    let length = moved.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!((length - 0.25).abs() < 1e-5, "{length}");
}
