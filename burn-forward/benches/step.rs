//! How well a training step uses the machine: GFLOP/s of one step (forward, backward, optimiser), compared with those of a
//! plain matrix product `[B, 1000] x [1000, 1000]` on the same device.
//!
//! The network is 784-1000-1000 with 10 classes. The work counted is that of the products that the rule requires:
//! `2 B d_in d_out` for the forward pass of a layer, the same for its weight gradient, and the same for the gradient of its
//! input if it is needed. Activations, losses and the optimiser take time but do not count as work, so a ratio of 1 cannot be
//! reached.
//!
//! Run `cargo bench --features ndarray --bench step`; `BURN_FORWARD_DEVICE` selects a device other than the first one
//! compiled in. Criterion's numbers come first. The table at the end comes from a separate loop, which measures step and
//! product alternately, so that other load on the machine affects both.

use std::hint::black_box;
use std::time::Instant;

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Int, Tensor};
use burn_forward::activation::{AnyActivation, RowShape};
use burn_forward::data::{Batch, BatchKey};
use burn_forward::init::InitScheme;
use burn_forward::model::LocalModel;
use burn_forward::network::{MlpConfig, Network, Partition};
use burn_forward::optim::{OptimizerConfig, OptimizerName};
use burn_forward::pieces::activation_fn::ActivationFn;
use burn_forward::pieces::normalisation::Normalisation;
use burn_forward::random::Seed;
use burn_forward::rules::{BackpropConfig, MonoForwardConfig, RuleSpec};
use criterion::{BenchmarkId, Criterion, Throughput};

const INPUT: usize = 784;
const WIDTH: usize = 1000;
const CLASSES: usize = 10;

/// The rules to measure.
#[derive(Clone, Copy, Debug)]
enum RuleName {
    MonoForward,
    Backprop,
}

impl RuleName {
    fn name(self) -> &'static str {
        match self {
            Self::MonoForward => "mono-forward",
            Self::Backprop => "backprop",
        }
    }

    /// Floating-point operations in the products of one step.
    fn flops(self, batch: usize) -> f64 {
        let product = |d_in: usize, d_out: usize| 2.0 * (batch * d_in * d_out) as f64;
        let layers = 2.0 * (product(INPUT, WIDTH) + product(WIDTH, WIDTH));
        let head = 3.0 * product(WIDTH, CLASSES);
        match self {
            // Every layer has a head, and the input of no layer needs a gradient.
            Self::MonoForward => layers + 2.0 * head,
            Self::Backprop => layers + product(WIDTH, WIDTH) + head,
        }
    }
}

/// A model with its optimiser and one batch.
struct Case {
    model: Option<LocalModel>,
    optimizer: ModuleOptimizer,
    batch: Batch,
    device: Device,
}

impl Case {
    fn new(rule: RuleName, optimizer: &OptimizerConfig, batch: usize, device: &Device) -> burn_forward::Result<Self> {
        let (seed, device) = (Seed::new(0), device.clone().autodiff());
        let mlp = MlpConfig {
            widths: vec![WIDTH, WIDTH],
            activation: ActivationFn::Relu,
            dropout: 0.0,
            normalisation: Normalisation::None,
            init: InitScheme::Default,
        };
        let layers = mlp.layers(RowShape::Features(INPUT), seed, &device)?;
        let (partition, rule): (_, Box<dyn RuleSpec>) = match rule {
            RuleName::MonoForward => (Partition::LAYER, Box::new(MonoForwardConfig::default())),
            RuleName::Backprop => (Partition::WHOLE, Box::new(BackpropConfig::default())),
        };
        let network = Network::new(layers, partition)?;
        let rule = rule.build(&network, CLASSES, seed)?;
        let targets: Vec<i32> = (0..batch).map(|i| (i % CLASSES) as i32).collect();
        Ok(Self {
            model: Some(LocalModel::new(network, rule, seed)),
            optimizer: optimizer.optimizer(&[])?,
            batch: Batch {
                inputs: AnyActivation::Features(Tensor::random(
                    [batch, INPUT],
                    Distribution::Uniform(0.0, 1.0),
                    &device,
                )),
                targets: Tensor::<1, Int>::from_data(targets.as_slice(), &device),
                classes: CLASSES,
                key: BatchKey { epoch: 1, index: 0, step: 0 },
                samples: (0..batch as u32).collect(),
            },
            device,
        })
    }

    /// Forward and backward pass.
    fn learn(&self) -> Option<GradientsParams> {
        self.model.as_ref().map(|model| model.learn(&self.batch).grads)
    }

    /// Applies gradients with the optimiser, and returns the seconds it took.
    fn update(&mut self, gradients: GradientsParams) -> f64 {
        let begun = Instant::now();
        self.model = self.model.take().map(|model| self.optimizer.step(1e-4, model, gradients));
        finish(&self.device);
        begun.elapsed().as_secs_f64()
    }

