//! The greedy schedule on burn-train: one block to the end, then the next, with the outputs of finished blocks cached.

use std::sync::{Arc, Mutex};

use burn::data::dataloader::{DataLoader, Progress};
use burn::data::dataset::DatasetError;
use burn::lr_scheduler::LrSchedulerRecord;
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::store::{Aggregate, Split};
use burn::train::{EventProcessorTraining, LearnerEvent, TrainingItem};
use burn::train::{
    InferenceStep, Learner, SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader,
    TrainingComponents, ValidLoader,
};
use rand::seq::SliceRandom;

use crate::activation::{Activation, AnyActivation, Memo};
use crate::data::{Batch, BatchKey, Batching};
use crate::network::{Chain, Frozen};
use crate::random::Seed;
use crate::rules::{AnyRule, Pass};
use crate::training::{LocalModel, Quantity, RunFolder, metric_name};

/// Where a greedy run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// The block that learns.
    pub block: usize,
    /// Epochs it has learned for.
    pub epochs: usize,
}

/// The phase after epochs with the given `history` (block and validation accuracy of each), or `None` when every block is
/// done: after `epochs` epochs, or `patience` epochs without a better accuracy.
pub fn next_phase(
    history: &[(usize, Option<f64>)],
    blocks: usize,
    epochs: usize,
    patience: Option<usize>,
) -> Option<Phase> {
    let Some(&(block, _)) = history.last() else {
        return Some(Phase { block: 0, epochs: 0 });
    };
    let of_block: Vec<f64> =
        history.iter().filter(|(b, _)| *b == block).map(|(_, a)| a.unwrap_or(f64::NEG_INFINITY)).collect();
    let mut best = 0;
    for (i, accuracy) in of_block.iter().enumerate() {
        if *accuracy > of_block[best] {
            best = i;
        }
    }
    let waited = of_block.len() - 1 - best;
    if of_block.len() >= epochs || patience.is_some_and(|p| waited >= p) {
        return (block + 1 < blocks).then_some(Phase { block: block + 1, epochs: 0 });
    }
    Some(Phase { block, epochs: of_block.len() })
}

/// Trains block after block.
pub struct GreedyStrategy {
    /// The device, with autodiff.
    pub device: Device,
    /// Most epochs of a block.
    pub epochs_per_block: usize,
    /// A block is done after so many epochs without a better validation accuracy of its own readout.
    pub patience: Option<usize>,
    /// Whether the outputs of finished blocks are kept.
    pub cache: bool,
    /// How the samples of an epoch are cut into batches, for those from the cache.
    pub batching: Batching,
    /// Root of the run's streams.
    pub seed: Seed,
    /// The training set in its own order, without augmentation, to fill the cache from.
    pub ordered: Arc<dyn DataLoader<Batch>>,
    /// State of the learning-rate schedule at the start of a block.
    pub fresh_schedule: LrSchedulerRecord,
    /// Block and validation accuracy of every epoch, those that a resumed run has behind it among them.
    pub history: SharedHistory,
    /// The run, if a block is to end with the weights of its best epoch, which is one of the checkpoints, and not with its
    /// last ones.
    pub best: Option<RunFolder>,
}

/// Block and validation accuracy of every epoch so far: the strategy goes by them, and so do the checkpoints that are kept.
#[derive(Debug, Clone, Default)]
pub struct SharedHistory(Arc<Mutex<History>>);

/// Block and validation accuracy of every epoch, from epoch 1 on.
pub type History = Vec<(usize, Option<f64>)>;

impl SharedHistory {
    /// The history that a resumed run begins with.
    pub fn new(history: History) -> Self {
        Self(Arc::new(Mutex::new(history)))
    }

    /// The history as it is now.
    pub fn get(&self) -> History {
        self.0.lock().map(|history| history.clone()).unwrap_or_default()
    }

    fn push(&self, block: usize, accuracy: Option<f64>) {
        if let Ok(mut history) = self.0.lock() {
            history.push((block, accuracy));
        }
    }
}

