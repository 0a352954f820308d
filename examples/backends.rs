//! Runs the same five training steps on every backend that was compiled in, and asserts that the losses of every block agree.
//! At least two backends have to be compiled in.
//!
//! `cargo run --release -p burn-forward-examples --example backends --features flex,ndarray,wgpu,tch`

use burn::train::{ItemLazy, TrainStep};
use burn_forward_train::config::RunConfig;
use burn_forward_train::training::{Run, RunOptions};
use serde_json::json;

const STEPS: usize = 5;
/// Largest allowed difference of a loss, relative to the loss on the first backend.
const TOLERANCE: f64 = 1e-4;

/// Losses by step and block.
type Losses = Vec<Vec<f64>>;

fn losses(rule: &str, device: &str) -> Result<Losses, Box<dyn std::error::Error>> {
    let normalisation = if rule == "forward-forward" { "rms" } else { "none" };
    let config = json!({
        "data": {"name": "digits"},
        "network": {"name": "mlp", "widths": [256, 256], "normalisation": normalisation},
        "rule": {"name": rule},
        "training": {"epochs": 1, "batch-size": 64},
        "optimizer": {"name": "adam", "lr": 1e-3},
    });
    let config = RunConfig::from_value("backends", config, &[], &burn_forward_train::registry())?;
    let run = Run::prepare(config, RunOptions::on(device))?;
    let groups = run.config.rule.parameter_groups();
    let mut optimizer = run.config.optimizer.optimizer(&groups)?;
    let mut model = run.model()?;
    let loader = run.data.train_loader(run.config.training.batching(), 1, 0, &run.training_device())?;
    let mut losses = Vec::new();
    for batch in loader.iter().take(STEPS) {
        let output = TrainStep::step(&model, batch?);
        model = optimizer.step(run.config.optimizer.lr, model, output.grads);
        let item = output.item.sync().map_err(|e| format!("{device}: {e:?}"))?;
        losses.push(item.metrics().blocks.iter().filter_map(|(_, numbers)| numbers.loss).collect());
    }
    Ok(losses)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Only plain names: `wgpu:cpu` and numbered devices are further devices of the same backends.
    let devices: Vec<&str> =
        burn_forward::device::names().into_iter().filter(|name| !name.contains([':', '-'])).collect();
    if devices.len() < 2 {
        return Err(format!("only the backend {} was compiled in; needed: at least two", devices.join(", ")).into());
    }
    for rule in ["backprop", "mono-forward", "forward-forward", "dfa"] {
        let mut reference: Option<Losses> = None;
        for device in &devices {
            let found = losses(rule, device)?;
            let whole: Vec<String> =
                found.iter().filter_map(|step| step.last()).map(|loss| format!("{loss:.7}")).collect();
            let reference = reference.get_or_insert_with(|| found.clone());
            let pairs = reference.iter().flatten().zip(found.iter().flatten());
            // `total_cmp` treats NaN as the largest number; `f64::max` would ignore it.
            let difference = pairs.map(|(a, b)| ((a - b) / a).abs()).max_by(f64::total_cmp).ok_or("no losses")?;
            println!("{rule:<16} {device:<9} loss {}  largest difference {difference:.1e}", whole.join(" "));
            assert_eq!(found.len(), STEPS);
            assert!(found.iter().zip(reference.iter()).all(|(a, b)| a.len() == b.len() && !a.is_empty()));
            assert!(difference <= TOLERANCE, "{rule} on {device}: losses differ by {difference:e}");
        }
    }
    Ok(())
}
