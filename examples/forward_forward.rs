//! Forward-Forward (Hinton 2022, arXiv 2212.13345) in a Burn module, with a plain training loop.
//!
//! The first pixels of an image are replaced by a label. Every layer increases the goodness of images with their true label, and
//! decreases that of images with a wrong label. The prediction is the label with the highest goodness.
use burn::data::dataloader::DataLoader;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn_forward::data::DataFolders;
use burn_forward::pieces::goodness_loss::energy;
use burn_forward::prelude::*;
use burn_forward_train::images::{DataConfig, DataName, ImageData};

const WIDTH: usize = 256;
const CLASSES: usize = 10;

/// A dense layer after a normalisation, which removes the goodness of the layer below from its output.
#[derive(Module, Debug)]
struct Dense {
    linear: Linear,
}

impl Block for Dense {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.trace(x).output
    }

    /// Returns the values of the units as well, which peer normalisation needs.
    fn trace(&self, x: Tensor<2>) -> Trace<Tensor<2>> {
        let z = self.linear.forward(Normalisation::Rms.forward(x));
        let h = relu(z.clone());
        Trace { output: h.clone(), units: Some(Units { pre_activation: z, activity: h }) }
    }
}

#[derive(Module, Debug)]
struct Net {
    layers: Vec<Local<Dense, GoodnessLoss>>,
}

impl Net {
    fn learn(&self, pairs: &Pairs) -> GradientsParams {
        let mut tape = Tape::new(pairs.polarity());
        self.layers.iter().fold(pairs.rows(), |x, layer| layer.learn(x, &mut tape));
        tape.into_parts().0
    }

    /// The goodness of every candidate label `[B, 10]`.
    fn scores(&self, x: &Tensor<2>) -> Tensor<2> {
        energy(&self.layers, 0, x, CLASSES)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (seed, device) = (Seed::new(0), Device::flex().autodiff());
    device.seed(seed.value()); // Burn's own layers initialise their weights on the device
    let layer = |d_in| -> burn_forward::Result<_> {
        let loss = GoodnessLoss::new(WIDTH, Goodness::SumSquares, PairLoss::default(), &device)?;
        let loss = loss.with_weight(0.5).with_peer(WIDTH, PeerConfig::default(), &device);
        Ok(Local::new(Dense { linear: LinearConfig::new(d_in, WIDTH).init(&device) }, loss))
    };
    let mut net = Net { layers: vec![layer(64)?, layer(WIDTH)?] };

    let data = ImageData::load(&DataConfig::new(DataName::Digits), &DataFolders::default(), seed)?;
    let train = data.train_loader(32, 1, &device)?;
    let mut optimizer = AdamConfig::new().init();
    for _epoch in 0..30 {
        for batch in train.iter() {
            let batch = batch?;
            let mut rng = seed.stream("negatives", &[batch.key.step]);
            let wrong = Negatives::Wrong.draw(&batch.targets, None, CLASSES, &mut rng);
            let gradients = net.learn(&Pairs::overlaid(&batch.features(), &batch.targets, &wrong, CLASSES));
            net = optimizer.step(1e-3, net, gradients);
        }
    }

    let test = data.eval_loader(&data.splits.test, 500, &Device::flex())?; // all 359 images in one batch
    let batch = test.iter().next().ok_or("no images")??;
    let accuracy = Labels(batch.targets.clone()).accuracy(&net.valid().scores(&batch.features()));
    println!("test accuracy {:.2} %", 100.0 * accuracy);
    assert!(accuracy >= 0.9, "Forward-Forward learns the digits");
    Ok(())
}
