//! The JSONL logger, which writes one tidy row per epoch, split and block.

use std::collections::{BTreeMap, HashMap};
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::train::Interrupter;
use burn::train::logger::{MetricLogger, TrainingProgressLogger};
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, MetricId, NumericEntry};

use crate::Result;
use crate::metrics::{Quantity, parse_metric_name};
use crate::run_folder::{MetricRow, RunFolder};

/// Times of the splits. Burn-train reports progress on one thread and calls the logger on another, some time later, so
/// every split of every epoch has its own entry.
#[derive(Clone, Default)]
pub struct SplitClock(Arc<Mutex<Clock>>);

#[derive(Default)]
struct Clock {
    /// Start and seconds of every training split (first) and validation split (second) so far.
    splits: [Vec<(Instant, Option<f64>)>; 2],
    current: usize,
    /// Seconds that the first training split took before the run was resumed.
    before: Duration,
}

impl SplitClock {
    /// A clock whose first training split has already taken `seconds`.
    pub fn after(seconds: f64) -> Self {
        let before = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Self(Arc::new(Mutex::new(Clock { before, ..Clock::default() })))
    }

    /// Seconds of the `n`-th split (from 0) of this kind in this process.
    fn seconds(&self, kind: usize, n: usize) -> Option<f64> {
        let clock = self.0.lock().ok()?;
        let (start, seconds) = clock.splits[kind].get(n)?;
        Some(seconds.unwrap_or_else(|| start.elapsed().as_secs_f64()))
    }
}

impl TrainingProgressLogger for SplitClock {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}
    fn update_epoch(&mut self, _: usize) {}
    fn start_split(&mut self, split: &str, _: usize) {
        if let Ok(mut clock) = self.0.lock() {
            clock.current = usize::from(split != "train");
            let kind = clock.current;
            let before = if kind == 0 { std::mem::take(&mut clock.before) } else { Duration::ZERO };
            let now = Instant::now();
            clock.splits[kind].push((now.checked_sub(before).unwrap_or(now), None));
        }
    }
    fn update_split(&mut self, _: usize) {}
    fn end_split(&mut self) {
        if let Ok(mut clock) = self.0.lock() {
            let kind = clock.current;
            if let Some((start, seconds)) = clock.splits[kind].last_mut() {
                *seconds = Some(start.elapsed().as_secs_f64());
            }
        }
    }
    fn end(&mut self) {}
    fn log_event_training(&mut self, _: String) {}
}

/// The reason why `metrics.jsonl` could not be written, for places where the logger cannot return it.
pub type WriteProblem = Arc<Mutex<Option<std::io::Error>>>;

/// Writes `metrics.jsonl` and answers burn-train's queries about past epochs from it.
pub struct JsonlLogger {
    folder: RunFolder,
    clock: SplitClock,
    greedy: bool,
    definitions: HashMap<MetricId, String>,
    /// Latest running value of every metric of a split in the current epoch.
    running: BTreeMap<(&'static str, String), f64>,
    rows: Vec<MetricRow>,
    /// Number of splits of each kind that this process has written.
    written: [usize; 2],
    interrupter: Interrupter,
    /// The reason why a row could not be written, which ends the run.
    problem: WriteProblem,
}

fn split_name(split: &Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Valid => "validation",
        Split::Test(_) => "test",
    }
}

impl JsonlLogger {
    /// A logger that continues after the rows in `folder`. If a row cannot be written, it stops the run through
    /// `interrupter` and stores the reason in `problem`.
    ///
    /// # Errors
    /// [`crate::Error::RunFolder`] if these rows are damaged.
    pub fn new(
        folder: RunFolder,
        clock: SplitClock,
        greedy: bool,
        interrupter: Interrupter,
        problem: WriteProblem,
    ) -> Result<Self> {
        let rows = folder.rows()?;
        let (definitions, running) = (HashMap::new(), BTreeMap::new());
        Ok(Self { folder, clock, greedy, definitions, running, rows, written: [0, 0], interrupter, problem })
    }

