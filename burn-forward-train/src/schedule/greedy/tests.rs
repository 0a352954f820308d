use burn::data::dataloader::DataLoaderIterator;
use burn::train::{Interrupter, LearningResult, SupervisedTraining, TrainingStrategy};
use rstest::rstest;

use super::*;
use crate::images::{DataConfig, DataName, ImageData};
use crate::measure::{best_blocks, evaluate};
use crate::metric_files::MetricFiles;
use crate::metrics::{BlockMetric, NonFiniteGuard, StepLog};
use crate::schedule::{Best, SaveEvery};
use crate::schedule::{Phase, best_of_block, next_phase};
use crate::training::{ProgressRenderer, Verbosity};
use burn_forward::data::{DataSplit, LoadedData};
use burn_forward::network::{MlpConfig, Network, Partition};
use burn_forward::optim::{BlockwiseOptimizer, OptimizerConfig, OptimizerName};
use burn_forward::rules::{MonoForwardConfig, RuleSpec};

#[test]
fn phases_follow_from_the_history() {
    let at = |h: &[(usize, Option<f64>)]| next_phase(h, 2, 3, Some(2)).map(|p| (p.block, p.epochs));
    assert_eq!(at(&[]), Some((0, 0)));
    assert_eq!(at(&[(0, Some(0.5))]), Some((0, 1)));
    assert_eq!(at(&[(0, Some(0.5)), (0, Some(0.4))]), Some((0, 2)));
    // Two epochs without a better accuracy finish the block, as the maximum number of epochs does.
    assert_eq!(at(&[(0, Some(0.5)), (0, Some(0.4)), (0, Some(0.5))]), Some((1, 0)));
    assert_eq!(at(&[(0, Some(0.5)), (1, Some(0.1)), (1, Some(0.2)), (1, Some(0.3))]), None);
}

#[test]
fn the_first_of_equals_is_the_best() {
    let history =
        [(0, Some(0.4)), (0, Some(0.5)), (0, Some(0.5)), (1, Some(0.3)), (1, Some(0.1)), (2, None), (2, None)];
    let best = [0, 1, 3].map(|block| best_of_block(&history, block));
    assert_eq!(best, [Some(2), Some(4), None]);
    // Without accuracies to choose by, the last epoch is the best, not the first.
    assert_eq!(best_of_block(&history, 2), Some(7));
}

/// Without accuracies no epoch is known to be the best, so patience never runs out.
#[test]
fn without_accuracies_patience_has_no_end() {
    let mut history = vec![(0, Some(0.9)), (0, Some(0.8))];
    for epochs in 1..5 {
        history.push((1, None));
        assert_eq!(next_phase(&history, 2, 9, Some(1)), Some(Phase { block: 1, epochs }));
        assert_eq!(next_phase(&history, 2, epochs, Some(1)), None);
    }
}

/// A loader whose batch `at` cannot be read.
struct Faulty {
    inner: Arc<dyn DataLoader<Batch>>,
    at: Option<usize>,
}

struct FaultyPass<'a> {
    inner: Box<dyn DataLoaderIterator<Batch> + 'a>,
    at: Option<usize>,
    next: usize,
}

impl Iterator for FaultyPass<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.inner.next()?;
        self.next += 1;
        if Some(self.next - 1) == self.at {
            return Some(Err(DatasetError::new(std::io::Error::other("unreadable"))));
        }
        Some(batch)
    }
}

impl DataLoaderIterator<Batch> for FaultyPass<'_> {
    fn progress(&self) -> Progress {
        self.inner.progress()
    }
}

impl DataLoader<Batch> for Faulty {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        Box::new(FaultyPass { inner: self.inner.iter(), at: self.at, next: 0 })
    }

    fn num_items(&self) -> usize {
        self.inner.num_items()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(Self { inner: self.inner.to_device(device), at: self.at })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(Self { inner: self.inner.slice(start, end), at: self.at })
    }
}

fn digits() -> ImageData {
    let config = DataConfig { samples_per_class: Some(4), ..DataConfig::new(DataName::Digits) };
    ImageData::load(&config, &Default::default(), Seed::new(1)).unwrap()
}

fn model(data: &ImageData, device: &Device) -> LocalModel {
    let mlp = MlpConfig { dropout: 0.2, ..MlpConfig::new([6, 5]) };
    let layers = mlp.layers(LoadedData::input(data), Seed::new(1), device).unwrap();
    let network = Network::new(layers, Partition::LAYER).unwrap();
    let rule = MonoForwardConfig::default().build(&network, 10, Seed::new(1)).unwrap();
    LocalModel::new(network, rule, Seed::new(1))
}

