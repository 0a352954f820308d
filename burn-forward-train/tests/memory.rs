//! The point of local learning: the graph of a block never outlives the block's own step, whatever the schedule.
//!
//! These tests are in a program of their own and run one at a time, since they count every byte that the program
//! allocates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use burn::tensor::{Device, Tensor};
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::MetricDefinition;
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::data::{Batch, BatchKey};
use burn_forward::model::LocalModel;
use burn_forward::network::{MlpConfig, Network, Partition};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::random::Seed;
use burn_forward::rules::rule_entries;
use burn_forward::tape::Tape;
use burn_forward_train::config::RunConfig;
use burn_forward_train::run_folder::RunFolder;
use burn_forward_train::training::{ProgressRenderer, Run, RunOptions, Verbosity, train};
use serde_json::{Value, json};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed on to the system's allocator.
#[allow(unsafe_code, reason = "the trait requires it")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: guaranteed by the caller.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: guaranteed by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Held by the test that is running.
static ALONE: Mutex<()> = Mutex::new(());

const ROWS: usize = 4096;
const WIDTH: usize = 64;
const CLASSES: usize = 4;
/// Size of one activation in bytes; a block's parameters are a 60th of it.
const ACTIVATION: usize = ROWS * WIDTH * size_of::<f32>();

fn model(rule: &str, settings: &Value, depth: usize, device: &Device) -> LocalModel {
    model_of(rule, settings, depth, (ActivationFn::Tanh, Normalisation::Rms), device)
}

fn model_of(
    rule: &str,
    settings: &Value,
    depth: usize,
    (activation, normalisation): (ActivationFn, Normalisation),
    device: &Device,
) -> LocalModel {
    let row = rule_entries().into_iter().find(|row| row.name == rule).unwrap();
    let spec = (row.parse)(settings, &rule_entries()).unwrap().0;
    let net = MlpConfig { activation, normalisation, ..MlpConfig::new(vec![WIDTH; depth]) };
    let input = RowShape::Features(WIDTH);
    let layers = net.layers(input, Seed::new(0), device).unwrap();
    let network = Network::new(layers, spec.partition().unwrap_or(Partition::LAYER)).unwrap().with_input(input);
    let rule = spec.build(&network, CLASSES, Seed::new(0)).unwrap();
    LocalModel::new(network, rule, Seed::new(0))
}

fn batch(device: &Device) -> Batch {
    Batch {
        inputs: AnyActivation::Features(Tensor::ones([ROWS, WIDTH], device)),
        targets: Tensor::zeros([ROWS], device),
        classes: CLASSES,
        key: BatchKey { epoch: 1, index: 0, step: 0 },
        samples: (0..ROWS as u32).collect(),
    }
}

/// Peak number of allocated bytes during a step, above those allocated before it.
fn peak_of_a_step(model: &LocalModel, batch: &Batch) -> usize {
    drop(model.learn(batch)); // initialises parameters and starts threads
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    drop(model.learn(batch));
    PEAK.load(Relaxed) - before
}

/// Whether every block learns as soon as it has run: the rule is local, and its signal does not need a pass through the
/// network.
fn learns_on_the_way(model: &LocalModel, batch: &Batch) -> bool {
    let pass = model.rule.begin(&model.network, batch, model.context(batch), &mut Tape::new(()));
    pass.signals.rows("output error").is_none() && pass.logits.is_none()
}

#[test]
fn of_a_rectified_layer_only_the_output_is_kept() {
    let _alone = ALONE.lock();
    let device = Device::flex().autodiff();
    let batch = batch(&device);
    let of_layers = |depth| {
        let layer = (ActivationFn::Relu, Normalisation::None);
        peak_of_a_step(&model_of("backprop", &json!({}), depth, layer, &device), &batch)
    };
    let growth = (of_layers(12) as f64 - of_layers(3) as f64) / 9.0 / ACTIVATION as f64;
    // With Burn's own ReLU, which keeps its input, it is 2.
    assert!((0.9..1.2).contains(&growth), "back-propagation keeps {growth} activations per layer");
}