/// The epoch, from 1, with the best validation accuracy of `block`, the first of equals; its last epoch where there are no
/// accuracies, and `None` where it has not been trained.
pub fn best_of_block(history: &[(usize, Option<f64>)], block: usize) -> Option<usize> {
    let of_block = || history.iter().zip(1..).filter(|((b, _), _)| *b == block);
    let accuracies = of_block().filter_map(|((_, accuracy), epoch)| Some((epoch, (*accuracy)?)));
    let best = accuracies.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(epoch, _)| epoch).or_else(|| of_block().last().map(|(_, epoch)| epoch))
}

impl GreedyStrategy {
    /// Goes back to the best weights of `block`, which has learned to its end.
    fn restore_best(&self, learner: &mut Learner<LocalModel>, block: usize) -> Result<(), String> {
        let Some(folder) = &self.best else { return Ok(()) };
        let history = self.history.get();
        let Some(epoch) = best_of_block(&history, block).filter(|epoch| *epoch < history.len()) else {
            return Ok(()); // The weights at hand are the best.
        };
        let path = folder.model_of_epoch(epoch);
        let record = ModuleRecord::load(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        learner.load_model(record);
        Ok(())
    }

    /// What the blocks below `block` make of a batch.
    fn advance(&self, model: &LocalModel, batch: &Batch, block: usize) -> Pass {
        let context = model.context(batch);
        let mut pass = model.rule.begin(&model.network, &model.enter_batch(batch), context, &mut crate::Tape::new(()));
        for (index, below) in model.network.blocks()[..block].iter().enumerate() {
            // Off the autodiff graph: what no backward pass ever reaches, Burn keeps for good.
            model.rule.advance(index, &below.clone().no_grad(), &mut pass);
        }
        pass
    }
}

/// One step's input.
enum Work {
    /// A batch of the data set, to be run to the block that learns.
    Batch(Box<Batch>),
    /// A batch from the cache, already there.
    Cached(Box<Pass>, BatchKey),
}

impl GreedyStrategy {
    /// The steps of one epoch: from the cache in a seeded order, or from the loader.
    fn batches<'a>(
        &self,
        train: &'a TrainLoader<LocalModel>,
        cache: Option<&'a Cache>,
        epoch: usize,
    ) -> Box<dyn Iterator<Item = Result<Work, DatasetError>> + 'a> {
        let Some(cache) = cache else {
            return Box::new(train.iter().map(|batch| batch.map(|b| Work::Batch(Box::new(b)))));
        };
        let cache = match cache {
            Cache::Rows(rows) => rows,
            Cache::Whole(passes) => {
                let rows: usize = passes.iter().map(|p| p.labels.dims()[0]).sum();
                let times = train.num_items().div_ceil(rows.max(1));
                let key = move |i| BatchKey { epoch: epoch as u64, index: i as u64 };
                let all = std::iter::repeat_n(passes, times).flatten().enumerate();
                return Box::new(all.map(move |(i, pass)| Ok(Work::Cached(Box::new(pass.clone()), key(i)))));
            }
        };
        let mut order: Vec<i64> = (0..cache.rows as i64).collect();
        order.shuffle(&mut self.seed.stream("order", &[epoch as u64]));
        let batching = self.batching;
        Box::new((0..batching.count(cache.rows)).map(move |i| {
            let rows = &order[batching.range(i, order.len())];
            Ok(Work::Cached(Box::new(cache.pass(rows)), BatchKey { epoch: epoch as u64, index: i as u64 }))
        }))
    }
}

/// Inputs of one block for the whole training set.
#[allow(clippy::large_enum_variant, reason = "there is one of these at a time")]
enum Cache {
    /// Samples, from which any batch can be put together.
    Rows(Rows),
    /// Batches that are one piece each: graphs. What layers make of their constant inputs is kept with them.
    Whole(Vec<Pass>),
}

/// Samples of the whole training set in the loader's order.
struct Rows {
    streams: Vec<AnyActivation>,
    labels: Tensor<1, Int>,
    negatives: Option<Tensor<1, Int>>,
    rows: usize,
}

impl Cache {
    /// Keeps what enters a block for every training sample, in the loader's order.
    fn fill(passes: impl Iterator<Item = Pass>, rule: &AnyRule, block: &Chain) -> Option<Self> {
        let mut passes = passes.peekable();
        let is_graph = passes.peek().is_some_and(|p| p.streams.iter().any(|s| s.nodes().is_some()));
        if is_graph {
            return Some(Self::Whole(passes.map(|pass| remembering(pass, rule, block)).collect()));
        }
        Rows::fill(passes).map(Self::Rows)
    }
}

