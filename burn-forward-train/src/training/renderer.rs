//! Progress display during training: bars on a terminal, otherwise one plain line per epoch.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{LossMetric, Metric, MetricDefinition, MetricId};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::metrics::{Quantity, metric_name};

/// How much to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    /// Bars on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// Nothing but errors.
    Quiet,
}

/// Numbers of the current epoch.
#[derive(Default, Clone, Copy)]
struct Shown {
    /// Mean loss of the blocks.
    objective: Option<f64>,
    /// Cross-entropy of the network's prediction.
    loss: Option<f64>,
    train: Option<f64>,
    validation: Option<f64>,
}

/// An indicatif renderer for burn-train.
pub struct ProgressRenderer {
    verbosity: Verbosity,
    terminal: bool,
    bar: Option<ProgressBar>,
    epochs: usize,
    epoch: usize,
    split_items: usize,
    split_started: Instant,
    train_seconds: f64,
    rate: f64,
    training: bool,
    run_started: Instant,
    first_epoch: usize,
    names: Vec<(MetricId, Name)>,
    shown: Shown,
    /// Items and time of the first step of the split in this process: a resumed run begins in the middle.
    first_step: Option<(usize, Instant)>,
}

/// Which of the numbers to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Objective,
    Loss,
    Accuracy,
}

impl ProgressRenderer {
    /// A renderer to standard error, which leaves standard output free for results.
    pub fn new(verbosity: Verbosity) -> Self {
        let now = Instant::now();
        Self {
            verbosity,
            terminal: std::io::stderr().is_terminal(),
            bar: None,
            epochs: 0,
            epoch: 1,
            split_items: 0,
            split_started: now,
            train_seconds: 0.0,
            rate: 0.0,
            training: true,
            run_started: now,
            first_epoch: 1,
            names: Vec::new(),
            shown: Shown::default(),
            first_step: None,
        }
    }

    fn line(&self) -> String {
        let mut line = format!("epoch {:>width$}/{}", self.epoch, self.epochs, width = self.epochs.to_string().len());
        // For some rules the block loss is not a meaningful measure by itself.
        if let Some(loss) = self.shown.loss.or(self.shown.objective) {
            line += &format!("  loss {loss:.4}");
        }
        if let Some(a) = self.shown.train {
            line += &format!("  train {:.2} %", 100.0 * a);
        }
        if let Some(a) = self.shown.validation {
            line += &format!("  validation {:.2} %", 100.0 * a);
        }
        line
    }

    fn remaining(&self) -> String {
        let done = (self.epoch + 1).saturating_sub(self.first_epoch).max(1) as f64;
        let left = self.epochs.saturating_sub(self.epoch) as f64;
        duration(self.run_started.elapsed().as_secs_f64() / done * left)
    }

    fn update(&mut self, state: MetricState, training: bool) {
        let MetricState::Numeric(entry, Some(value)) = state else { return };
        let Some((_, name)) = self.names.iter().find(|(id, _)| *id == entry.metric_id) else { return };
        let value = value.current();
        if *name == Name::Accuracy && value.is_nan() {
            // Skip quantities without samples, or that the rule does not have.
            return;
        }
        match (name, training) {
            (Name::Objective, true) => self.shown.objective = Some(value),
            (Name::Loss, true) => self.shown.loss = Some(value),
            (Name::Accuracy, true) => self.shown.train = Some(value),
            (Name::Accuracy, false) => self.shown.validation = Some(value),
            _ => {}
        }
    }
}

/// `1:02:03` or `2:03`.
fn duration(seconds: f64) -> String {
    let s = seconds.round() as u64;
    if s >= 3600 {
        format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    } else {
        format!("{}:{:02}", s / 60, s % 60)
    }
}

impl MetricsRendererTraining for ProgressRenderer {
    fn update_train(&mut self, state: MetricState) {
        self.update(state, true);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.update(state, false);
    }

    fn on_train_end(&mut self, _: Option<burn::train::LearnerSummary>) -> Result<(), Box<dyn core::error::Error>> {
        Ok(())
    }
}

impl TrainingProgressLogger for ProgressRenderer {
    fn start(&mut self, total_epochs: usize, starting_epoch: usize, _: Option<usize>, _: Option<&str>) {
        self.epochs = total_epochs;
        self.epoch = starting_epoch;
        self.first_epoch = starting_epoch;
        self.run_started = Instant::now();
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.training = split == "train";
        self.split_items = total_items;
        self.split_started = Instant::now();
        self.first_step = None;
        if self.training {
            self.shown = Shown::default();
        }
        if self.verbosity == Verbosity::Auto && self.terminal {
            let bar = ProgressBar::with_draw_target(Some(total_items as u64), ProgressDrawTarget::stderr_with_hz(8));
            if let Ok(style) = ProgressStyle::with_template("{msg} [{wide_bar:.cyan/dim}] {rate:>8} {eta:>4} left") {
                let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    let _ = write!(out, "{:.0}/s", state.per_sec());
                };
                bar.set_style(style.with_key("rate", rate).progress_chars("━╸─"));
            }
            self.bar = Some(bar);
        }
    }

    fn update_split(&mut self, items_processed: usize) {
        self.first_step.get_or_insert((items_processed, Instant::now()));
        if let Some(bar) = &self.bar {
            bar.set_message(self.line());
            bar.set_position(items_processed as u64);
        }
    }

    fn end_split(&mut self) {
        if self.training {
            self.train_seconds = self.split_started.elapsed().as_secs_f64();
            let whole = (0, self.split_started);
            let (before, since) = self.first_step.filter(|(items, _)| *items < self.split_items).unwrap_or(whole);
            self.rate = (self.split_items - before) as f64 / since.elapsed().as_secs_f64().max(1e-9);
        }
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.epoch = epoch;
        if self.verbosity == Verbosity::Auto {
            let rate = self.rate;
            let seconds = self.train_seconds;
            // Not `eprintln!`, which panics if standard error was closed.
            let line = format!("{}  {seconds:.1} s  {rate:.0}/s  {} left\n", self.line(), self.remaining());
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        self.epoch = epoch + 1;
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn log_event_training(&mut self, _: String) {}
}

impl EvaluationProgressLogger for ProgressRenderer {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

impl MetricsRendererEvaluation for ProgressRenderer {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl MetricsRenderer for ProgressRenderer {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        let name = definition.name.as_str();
        // Burn's own loss metric is the mean of the block losses; rules without a prediction in training have no
        // other.
        let of_network = |quantity| name == metric_name(None, quantity);
        let shown = if name == *LossMetric::new().name() {
            Name::Objective
        } else if of_network(Quantity::Loss) {
            Name::Loss
        } else if of_network(Quantity::Accuracy) {
            Name::Accuracy
        } else {
            return;
        };
        self.names.push((definition.metric_id.clone(), shown));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations() {
        assert_eq!(super::duration(62.4), "1:02");
        assert_eq!(super::duration(3723.0), "1:02:03");
    }
}
