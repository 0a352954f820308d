//! Cached outputs of the finished blocks for the training set.

use burn::data::dataset::DatasetError;
use burn::tensor::{Int, Tensor, TensorData};
use rand::seq::SliceRandom;

use burn_forward::activation::{Activation, AnyActivation, FeatureCache};
use burn_forward::data::{BatchKey, Batching};
use burn_forward::network::Chain;
use burn_forward::random::Seed;
use burn_forward::rules::{AnyRule, Pass, Signals};

/// The inputs of one block for the whole training set.
#[allow(clippy::large_enum_variant, reason = "there is one of these at a time")]
pub(super) enum Cache {
    /// Samples, from which any batch can be assembled.
    Rows(Rows),
    /// Indivisible batches: graphs. They include what layers precompute from their constant inputs.
    Whole(Vec<Pass>),
}

/// Samples of the whole training set, in the order of the loader.
pub(super) struct Rows {
    streams: Vec<AnyActivation>,
    labels: Tensor<1, Int>,
    signals: Signals,
    rows: usize,
}

impl Cache {
    /// Caches the input of `block` for every training sample, in the order of the loader.
    ///
    /// # Errors
    /// The first error of any batch. A cache with some samples missing would train on the wrong data.
    pub(super) fn fill(
        passes: impl Iterator<Item = Result<Pass, DatasetError>>,
        rule: &AnyRule,
        block: &Chain,
    ) -> Result<Self, DatasetError> {
        let passes: Vec<Pass> = passes.collect::<Result<_, _>>()?;
        let is_graph = passes.iter().any(|pass| pass.streams.iter().any(|stream| stream.nodes().is_some()));
        if is_graph {
            return Ok(Self::Whole(passes.into_iter().map(|pass| remembering(pass, rule, block)).collect()));
        }
        let problem = passes.iter().find_map(|pass| pass.signals.without_rows(pass.labels.dims()[0]));
        if let Some((name, rows, samples)) = problem {
            let what =
                format!("the signal {name:?} has {rows} rows for {samples} samples: it cannot be cached by sample");
            return Err(DatasetError::new(std::io::Error::other(what)));
        }
        match Rows::of(passes) {
            Some(rows) => Ok(Self::Rows(rows)),
            None => Err(DatasetError::new(std::io::Error::other("the training set is empty"))),
        }
    }

    /// The steps of an epoch over the first `items` samples, which may be fewer than are cached, in the order of
    /// `seed`, as the loader would yield them.
    pub(super) fn batches(
        &self,
        items: usize,
        batching: Batching,
        epoch: usize,
        seed: Seed,
    ) -> Box<dyn Iterator<Item = (Pass, BatchKey)> + '_> {
        let key = move |i: usize, batches| BatchKey::new(epoch as u64, i as u64, batches);
        match self {
            Self::Whole(passes) => {
                let rows: usize = passes.iter().map(|pass| pass.labels.dims()[0]).sum();
                let times = items.div_ceil(rows.max(1));
                let all = std::iter::repeat_n(passes, times).flatten().enumerate();
                Box::new(all.map(move |(i, pass)| (pass.clone(), key(i, times * passes.len()))))
            }
            Self::Rows(rows) => {
                let mut order: Vec<i64> = (0..rows.rows as i64).collect();
                order.shuffle(&mut seed.stream("order", &[epoch as u64]));
                let batches = batching.count(order.len()).min(items.div_ceil(batching.size.max(1)));
                Box::new(
                    (0..batches).map(move |i| (rows.pass(&order[batching.range(i, order.len())]), key(i, batches))),
                )
            }
        }
    }
}

/// The pass with a feature cache for each of its streams.
fn remembering(mut pass: Pass, rule: &AnyRule, block: &Chain) -> Pass {
    for stream in &mut pass.streams {
        // In a block of several layers, all but the last need every row of their input.
        let read = if block.layers().len() == 1 { rule.required_rows(stream) } else { None };
        if let AnyActivation::Nodes(nodes) = stream {
            nodes.feature_cache = Some(read.map_or_else(FeatureCache::default, FeatureCache::for_rows));
        }
    }
    pass
}

