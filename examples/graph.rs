//! Classification of the nodes of a graph. A graph convolutional network learns layer by layer, with the rule of ForwardGNN
//! (Park et al. 2024, arXiv 2403.11004). The graph is the karate club, which is embedded; the labels of two members are given.
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
    println!("{} of {} other members are classified correctly", summary.correct, run.data.samples(DataSplit::Test));
    assert!(summary.test_accuracy >= 0.85, "friendships predict most of the classes");
    Ok(())
}
