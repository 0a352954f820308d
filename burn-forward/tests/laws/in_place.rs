//! An optimiser step changes weights where they lie: nothing in a model, a rule or a step holds them a second time.

use std::collections::BTreeMap;

use burn::backend::Flex;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor};
use burn_forward::optim::{BlockwiseOptimizer, OptimizerConfig, OptimizerName};
use burn_forward::parameters::take;

use super::toy::{cases, seed};

/// Where weights that require a gradient lie. Others stay in the place that a model is taken from.
fn places(model: &impl Module) -> BTreeMap<ParamId, usize> {
    struct Places(BTreeMap<ParamId, usize>);

    impl ModuleVisitor for Places {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !param.is_require_grad() {
                return;
            }
            let values = param.val().inner().try_into_primitive::<Flex>().unwrap();
            self.0.insert(param.id, values.storage::<f32>().as_ptr() as usize);
        }
    }

    let mut places = Places(BTreeMap::new());
    model.visit(&mut places);
    places.0
}

#[test]
fn every_rule_has_its_weights_changed_in_place() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for case in cases().into_iter().filter(|case| *case.device() == Device::flex()) {
        for name in [OptimizerName::Sgd, OptimizerName::Adam, OptimizerName::AdamW] {
            let groups = case.spec().unwrap().parameter_groups();
            let mut optimizer = BlockwiseOptimizer::new(&OptimizerConfig::new(name, 1e-3), &groups).unwrap();
            let mut model = case.model(seed()).unwrap();
            for index in 0..3 {
                // As a schedule does: the model stays in its place, without weights.
                let mut owner = model;
                (model, _) = take(&mut owner).learn_with(&case.batch(index), |model, gradients| {
                    let before = places(&model);
                    let model = optimizer.step(1e-3, model, gradients);
                    let after = places(&model);
                    let moved = after.iter().filter(|(id, place)| before[*id] != **place).count();
                    // The numbers of new weights may lie by columns; a step brings them into rows.
                    if index > 0 && moved > 0 {
                        wrong.push(format!("{case}, {name:?}: {moved} of {}", before.len()));
                    }
                    tried += before.len();
                    model
                });
            }
        }
    }
    assert!(wrong.is_empty(), "moved: {wrong:#?}");
    assert!(tried > 1000, "{tried}");
}