    /// One training step; returns the seconds of forward and backward pass, and of the optimiser.
    fn step(&mut self) -> (f64, f64) {
        let begun = Instant::now();
        let gradients = self.learn();
        finish(&self.device);
        let learned = begun.elapsed().as_secs_f64();
        (learned, gradients.map_or(0.0, |g| self.update(g)))
    }
}

/// Waits for a device that works asynchronously.
fn finish(device: &Device) {
    if let Err(error) = device.sync() {
        eprintln!("the device did not finish: {error:?}");
    }
}

/// The plain matrix product.
struct Product(Tensor<2>, Tensor<2>, Device);

impl Product {
    fn new(batch: usize, device: &Device) -> Self {
        let random = |rows| Tensor::random([rows, WIDTH], Distribution::Uniform(-1.0, 1.0), device);
        Self(random(batch), random(WIDTH), device.clone())
    }

    fn flops(batch: usize) -> f64 {
        2.0 * (batch * WIDTH * WIDTH) as f64
    }

    fn seconds(&self) -> f64 {
        let begun = Instant::now();
        black_box(self.0.clone().matmul(self.1.clone()));
        finish(&self.2);
        begun.elapsed().as_secs_f64()
    }
}

const BATCHES: [usize; 2] = [128, 1024];
const RULES: [RuleName; 2] = [RuleName::MonoForward, RuleName::Backprop];

fn optimizers() -> [(&'static str, OptimizerConfig); 2] {
    let sgd = OptimizerConfig { momentum: Some(0.0), ..OptimizerConfig::new(OptimizerName::Sgd, 1e-4) };
    [("sgd", sgd), ("adam", OptimizerConfig::new(OptimizerName::Adam, 1e-4))]
}

fn measure(criterion: &mut Criterion, device: &Device) -> burn_forward::Result<()> {
    let mut group = criterion.benchmark_group("step");
    group.sample_size(20);
    for batch in BATCHES {
        let product = Product::new(batch, device);
        group.throughput(Throughput::Elements(Product::flops(batch) as u64));
        group.bench_function(BenchmarkId::new("product", batch), |b| b.iter(|| product.seconds()));
        for rule in RULES {
            group.throughput(Throughput::Elements(rule.flops(batch) as u64));
            for (name, optimizer) in optimizers() {
                let mut case = Case::new(rule, &optimizer, batch, device)?;
                let id = BenchmarkId::new(format!("{}/{name}", rule.name()), batch);
                group.bench_function(id, |b| b.iter(|| case.step()));
            }
        }
    }
    group.finish();
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The table: medians over `rounds` rounds in which step and product alternate.
fn summary(device: &Device, rounds: usize) -> burn_forward::Result<()> {
    println!(
        "\nMLP {INPUT}-{WIDTH}-{WIDTH}, {CLASSES} classes; product [B, {WIDTH}] x [{WIDTH}, {WIDTH}]; medians of {rounds}"
    );
    println!(
        "rule          optimiser batch   learn ms  update ms  step GFLOP/s  product GFLOP/s  step/product  learn/product"
    );
    for batch in BATCHES {
        let product = Product::new(batch, device);
        for rule in RULES {
            for (name, optimizer) in optimizers() {
                let mut case = Case::new(rule, &optimizer, batch, device)?;
                // The first steps create the optimiser's state and warm the caches.
                for _ in 0..3 {
                    case.step();
                    product.seconds();
                }
                let (mut learn, mut update, mut both, mut plain) = (vec![], vec![], vec![], vec![]);
                for _ in 0..rounds {
                    let (learned, updated) = case.step();
                    learn.push(learned);
                    update.push(updated);
                    both.push(learned + updated);
                    // As many products as take about as long as one step.
                    plain.extend((0..3).map(|_| product.seconds()));
                }
                let rate = |flops: f64, seconds: f64| flops / seconds / 1e9;
                let (learn, update) = (median(learn), median(update));
                let step = rate(rule.flops(batch), median(both));
                let plain = rate(Product::flops(batch), median(plain));
                println!(
                    "{:<13} {name:<9} {batch:>5} {:>10.2} {:>10.2} {step:>13.1} {plain:>16.1} {:>12.0} % {:>12.0} %",
                    rule.name(),
                    1e3 * learn,
                    1e3 * update,
                    100.0 * step / plain,
                    100.0 * rate(rule.flops(batch), learn) / plain,
                );
            }
        }
    }
    Ok(())
}

fn main() -> burn_forward::Result<()> {
    let name = std::env::var("BURN_FORWARD_DEVICE").unwrap_or_else(|_| burn_forward::device::names()[0].into());
    let device = burn_forward::device::parse(&name)?;
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion, &device)?;
    criterion.final_summary();
    // Without `--bench` (as under `cargo test`), one round checks that the program runs.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    summary(&device, if measuring { 100 } else { 1 })
}