/// The pass with a memo for every stream of its own.
fn remembering(mut pass: Pass, rule: &AnyRule, block: &Chain) -> Pass {
    for stream in &mut pass.streams {
        // Of several layers all but the last need every row of their input.
        let read = if block.layers().len() == 1 { rule.read_rows(stream) } else { None };
        if let AnyActivation::Nodes(nodes) = stream {
            nodes.memo = Some(read.map_or_else(Memo::default, Memo::reading));
        }
    }
    pass
}

impl Rows {
    fn fill(passes: impl Iterator<Item = Pass>) -> Option<Self> {
        let mut streams: Vec<Vec<AnyActivation>> = Vec::new();
        let (mut labels, mut negatives) = (Vec::new(), Vec::new());
        for pass in passes {
            streams.resize(pass.streams.len(), Vec::new());
            for (all, part) in streams.iter_mut().zip(pass.streams) {
                all.push(part);
            }
            labels.push(pass.labels);
            negatives.extend(pass.negatives);
        }
        let streams = streams
            .into_iter()
            .map(|parts| {
                let features = Tensor::cat(parts.iter().map(|p| p.features()).collect(), 0);
                parts.first().map(|p| p.with_features(features))
            })
            .collect::<Option<Vec<_>>>()?;
        let labels = Tensor::cat(labels, 0);
        let negatives = (!negatives.is_empty()).then(|| Tensor::cat(negatives, 0));
        Some(Self { rows: labels.dims()[0], streams, labels, negatives })
    }

    /// The samples of one batch.
    fn pass(&self, rows: &[i64]) -> Pass {
        let index = Tensor::<1, Int>::from_data(TensorData::new(rows.to_vec(), [rows.len()]), &self.labels.device());
        Pass {
            streams: self.streams.iter().map(|s| s.with_features(s.features().select(0, index.clone()))).collect(),
            labels: self.labels.clone().select(0, index.clone()),
            negatives: self.negatives.clone().map(|n| n.select(0, index)),
            error: None,
            reference: Vec::new(),
            logits: None,
        }
    }
}

