//! The result of training is an ordinary file of weights. Here a plain Burn module, which does not use burn-forward, loads it.
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::store::{ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore};
use burn::tensor::activation::relu;
use burn_forward::data::DataSplit;
use burn_forward_train::training::{Run, RunOptions, open_model};

/// The network as one would write it for inference, without blocks and local losses.
#[derive(Module, Debug)]
struct Plain {
    layers: Vec<Linear>,
    head: Linear,
}

impl Plain {
    fn new(device: &Device) -> Self {
        let layers = vec![LinearConfig::new(64, 64).init(device), LinearConfig::new(64, 64).init(device)];
        Self { layers, head: LinearConfig::new(64, 10).with_bias(false).init(device) }
    }

    fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        self.head.forward(self.layers.iter().fold(images, |x, layer| relu(layer.forward(x))))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = r#"{
        "data": {"name": "digits"},
        "network": {"name": "mlp", "widths": [64, 64]},
        "rule": {"name": "mono-forward"},
        "training": {"epochs": 5, "batch-size": 32},
        "optimizer": {"name": "adam", "lr": 0.003}
    }"#;
    let registry = burn_forward_cli::registry();
    let run = Run::from_json(config, &registry, RunOptions::on("flex"))?;
    let folder = tempfile::tempdir()?;
    run.train_in(folder.path())?;

    let device = Device::flex();
    let test = run.data.eval_loader(DataSplit::Test, 500, &device)?; // all 359 images in one batch
    let batch = test.iter().next().ok_or("no images")??;

    // With burn-forward: load the model of the run, with its rule's readout. This needs only the run folder.
    let model = open_model(folder.path(), &registry, &device)?;
    let scores = model.scores(batch.inputs.clone()).primary();

    // Without burn-forward: load `layers.<i>.weight`, `layers.<i>.bias` and `head.weight`, in PyTorch's layout.
    let file = folder.path().join("model.safetensors");
    let mut store = SafetensorsStore::from_file(file).with_from_adapter(PyTorchToBurnAdapter);
    let mut plain = Plain::new(&device);
    plain.load_from(&mut store)?;
    let by_plain = plain.forward(batch.features());

    let difference = (scores.clone() - by_plain.clone()).abs().max().into_scalar::<f64>();
    println!("largest difference of a class score: {difference:.1e}");
    assert!(difference < 1e-4, "the file alone gives the same scores");
    let [classes, by_plain] = [scores, by_plain].map(|scores| scores.argmax(1).into_data());
    assert_eq!(classes, by_plain, "the predictions are the same");
    Ok(())
}
