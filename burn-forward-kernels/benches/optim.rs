//! A step of SGD, Adam and AdamW, in one pass and with Burn's own operations, in GB/s of the numbers that it has to read and
//! write, compared with a triad `a = b + s c` on all cores.
//!
//! Run `cargo bench --features ndarray --bench optim`. The measurements for the table at the end alternate, so that other load
//! on the machine affects all of them equally.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, Optimizer, SgdConfig};
use burn::tensor::{Device, Distribution, Tensor};
use burn_forward_kernels::optim::{FusedAdam, FusedAdamW, FusedSgd};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use rayon::prelude::*;

/// Numbers of weights of a parameter: a bias, small and large weights of a dense layer, and weights that fit in no cache.
const SIZES: [usize; 6] = [1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 24];

/// A step of one parameter, with a gradient that is not used elsewhere.
struct Case {
    name: &'static str,
    /// Numbers that are read and written per weight.
    words: usize,
    step: Box<dyn FnMut(Tensor<1>)>,
}

fn random(size: usize) -> Tensor<1> {
    Tensor::random([size], Distribution::Normal(0.0, 0.1), &Device::flex())
}

/// Steps of `optimizer` with `size` weights.
fn stepping<O: Optimizer>(optimizer: O, size: usize) -> Box<dyn FnMut(Tensor<1>)> {
    let mut held = Some((random(size), None));
    Box::new(move |gradient| {
        held = held.take().map(|(weights, state)| optimizer.step(1e-3, weights, gradient, state));
    })
}

fn cases(size: usize) -> Vec<Case> {
    let momentum = || Some(MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false });
    let case = |name, words, step| Case { name, words, step };
    vec![
        case("SGD, Burn", 3, stepping(SgdConfig::new().build(), size)),
        case("SGD", 3, stepping(FusedSgd::default(), size)),
        case("momentum, Burn", 5, stepping(SgdConfig::new().with_momentum(momentum()).build(), size)),
        case("momentum", 5, stepping(FusedSgd { momentum: momentum(), weight_decay: None }, size)),
        case("Adam, Burn", 7, stepping(AdamConfig::new().build(), size)),
        case("Adam", 7, stepping(FusedAdam::default(), size)),
        case("AdamW, Burn", 7, stepping(AdamWConfig::new().build(), size)),
        case("AdamW", 7, stepping(FusedAdamW::default(), size)),
        case("triad", 3, triad(size)),
    ]
}

/// `a = b + s c` on all threads, which shows the memory bandwidth.
fn triad(size: usize) -> Box<dyn FnMut(Tensor<1>)> {
    const CHUNK: usize = 1 << 14;
    let (mut a, b, c) = (vec![0.0f32; size], vec![1.0f32; size], vec![2.0f32; size]);
    Box::new(move |_| {
        let s = black_box(0.5f32);
        let work = |(a, (b, c)): (&mut [f32], (&[f32], &[f32]))| {
            a.iter_mut().zip(b).zip(c).for_each(|((a, b), c)| *a = b + s * c);
        };
        if size < 1 << 16 {
            work((&mut a, (&b, &c)));
        } else {
            a.par_chunks_mut(CHUNK).zip(b.par_chunks(CHUNK).zip(c.par_chunks(CHUNK))).for_each(work);
        }
        black_box(&a);
    })
}

/// Fastest and median seconds of each step, measured alternately.
fn in_turns(cases: &mut [Case], size: usize, rounds: usize, calls: usize) -> Vec<[f64; 2]> {
    let gradient = random(size);
    let mut seconds = vec![Vec::with_capacity(rounds); cases.len()];
    for _ in 0..rounds {
        for (case, seconds) in cases.iter_mut().zip(&mut seconds) {
            let gradients: Vec<_> = (0..calls).map(|_| gradient.clone().mul_scalar(1.0)).collect();
            let begun = Instant::now();
            gradients.into_iter().for_each(&mut case.step);
            seconds.push(begun.elapsed().as_secs_f64() / calls as f64);
        }
    }
    let sorted = seconds.into_iter().map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        [seconds[0], seconds[rounds / 2]]
    });
    sorted.collect()
}

fn table() {
    println!("\nGB/s in the fastest of 21 rounds (median); {} threads", rayon::current_num_threads());
    let mut rows: Vec<String> = cases(1).iter().map(|case| format!("{:>15}", case.name)).collect();
    let mut head = format!("{:>15}", "numbers");
    for size in SIZES {
        head += &format!("{size:>18}");
        let mut cases = cases(size);
        in_turns(&mut cases, size, 1, 3);
        let seconds = in_turns(&mut cases, size, 21, ((1 << 20) / size).clamp(1, 200));
        for ((row, case), seconds) in rows.iter_mut().zip(&cases).zip(seconds) {
            let [fastest, median] = seconds.map(|seconds| (4 * case.words * size) as f64 / seconds / 1e9);
            *row += &format!("{:>18}", format!("{fastest:.1} ({median:.1})"));
        }
    }
    println!("{head}\n{}", rows.join("\n"));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for size in [1 << 10, 1 << 20] {
        let mut group = criterion.benchmark_group(format!("{size} weights"));
        for mut case in cases(size) {
            group.throughput(Throughput::Bytes((4 * case.words * size) as u64));
            let gradient = random(size);
            let copy = || gradient.clone().mul_scalar(1.0);
            group.bench_function(BenchmarkId::from_parameter(case.name), |b| {
                b.iter_batched(copy, &mut case.step, BatchSize::LargeInput);
            });
        }
        group.finish();
    }
    criterion.final_summary();
    // Not if `cargo test` only checks that the benchmarks run.
    if std::env::args().any(|argument| argument == "--bench") {
        table();
    }
}