impl SupervisedLearningStrategy<LocalModel> for GreedyStrategy {
    fn fit(
        &self,
        components: TrainingComponents<LocalModel>,
        mut learner: Learner<LocalModel>,
        train: TrainLoader<LocalModel>,
        valid: ValidLoader<LocalModel>,
        starting_epoch: usize,
    ) -> (LocalModel, SupervisedTrainingEventProcessor<LocalModel>) {
        let train = train.to_device(&self.device);
        let valid = valid.to_device(&self.device.clone().inner());
        learner.fork(&self.device);
        let TrainingComponents { mut event_processor, mut checkpointer, interrupter, event_store, .. } = components;

        let blocks = learner.model().network.len();
        let mut epoch = starting_epoch;
        let mut cache: Option<(usize, Cache)> = None;
        let mut frozen = Frozen::new(0);
        while let Some(phase) = next_phase(&self.history.get(), blocks, self.epochs_per_block, self.patience) {
            if phase.epochs == 0 && phase.block > 0 {
                learner.load_scheduler(self.fresh_schedule.clone());
                interrupter.fail_on_error(self.restore_best(&mut learner, phase.block - 1).map_err(failure));
            }
            if self.cache && cache.as_ref().is_none_or(|(block, _)| *block != phase.block) {
                let model = learner.model();
                let ordered = self.ordered.to_device(&self.device);
                let passes = ordered.iter().filter_map(|b| b.ok()).map(|b| self.advance(&model, &b, phase.block));
                let block = &model.network.blocks()[phase.block];
                cache = Cache::fill(passes, &model.rule, block).map(|c| (phase.block, c));
            }

            let items = train.num_items();
            let start = LearnerEvent::StartSplit { epoch_number: epoch, total_items: items };
            interrupter.fail_on_error(event_processor.process_train(start));
            let work = self.batches(&train, cache.as_ref().map(|(_, c)| c), epoch);
            for (work, iteration) in work.zip(1..) {
                let output = match work {
                    Ok(Work::Batch(batch)) => {
                        let model = learner.model();
                        let pass = self.advance(&model, &batch, phase.block);
                        model.learn_block(phase.block, pass, batch.key)
                    }
                    Ok(Work::Cached(pass, key)) => {
                        self.device.seed(self.seed.number("dropout", &[key.epoch, key.index]));
                        learner.model().learn_block(phase.block, *pass, key)
                    }
                    Err(e) => {
                        interrupter.fail(e);
                        break;
                    }
                };
                learner.lr_step();
                learner.optimizer_step(output.grads);
                let done = (iteration * self.batching.size).min(items);
                let progress = Progress::new(done, items, Some("items".into()));
                let item = TrainingItem::new(output.item, progress, Some(iteration), Some(learner.lr_current()));
                interrupter.fail_on_error(event_processor.process_train(LearnerEvent::ProcessedItem(item)));
                if interrupter.should_stop() {
                    break;
                }
            }
            interrupter.fail_on_error(event_processor.process_train(LearnerEvent::EndSplit(epoch)));
            if interrupter.should_stop() {
                break;
            }

            let start = LearnerEvent::StartSplit { epoch_number: epoch, total_items: valid.num_items() };
            interrupter.fail_on_error(event_processor.process_valid(start));
            if frozen.blocks() != phase.block {
                frozen = Frozen::new(phase.block);
            }
            let mut model = learner.model().prefix(phase.block + 1).valid();
            if self.cache {
                model.network = model.network.with_frozen(frozen.rewound());
            }
            let mut iterator = valid.iter();
            let mut iteration = 0;
            while let Some(Ok(batch)) = iterator.next() {
                iteration += 1;
                let item =
                    TrainingItem::new(InferenceStep::step(&model, batch), iterator.progress(), Some(iteration), None);
                interrupter.fail_on_error(event_processor.process_valid(LearnerEvent::ProcessedItem(item)));
                if interrupter.should_stop() {
                    break;
                }
            }
            interrupter.fail_on_error(event_processor.process_valid(LearnerEvent::EndSplit(epoch)));
            interrupter.fail_on_error(event_processor.process_train(LearnerEvent::EndEpoch(epoch)));
            interrupter.fail_on_error(event_processor.flush());
            if interrupter.should_stop() {
                break;
            }
            let name = metric_name(Some(phase.block), Quantity::Accuracy);
            self.history.push(phase.block, event_store.find_metric(&name, epoch, Aggregate::Mean, &Split::Valid));
            if let Some(checkpointer) = &mut checkpointer {
                checkpointer.checkpoint(&learner, epoch, &event_store);
            }
            epoch += 1;
        }
        (learner.model(), event_processor)
    }
}

fn failure(message: String) -> DatasetError {
    DatasetError::new(std::io::Error::other(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_from_the_history() {
        let at = |h: &[(usize, Option<f64>)]| next_phase(h, 2, 3, Some(2)).map(|p| (p.block, p.epochs));
        assert_eq!(at(&[]), Some((0, 0)));
        assert_eq!(at(&[(0, Some(0.5))]), Some((0, 1)));
        assert_eq!(at(&[(0, Some(0.5)), (0, Some(0.4))]), Some((0, 2)));
        // Two epochs without a better accuracy: done, as after the most epochs.
        assert_eq!(at(&[(0, Some(0.5)), (0, Some(0.4)), (0, Some(0.5))]), Some((1, 0)));
        assert_eq!(at(&[(0, Some(0.5)), (1, Some(0.1)), (1, Some(0.2)), (1, Some(0.3))]), None);
    }

    #[test]
    fn the_first_of_equals_is_the_best() {
        let history =
            [(0, Some(0.4)), (0, Some(0.5)), (0, Some(0.5)), (1, Some(0.3)), (1, Some(0.1)), (2, None), (2, None)];
        let best = [0, 1, 3].map(|block| best_of_block(&history, block));
        assert_eq!(best, [Some(2), Some(4), None]);
        // Nothing to choose by: the last epoch, not the first.
        assert_eq!(best_of_block(&history, 2), Some(7));
    }
}