    fn end_of_split(&mut self, epoch: usize, split: &'static str) -> std::io::Result<()> {
        let mut rows: BTreeMap<Option<usize>, MetricRow> = BTreeMap::new();
        let kind = usize::from(split != "train");
        let seconds = self.clock.seconds(kind, self.written[kind]);
        self.written[kind] += 1;
        let running = std::mem::take(&mut self.running);
        for ((s, name), value) in running {
            if s != split {
                self.running.insert((s, name), value);
                continue;
            }
            let Some((block, quantity)) = parse_metric_name(&name) else { continue };
            let row = rows.entry(block).or_insert_with(|| MetricRow {
                epoch,
                split: split.into(),
                block,
                loss: None,
                accuracy: None,
                goodness_positive: None,
                goodness_negative: None,
                separation: None,
                seconds: if block.is_none() { seconds } else { None },
                phase: None,
            });
            match quantity {
                Quantity::Loss => row.loss = Some(value),
                Quantity::Accuracy => row.accuracy = Some(value),
                Quantity::Positive => row.goodness_positive = Some(value),
                Quantity::Negative => row.goodness_negative = Some(value),
            }
        }
        // Under a greedy schedule exactly one block has a training row: the one that learned.
        let phase = match (self.greedy, split) {
            (true, "train") => rows.keys().flatten().next().copied(),
            (true, _) => self.rows.iter().rev().find(|r| r.epoch == epoch).and_then(|r| r.phase),
            _ => None,
        };
        let mut file = OpenOptions::new().create(true).append(true).open(self.folder.file("metrics.jsonl"))?;
        let mut text = String::new();
        for mut row in rows.into_values() {
            row.phase = phase;
            row.separation = row.goodness_positive.zip(row.goodness_negative).map(|(p, n)| p - n);
            let line = serde_json::to_string(&row).map_err(std::io::Error::other)?;
            // Decisions use the numbers as they are read back, which may differ in the last digit, because a resumed
            // run has no others.
            self.rows.push(serde_json::from_str(&line).map_err(std::io::Error::other)?);
            text.push_str(&line);
            text.push('\n');
        }
        file.write_all(text.as_bytes())
    }
}

impl MetricLogger for JsonlLogger {
    fn log(&mut self, update: MetricsUpdate, _epoch: usize, split: &Split) {
        for metric in update.entries_numeric {
            if let (Some(name), Some(value)) = (self.definitions.get(&metric.entry.metric_id), metric.running_entry) {
                self.running.insert((split_name(split), name.clone()), value.current());
            }
        }
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> std::result::Result<Vec<NumericEntry>, String> {
        let Some((block, quantity)) = parse_metric_name(name) else { return Ok(Vec::new()) };
        let split = split_name(split);
        let row = self.rows.iter().find(|r| r.epoch == epoch && r.split == split && r.block == block);
        let value = row.and_then(|r| match quantity {
            Quantity::Loss => r.loss,
            Quantity::Accuracy => r.accuracy,
            Quantity::Positive => r.goodness_positive,
            Quantity::Negative => r.goodness_negative,
        });
        Ok(value.map(NumericEntry::Value).into_iter().collect())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.definitions.insert(definition.metric_id, definition.name.to_string());
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        if let Err(e) = self.end_of_split(summary.epoch_number, split_name(&summary.split)) {
            let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
            problem.get_or_insert(e);
            self.interrupter.stop(Some("metrics.jsonl could not be written"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_cannot_be_written_stops_the_run() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(place.path().join("run")).unwrap();
        let (interrupter, problem) = (Interrupter::new(), WriteProblem::default());
        let mut logger =
            JsonlLogger::new(folder, SplitClock::default(), false, interrupter.clone(), problem.clone()).unwrap();
        logger.log_epoch_summary(EpochSummary::new(1, Split::Train));
        assert!(!interrupter.should_stop());
        place.close().unwrap();
        logger.log_epoch_summary(EpochSummary::new(1, Split::Valid));
        assert!(interrupter.should_stop());
        assert_eq!(problem.lock().unwrap().as_ref().map(std::io::Error::kind), Some(std::io::ErrorKind::NotFound));
    }
}