/// Which of a run's loaders has a batch that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Nowhere,
    Training,
    Ordered,
    Validation,
}

/// Trains greedily for two epochs per block and records them in `history`.
fn trained(fault: Fault, cache: bool, history: SharedHistory) -> LearningResult<LocalModel> {
    let folder = tempfile::tempdir().unwrap();
    let data = digits();
    let plain = burn_forward::device::parse("flex").unwrap();
    let device = plain.clone().autodiff();
    // Not the first batch, so that ignoring the error would go unnoticed.
    let faulty = |inner: Arc<dyn DataLoader<Batch>>, place| -> Arc<dyn DataLoader<Batch>> {
        Arc::new(Faulty { inner, at: (fault == place).then_some(1) })
    };
    let train = faulty(LoadedData::train_loader(&data, 16.into(), 1, 0, &device).unwrap(), Fault::Training);
    let eval = |split| LoadedData::eval_loader(&data, split, 16, &plain).unwrap();
    let valid = faulty(eval(DataSplit::Validation), Fault::Validation);
    let optimizer = OptimizerConfig::new(OptimizerName::Sgd, 0.1);
    let scheduler = optimizer.scheduler(&[], 6).unwrap();
    let model = model(&data, &device);
    let run = RunFolder::create(folder.path().join("run")).unwrap();
    run.write("metrics.jsonl", b"").unwrap();
    let saving = Saving {
        metric_files: MetricFiles::new(run.clone(), Vec::new(), 0.0),
        folder: run,
        best: Best::None,
        every: SaveEvery::default(),
        steps: StepLog::default(),
        guard: NonFiniteGuard::new(Interrupter::new()),
    };
    let strategy = GreedyStrategy {
        device: device.clone(),
        epochs_per_block: 2,
        patience: None,
        cache,
        batching: 16.into(),
        seed: Seed::new(1),
        ordered: faulty(eval(DataSplit::Train), Fault::Ordered),
        fresh_schedule: scheduler.to_record(),
        history,
        best: None,
        start: TrainingState::new(BlockwiseOptimizer::new(&optimizer, &[]).unwrap(), scheduler.clone()),
        saving,
    };
    let mut training = SupervisedTraining::new(folder.path(), train, valid)
        .with_application_logger(None)
        .renderer(Box::new(ProgressRenderer::new(Verbosity::Quiet)))
        .num_epochs(4);
    for block in 0..2 {
        training = training.metric_valid_numeric(BlockMetric::new(Some(block), Quantity::Accuracy));
    }
    training.with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy))).launch(Learner::new(
        model,
        optimizer.optimizer(&[]).unwrap(),
        scheduler,
    ))
}

#[rstest]
#[case(Fault::Nowhere, true, false)]
#[case(Fault::Nowhere, false, false)]
#[case(Fault::Training, false, true)]
// With a cache the shuffled loader is never asked for batches, and without one the ordered loader is not.
#[case(Fault::Training, true, false)]
#[case(Fault::Ordered, true, true)]
#[case(Fault::Ordered, false, false)]
#[case(Fault::Validation, true, true)]
#[case(Fault::Validation, false, true)]
fn a_batch_that_cannot_be_read_ends_the_run(#[case] fault: Fault, #[case] cache: bool, #[case] ends: bool) {
    let history = SharedHistory::default();
    let result = trained(fault, cache, history.clone());
    let error = result.error.map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(error.contains("unreadable"), ends, "{error:?}");
    // A measurement on part of the validation set must not decide anything.
    assert_eq!(history.get().len(), if ends { 0 } else { 4 });
}

#[test]
fn a_batch_that_cannot_be_read_ends_every_measurement() {
    let data = digits();
    let plain = burn_forward::device::parse("flex").unwrap();
    let model = model(&data, &plain.clone().autodiff()).valid();
    let inner = LoadedData::eval_loader(&data, DataSplit::Test, 16, &plain).unwrap();
    let faulty = Faulty { inner, at: Some(1) };
    let errors = [
        evaluate(&model, &faulty, "test").map(|_| ()).unwrap_err(),
        best_blocks(&model, &faulty).map(|_| ()).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("unreadable"), "{error}");
    }
}