impl Rows {
    /// The samples of all passes; `None` if there are no passes.
    fn of(passes: Vec<Pass>) -> Option<Self> {
        let mut streams: Vec<Vec<AnyActivation>> = Vec::new();
        let (mut labels, mut signals) = (Vec::new(), Vec::new());
        for pass in passes {
            streams.resize(pass.streams.len(), Vec::new());
            for (all, part) in streams.iter_mut().zip(pass.streams) {
                all.push(part);
            }
            labels.push(pass.labels);
            signals.push(pass.signals);
        }
        if labels.is_empty() {
            return None;
        }
        let streams = streams
            .into_iter()
            .map(|parts| {
                let features = Tensor::cat(parts.iter().map(|p| p.features()).collect(), 0);
                parts.first().map(|p| p.with_features(features))
            })
            .collect::<Option<Vec<_>>>()?;
        let labels = Tensor::cat(labels, 0);
        Some(Self { rows: labels.dims()[0], streams, labels, signals: Signals::cat(signals) })
    }

    /// The samples of one batch.
    fn pass(&self, rows: &[i64]) -> Pass {
        let index = Tensor::<1, Int>::from_data(TensorData::new(rows.to_vec(), [rows.len()]), &self.labels.device());
        Pass {
            // The caller sets the key of the batch.
            key: BatchKey::UNKNOWN,
            streams: self.streams.iter().map(|s| s.with_features(s.features().select(0, index.clone()))).collect(),
            labels: self.labels.clone().select(0, index.clone()),
            signals: self.signals.select(&index),
            logits: None,
        }
    }
}
#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use burn_forward::activation::RowShape;
    use burn_forward::block::Trace;
    use burn_forward::network::{MlpConfig, Network, Partition};
    use burn_forward::rules::{MonoForwardConfig, RuleSpec};

    use super::*;

    /// Signals of every kind, under names that no rule uses: each sample keeps its own through caching and shuffling.
    #[test]
    fn a_signal_of_any_name_and_kind_stays_with_its_sample() {
        let device = Device::flex();
        let mlp = MlpConfig::new([2]);
        let layers = mlp.layers(RowShape::Features(1), Seed::new(1), &device).unwrap();
        let network = Network::new(layers, Partition::LAYER).unwrap();
        let rule = MonoForwardConfig::default().build(&network, 2, Seed::new(1)).unwrap();
        // Sample `i` is the number `i` in its stream and in all of its signals.
        let pass = |range: std::ops::Range<i64>| {
            let rows = range.clone().count();
            let numbers = Tensor::<1, Int>::from_data(TensorData::new(range.collect(), [rows]), &device);
            let values = numbers.clone().float().reshape([rows, 1]);
            let mut pass = Pass {
                streams: vec![AnyActivation::Features(values.clone())],
                labels: numbers.clone(),
                key: BatchKey::UNKNOWN,
                signals: Default::default(),
                logits: None,
            };
            pass.signals.put("classes nobody knows", numbers);
            pass.signals.put("rows nobody knows", values.clone());
            pass.signals.put("blocks nobody knows", vec![Trace::from(AnyActivation::Features(values))]);
            pass
        };
        let passes = [pass(0..3), pass(3..5), pass(5..9)].map(Ok).into_iter();
        let cache = Cache::fill(passes, &rule, &network.blocks()[0]).unwrap();
        let mut seen = Vec::new();
        for (pass, _) in cache.batches(9, 4.into(), 1, Seed::new(1)) {
            let samples: Vec<i64> = pass.labels.clone().into_data().iter().collect();
            let of = |values: Tensor<2>| values.into_data().iter::<i64>().collect::<Vec<_>>();
            let classes = pass.signals.classes("classes nobody knows").unwrap().clone();
            assert_eq!(classes.into_data().iter::<i64>().collect::<Vec<_>>(), samples);
            assert_eq!(of(pass.streams[0].features()), samples);
            assert_eq!(of(pass.signals.rows("rows nobody knows").unwrap().clone()), samples);
            assert_eq!(of(pass.signals.block("blocks nobody knows", 0).unwrap().output.features()), samples);
            seen.extend(samples);
        }
        assert_ne!(seen, (0..9).collect::<Vec<_>>());
        seen.sort_unstable();
        assert_eq!(seen, (0..9).collect::<Vec<_>>());
    }
}
