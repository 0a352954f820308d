//! A custom layer in a network that any rule can train; here Mono-Forward, in a plain training loop.
//!
//! The layer is a gated dense layer: `h = relu(x W + b) * sigmoid(x V + c)`, with `W` and `V` `[d_in, d_out]`.
use burn::data::dataloader::DataLoader;
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamConfig;
use burn::prelude::*;
use burn::tensor::activation::{relu, sigmoid};
use burn_forward::data::DataFolders;
use burn_forward::network::LayerExport;
use burn_forward::prelude::*;
use burn_forward::rules::MonoForwardConfig;
use burn_forward_train::images::{DataConfig, DataName, ImageData};

#[derive(Module, Debug)]
struct Gated {
    values: Linear,
    gates: Linear,
}

impl Gated {
    fn new(d_in: usize, d_out: usize, device: &Device) -> Self {
        let linear = || LinearConfig::new(d_in, d_out).init(device);
        Self { values: linear(), gates: linear() }
    }

    fn sizes(&self) -> [usize; 2] {
        self.values.weight.dims()
    }
}

impl Layer for Gated {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }

    fn describe(&self) -> String {
        let [d_in, d_out] = self.sizes();
        format!("gated {d_in}->{d_out}")
    }

    fn output(&self) -> RowShape {
        RowShape::Features(self.sizes()[1])
    }

    fn macs_per_row(&self) -> usize {
        2 * self.sizes().iter().product::<usize>()
    }

    fn trace(&self, input: AnyActivation, _bias: Option<Tensor<2>>) -> Trace<AnyActivation> {
        let x = input.features();
        let h = relu(self.values.forward(x.clone())) * sigmoid(self.gates.forward(x));
        AnyActivation::Features(h).into()
    }

    fn export(&self) -> LayerExport {
        let [kind, normalisation, activation] = ["gated-linear", "none", "relu"].map(String::from);
        LayerExport { name: String::new(), kind, normalisation, activation }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (seed, device) = (Seed::new(0), Device::flex().autodiff());
    device.seed(seed.value()); // Burn's own layers initialise their weights on the device
    let data = ImageData::load(&DataConfig::new(DataName::Digits), &DataFolders::default(), seed)?;

    // Each layer is a block: it learns from its own loss, and no gradient passes between the two.
    let layers = vec![AnyLayer::new(Gated::new(64, 128, &device)), AnyLayer::new(Gated::new(128, 128, &device))];
    let network = Network::new(layers, Partition::LAYER)?;
    let rule = MonoForwardConfig::default().build(&network, 10, seed)?;
    let mut model = LocalModel::new(network, rule, seed);

    let train = data.train_loader(32, 1, &device)?;
    let mut optimizer = AdamConfig::new().init();
    for _epoch in 0..15 {
        for batch in train.iter() {
            (model, _) = model.learn_with(&batch?, |model, gradients| optimizer.step(2e-3, model, gradients));
        }
    }

    let test = data.eval_loader(&data.splits.test, 500, &Device::flex())?; // all 359 images in one batch
    let batch = test.iter().next().ok_or("no images")??;
    let accuracy = Labels(batch.targets).accuracy(&model.valid().scores(batch.inputs).primary());
    println!("test accuracy {:.2} %", 100.0 * accuracy);
    assert!(accuracy >= 0.9, "gated layers learn the digits");
    Ok(())
}
