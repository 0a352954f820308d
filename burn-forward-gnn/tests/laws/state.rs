//! A model consists of its parameters and the seed only; it does not depend on the labels of the test set.

use burn::module::Module;
use burn::store::ModuleRecord;
use burn_forward::data::DataSplit;
use burn_forward::model::LocalModel;
use burn_forward::random::Seed;
use burn_forward_gnn::data::GraphData;

use super::learning::trained;
use super::toy::{CLASSES, batch, cases, node_data, seed, split};
use burn_forward_testing::values::{edit, numbers, parameters};

#[test]
fn a_record_holds_all_that_a_model_knows() {
    let data = node_data(None);
    let batch = batch(&data, DataSplit::Test);
    for case in cases() {
        let model = trained(&case, &data, seed(), 2, CLASSES);
        let bytes = model.clone().into_record().into_bytes().unwrap();
        // The seed is that of the run; it determines virtual nodes and negatives.
        let fresh = edit(case.model(seed(), CLASSES), |_, v| v.iter_mut().for_each(|v| *v += 1.0));
        let loaded = fresh.load_record(ModuleRecord::from_bytes(bytes).unwrap());
        assert_eq!(parameters(&model).unwrap(), parameters(&loaded).unwrap(), "{case}");
        let scores = |m: &LocalModel| numbers(m.scores(batch.inputs.clone()).primary());
        assert_eq!(scores(&model), scores(&loaded), "{case}");
    }
}

#[test]
fn the_seed_decides_everything() {
    let data = node_data(None);
    for case in cases() {
        let a = parameters(&trained(&case, &data, seed(), 3, CLASSES)).unwrap();
        assert_eq!(a, parameters(&trained(&case, &data, seed(), 3, CLASSES)).unwrap(), "{case}");
        assert_ne!(a, parameters(&trained(&case, &data, Seed::new(8), 3, CLASSES)).unwrap(), "{case}");
    }
}

#[test]
fn labels_of_test_nodes_change_nothing_in_training() {
    let node = split().test[3];
    let (data, other) = (node_data(None), node_data(Some(node)));
    for case in cases() {
        let model = |data: &GraphData| parameters(&trained(&case, data, seed(), 3, CLASSES)).unwrap();
        assert_eq!(model(&data), model(&other), "{case}");
        // They do not change the prediction for any node either.
        let scores = |data: &GraphData| {
            let inputs = batch(data, DataSplit::Test).inputs;
            numbers(trained(&case, data, seed(), 2, CLASSES).scores(inputs).primary())
        };
        assert_eq!(scores(&data), scores(&other), "{case}");
    }
}