#[test]
fn memory_does_not_grow_with_depth() {
    let _alone = ALONE.lock();
    let device = Device::flex().autodiff();
    let batch = batch(&device);
    let mut flat = Vec::new();
    let settings = |name: &str| match name {
        // Hard negatives, the default, are sampled after a pass through the whole network.
        "forward-forward" => json!({"negatives": "wrong", "softmax-head": false}),
        _ => json!({}),
    };
    for row in rule_entries() {
        let settings = settings(row.name);
        let local = (row.parse)(&settings, &rule_entries()).unwrap().0.reach().is_local();
        let [shallow, deep] = [3, 12].map(|depth| model(row.name, &settings, depth, &device));
        let growth = (peak_of_a_step(&deep, &batch) as f64 - peak_of_a_step(&shallow, &batch) as f64) / 9.0;
        let growth = growth / ACTIVATION as f64;
        println!("{}: {growth:.2} activations per layer", row.name);
        // It learns only from losses of passes that keep nothing.
        let without_backward = row.name == "zeroth-order";
        if local && deep.network.len() > 1 && (without_backward || learns_on_the_way(&deep, &batch)) {
            // The gradients account for 0.02; the scores of all rows would add 0.06.
            assert!(growth < 0.05, "{}: a step keeps {growth} activations per layer", row.name);
            flat.push(row.name);
        } else {
            // Check that the measurement detects a graph where there is one.
            assert!(growth > 1.0, "{}: a step keeps {growth} activations per layer", row.name);
        }
    }
    assert!(
        ["drtp", "forward-forward", "mono-forward", "zeroth-order"].iter().all(|name| flat.contains(name)),
        "{flat:?}"
    );

    // And block by block: after a block has learned, only its output and its gradients are left.
    for name in flat {
        let model = model(name, &settings(name), 4, &device);
        drop(model.learn(&batch));
        let mut tape = Tape::new(());
        let mut pass = model.rule.begin(&model.network, &batch, model.context(&batch), &mut tape);
        let mut held = Vec::new();
        for (index, block) in model.network.blocks().iter().enumerate() {
            model.rule.learn_block(index, block, &mut pass, &mut tape);
            held.push(LIVE.load(Relaxed) as f64 / ACTIVATION as f64);
        }
        for pair in held.windows(2) {
            assert!((pair[1] - pair[0]).abs() < 0.25, "{name}: held after each block {held:?}");
        }
    }
}

/// Number of samples in the training set.
const DIGITS: usize = 1437;

/// Peak number of allocated bytes during a run of one epoch per block, above those allocated before it.
fn peak_of_a_run(schedule: &str, widths: &[usize], optimizer: &Value, renderer: Box<dyn MetricsRenderer>) -> usize {
    let config = json!({
        "data": {"name": "digits"},
        "network": {"name": "mlp", "widths": widths},
        "rule": {"name": "mono-forward"},
        "schedule": {"name": schedule},
        "training": {"epochs": 1, "batch-size": 32, "eval-batch-size": 32, "workers": 0},
        "optimizer": optimizer,
    });
    let config = RunConfig::from_value(schedule, config, &[], &burn_forward_train::registry()).unwrap();
    let options = RunOptions::on("flex");
    let folder = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(folder.path().join("run")).unwrap();
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let run = Run::prepare(config, options).unwrap();
    train(&run, &folder, renderer).unwrap();
    PEAK.load(Relaxed) - before
}

#[test]
fn memory_of_a_greedy_run_does_not_grow_with_depth() {
    let _alone = ALONE.lock();
    let adam = json!({"name": "adam", "lr": 0.001});
    let peak =
        |depth| peak_of_a_run("greedy", &vec![WIDTH; depth], &adam, Box::new(ProgressRenderer::new(Verbosity::Quiet)));
    peak(2); // starts threads and reads data once
    let [shallow, deep] = [2, 10].map(|depth| peak(depth) as f64);
    let growth = (deep - shallow) / (8 * DIGITS * WIDTH * size_of::<f32>()) as f64;
    println!("greedy: {growth:.2} activations of the training set per layer");
    // 0.7: weights, gradients, moments, checkpoints, evaluation. It is 12 if graphs of finished blocks are kept.
    assert!(growth < 2.0, "a greedy run keeps {growth} activations of the training set per layer");
}

/// Records the peak number of bytes during the training steps of an epoch.
#[derive(Default)]
struct Watching {
    training: bool,
}

static OF_STEPS: AtomicUsize = AtomicUsize::new(0);

impl TrainingProgressLogger for Watching {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}
    fn start_split(&mut self, split: &str, _: usize) {
        self.training = split == "train";
        PEAK.store(LIVE.load(Relaxed), Relaxed);
    }
    fn update_split(&mut self, _: usize) {}
    fn end_split(&mut self) {
        if self.training {
            OF_STEPS.store(PEAK.load(Relaxed), Relaxed);
        }
    }
    fn update_epoch(&mut self, _: usize) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _: String) {}
}

impl EvaluationProgressLogger for Watching {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

impl MetricsRendererTraining for Watching {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, _: MetricState) {}
}

impl MetricsRendererEvaluation for Watching {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl MetricsRenderer for Watching {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _: MetricDefinition) {}
}

/// While it trains, a run holds its weights before and after a step and their gradients, but not its initial weights.
#[test]
fn memory_of_steps_is_a_few_times_the_weights() {
    let _alone = ALONE.lock();
    let sgd = json!({"name": "sgd", "lr": 0.001, "momentum": 0});
    for schedule in ["simultaneous", "greedy"] {
        let peak = |width| {
            let before = LIVE.load(Relaxed);
            peak_of_a_run(schedule, &[width, width], &sgd, Box::new(Watching::default()));
            (OF_STEPS.load(Relaxed) - before) as f64
        };
        peak(64); // starts threads and reads data once
        let weights = |width: f64| (width * width + 64.0 * width + 2.0 * 10.0 * width) * size_of::<f32>() as f64;
        let times = (peak(1600) - peak(200)) / (weights(1600.0) - weights(200.0));
        println!("{schedule}: {times:.2} times the weights");
        // 3.2 and 3.7: two copies, gradients, intermediate results. Keeping the initial weights would add 1.
        assert!(times < 4.0, "{schedule}: the steps of a run take {times} times its weights");
    }
}
