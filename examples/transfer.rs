//! Transfer: a network starts with trained weights, and its first layer is frozen. The weights may come from any PyTorch or
//! safetensors file with the tensors of the network; here they come from another run.
use burn::prelude::*;
use burn_forward::data::DataSplit;
use burn_forward::prelude::*;
use burn_forward_train::training::{Run, RunOptions};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (registry, folder) = (burn_forward_cli::registry(), tempfile::tempdir()?);
    let network = json!({"name": "mlp", "widths": [128, 128]});
    let optimizer = json!({"name": "adam", "lr": 0.002});
    let run = |config: serde_json::Value| Run::from_json(&config.to_string(), &registry, RunOptions::on("flex"));

    let source = run(json!({
        "data": {"name": "digits"}, "network": network, "rule": {"name": "mono-forward"},
        "training": {"epochs": 10, "batch-size": 32}, "optimizer": optimizer,
    }))?;
    source.train_in(folder.path().join("source"))?;

    // Three images per class: not enough to learn from scratch.
    let few = json!({
        "data": {"name": "digits", "samples-per-class": 3}, "network": network, "rule": {"name": "mono-forward"},
        "training": {"epochs": 20, "batch-size": 10}, "optimizer": optimizer,
    });
    let scratch = run(few.clone())?.train_in(folder.path().join("scratch"))?;
    let mut transfer = few;
    let file = folder.path().join("source/model.safetensors");
    transfer["weights"] = json!({"file": file, "freeze": 1, "classifier": false});
    let transfer = run(transfer)?;
    let summary = transfer.train_in(folder.path().join("transfer"))?;
    let [before, after] = [scratch.test_accuracy, summary.test_accuracy].map(|accuracy| 100.0 * accuracy);
    println!("test accuracy {before:.2} % from scratch, {after:.2} % from trained weights");
    assert!(summary.test_accuracy > scratch.test_accuracy, "trained weights help");

    // The outputs of the frozen layer are identical to those in the source run, to the bit.
    let test = source.data.eval_loader(DataSplit::Test, 100, &Device::flex())?;
    let batch = test.iter().next().ok_or("no images")??;
    let [before, after] =
        [source.model_from(folder.path().join("source"))?, transfer.model_from(folder.path().join("transfer"))?]
            .map(|model| model.layers().next().map(|layer| layer.forward(batch.inputs.clone())));
    let features = |h: Option<AnyActivation>| h.map(|h| h.features().into_data());
    assert_eq!(features(before), features(after));
    Ok(())
}
