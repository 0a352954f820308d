//! A run that is stopped and resumed ends with exactly the same weights as an uninterrupted run.
use burn_forward_train::training::{Run, RunOptions};

fn config(epochs: usize) -> String {
    format!(
        r#"{{
            "data": {{"name": "digits"}},
            "network": {{"name": "mlp", "widths": [64, 64], "dropout": 0.2}},
            "rule": {{"name": "mono-forward"}},
            "training": {{"epochs": {epochs}, "batch-size": 32}},
            "optimizer": {{"name": "adam", "lr": 0.003}}
        }}"#
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (registry, place) = (burn_forward_cli::registry(), tempfile::tempdir()?);
    let run = |epochs| Run::from_json(&config(epochs), &registry, RunOptions::on("flex"));
    let [whole, stopped] = ["whole", "stopped"].map(|name| place.path().join(name));

    let uninterrupted = run(4)?.train_in(&whole)?;

    // Two epochs, then two more from the checkpoint, which restores the weights, the optimiser's moments, the order of batches
    // and dropout.
    let half = run(2)?.train_in(&stopped)?;
    assert_eq!(half.epochs, 2);
    let resumed = run(4)?.train_in(&stopped)?;
    assert_eq!(resumed.epochs, 4);

    let [a, b] = [&whole, &stopped].map(|folder| std::fs::read(folder.join("model.safetensors")));
    assert!(a? == b?, "the weights are identical to the bit");
    assert_eq!(resumed.test_accuracy, uninterrupted.test_accuracy);
    println!("test accuracy {:.2} % either way", 100.0 * resumed.test_accuracy);

    // Training a finished run again changes nothing.
    assert_eq!(run(4)?.train_in(&stopped)?, resumed);
    Ok(())
}
