//! Nodes of a graph: a graph convolutional network that learns layer by layer, one after the other, by the rule of ForwardGNN
//! (Park et al. 2024, arXiv 2403.11004). Of the karate club, which is embedded, two members are known to it.
use burn_forward::data::DataSplit;
use burn_forward_train::training::{Run, RunOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = r#"{
        "data": {"name": "karate"},
        "network": {"name": "gcn", "widths": [16, 16], "normalisation": "l2"},
        "rule": {"name": "single-forward"},
        "schedule": {"name": "greedy"},
        "training": {"epochs": 100},
        "optimizer": {"name": "adam", "lr": 0.01}
    }"#;
    let run = Run::from_json(config, &burn_forward_cli::registry(), RunOptions::on("flex"))?;
    println!("{}", run.data.describe());
    assert_eq!(run.data.samples(DataSplit::Train), 2);

    let folder = tempfile::tempdir()?;
    let summary = run.train_in(folder.path())?;
    println!("{} of {} other members are right", summary.correct, run.data.samples(DataSplit::Test));
    assert!(summary.test_accuracy >= 0.85, "who is a friend of whom says most of it");
    Ok(())
}
