use std::collections::BTreeSet;

use burn::data::dataloader::DataLoader;
use burn::tensor::Device;
use burn_forward::activation::RowShape;
use burn_forward::data::{Batch, Batching, DataFolders, DataSplit, LastBatch, LoadedData, Rows};
use burn_forward::random::Seed;

use super::QuickLook;

/// Rows 0 to 19; 14 of them, in their own order, are the training set.
fn rows() -> Box<dyn LoadedData> {
    let values = (0..20).map(|i| i as f32).collect();
    let rows = Rows::new(RowShape::Features(1), values, (0..20).map(|i| i % 2).collect(), 2).unwrap();
    Box::new(rows.split([0.2, 0.1], Seed::new(3)).unwrap())
}

/// The embedded digits.
fn digits() -> Box<dyn LoadedData> {
    let registry = crate::registry();
    let entry = registry.data.iter().find(|entry| entry.name == "digits").unwrap();
    let (spec, _) = (entry.parse)(&serde_json::json!({"name": "digits"})).unwrap();
    spec.load(&DataFolders::default(), Seed::new(1)).unwrap()
}

fn overfit(n: usize) -> QuickLook {
    QuickLook { overfit: Some(n), limit_batches: None }
}

fn limit(n: usize) -> QuickLook {
    QuickLook { overfit: None, limit_batches: Some(n) }
}

/// The inputs of the batches of a pass, as one list of numbers per batch.
fn pass(loader: &dyn DataLoader<Batch>) -> Vec<Vec<f32>> {
    let numbers = |batch: Batch| batch.features().into_data().iter::<f32>().collect();
    loader.iter().map(|batch| numbers(batch.unwrap())).collect()
}

fn train(data: &dyn LoadedData, batching: Batching, epoch: u64) -> Vec<Vec<f32>> {
    pass(data.train_loader(batching, epoch, 0, &Device::default()).unwrap().as_ref())
}

fn eval(data: &dyn LoadedData, split: DataSplit, size: usize) -> Vec<Vec<f32>> {
    pass(data.eval_loader(split, size, &Device::default()).unwrap().as_ref())
}

#[test]
fn overfitting_learns_and_tests_the_first_training_samples_alone() {
    for (whole, width) in [(rows(), 1), (digits(), 64)] {
        let first = eval(whole.as_ref(), DataSplit::Train, 5)[0].clone();
        let whole_print = whole.fingerprint();
        let data = overfit(5).excerpt(whole, 2.into(), &Device::default()).unwrap();
        for split in [DataSplit::Train, DataSplit::Validation, DataSplit::Test] {
            assert_eq!(data.samples(split), 5);
            assert_eq!(eval(data.as_ref(), split, 100), std::slice::from_ref(&first), "{split:?}");
        }
        let of = |numbers: &[f32]| -> BTreeSet<Vec<u32>> {
            numbers.chunks(width).map(|row| row.iter().map(|x| x.to_bits()).collect()).collect()
        };
        for epoch in 1..4 {
            let batches = train(data.as_ref(), 2.into(), epoch);
            assert_eq!(batches.iter().map(|batch| batch.len() / width).collect::<Vec<_>>(), [2, 2, 1]);
            assert_eq!(of(&batches.concat()), of(&first));
        }
        assert_eq!((data.steps_per_epoch(2.into()), data.smallest_step(2.into())), (3, 1));
        assert_ne!(data.fingerprint(), whole_print);
    }
}

#[test]
fn a_limit_takes_the_first_batches_of_every_pass() {
    for whole in [rows(), digits()] {
        let batching = Batching::from(3);
        let all = [1, 2].map(|epoch| train(whole.as_ref(), batching, epoch));
        let tested = eval(whole.as_ref(), DataSplit::Test, 1);
        let learned = eval(whole.as_ref(), DataSplit::Train, 4);
        let data = limit(2).excerpt(whole, batching, &Device::default()).unwrap();
        for (epoch, all) in [1, 2].into_iter().zip(&all) {
            assert_eq!(train(data.as_ref(), batching, epoch), all[..2]);
        }
        assert_eq!(eval(data.as_ref(), DataSplit::Test, 1), tested[..2]);
        // A greedy schedule caches outputs for the whole training set.
        assert_eq!(eval(data.as_ref(), DataSplit::Train, 4), learned);
        assert_eq!((data.steps_per_epoch(batching), data.smallest_step(batching)), (2, 3));
    }
}

/// What alternates from step to step also alternates across epochs.
#[test]
fn steps_are_counted_over_the_run() {
    let data = limit(3).excerpt(rows(), 2.into(), &Device::default()).unwrap();
    let loader = data.train_loader(2.into(), 1, 0, &Device::default()).unwrap();
    let mut steps = Vec::new();
    for _ in 0..2 {
        steps.extend(loader.iter().map(|batch| batch.unwrap().key).map(|key| (key.epoch, key.index, key.step)));
    }
    assert_eq!(steps, [(1, 0, 0), (1, 1, 1), (1, 2, 2), (2, 0, 3), (2, 1, 4), (2, 2, 5)]);
    let mut pass = loader.iter();
    assert_eq!(pass.progress().items_total, 6);
    pass.next();
    assert_eq!((pass.progress().items_processed, loader.num_items()), (2, 6));
}

#[test]
fn more_than_there_is_is_all_there_is() {
    let dropping = Batching { size: 4, last: LastBatch::Drop };
    let all = train(rows().as_ref(), dropping, 1);
    assert_eq!(all.len(), 3);
    // 12 of the 14 fill batches, so the 13th is only learned if all take their turn.
    for n in [12, 13, 14, 100] {
        let data = overfit(n).excerpt(rows(), dropping, &Device::default()).unwrap();
        assert_eq!((data.samples(DataSplit::Train), train(data.as_ref(), dropping, 1)), (14, all.clone()), "{n}");
    }
    let data = limit(100).excerpt(rows(), dropping, &Device::default()).unwrap();
    assert_eq!((train(data.as_ref(), dropping, 1), data.steps_per_epoch(dropping)), (all, 3));
    let both = QuickLook { overfit: Some(8), limit_batches: Some(1) };
    let data = both.excerpt(rows(), dropping, &Device::default()).unwrap();
    assert_eq!(train(data.as_ref(), dropping, 1).iter().map(Vec::len).collect::<Vec<_>>(), [4]);
}

#[test]
fn no_samples_and_no_batches_are_refused() {
    for (look, what) in [(overfit(0), "samples to overfit is 0"), (limit(0), "limit of batches is 0")] {
        let said = look.excerpt(rows(), 2.into(), &Device::default()).map(drop).unwrap_err().to_string();
        assert!(said.contains(what) && said.contains("at least 1"), "{said}");
    }
}

#[test]
fn a_look_is_said_in_words() {
    let both = QuickLook { overfit: Some(2), limit_batches: Some(3) };
    let words = "trained, validated and tested on the first 2 training samples, at most 3 batches of every epoch and of every evaluation";
    assert_eq!(both.to_string(), words);
    assert_eq!(limit(1).to_string(), "1 batch of every epoch and of every evaluation");
    assert_eq!(serde_json::to_value(limit(1)).unwrap(), serde_json::json!({"limit_batches": 1}));
    assert_eq!((both.some(), QuickLook::default().some()), (Some(both), None));
}
