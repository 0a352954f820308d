//! A small ResNet-18 that learns block by block. The stem and every residual block have their own auxiliary classifier
//! (Belilovsky, Eickenberg and Oyallon 2020, arXiv 1901.08164), and no gradient crosses a block border.
use burn_forward_train::training::{Run, RunOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = r#"{
        "data": {"name": "digits"},
        "network": {"name": "resnet", "depth": 18, "width": 0.125, "stem": "cifar", "partition": "residual"},
        "rule": {"name": "decoupled-greedy"},
        "training": {"epochs": 8, "batch-size": 32},
        "optimizer": {"name": "adam", "lr": 0.003}
    }"#;
    let run = Run::from_json(config, &burn_forward_cli::registry(), RunOptions::on("flex"))?;
    assert_eq!(run.model()?.network.len(), 9, "the stem and eight residual blocks");

    let folder = tempfile::tempdir()?;
    let summary = run.train_in(folder.path())?;
    println!("test accuracy {:.2} %", 100.0 * summary.test_accuracy);

    // Every block makes predictions, since each of them has a trained classifier.
    let evaluation = run.test(&run.model_from(folder.path())?)?;
    for block in &evaluation.blocks {
        let accuracy = block.accuracy.ok_or("a block without a classifier")?;
        println!("  block {}: {:.2} %", block.index, 100.0 * accuracy);
        assert!(accuracy > 0.5, "block {} is better than chance (10 %)", block.index);
    }
    assert_eq!(evaluation.accuracy, summary.test_accuracy, "the loaded model is the trained one");
    assert!(summary.test_accuracy >= 0.9, "local learning of convolutions reaches 90 % on the digits");
    Ok(())
}
