//! Direct feedback alignment in a Burn module: the hidden layers learn from a signal that exists only after the forward pass.
//!
//! Fixed random matrices carry the output error directly to every hidden layer. `defer` runs a layer and keeps its graph until
//! the error is known.
use burn::data::dataloader::DataLoader;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::{softmax, tanh};
use burn::{optim::AdamConfig, optim::GradientsParams};
use burn_forward::data::DataFolders;
use burn_forward::pieces::feedback::{OutputSignal, ProjectedFeedback};
use burn_forward::pieces::label::one_hot;
use burn_forward::prelude::*;
use burn_forward_train::images::{DataConfig, DataName, ImageData};

#[derive(Module, Debug)]
struct Dense {
    linear: Linear,
}

impl Block for Dense {
    type Input = Tensor<2>;
    type Output = Tensor<2>;
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        tanh(self.linear.forward(x))
    }
}

/// Hidden layers, each with a feedback matrix, and a classifier.
#[derive(Module, Debug)]
struct Net {
    hidden: Vec<Local<Dense, ProjectedFeedback>>,
    head: Local<Linear, CrossEntropy>,
}

impl Net {
    fn scores(&self, x: Tensor<2>) -> Tensor<2> {
        self.head.forward(self.hidden.iter().fold(x, |x, layer| layer.forward(x)))
    }

    /// The gradients of one step.
    fn learn(&self, batch: &Batch) -> GradientsParams {
        let mut tape = Tape::new(Labels(batch.targets.clone()));
        let (mut x, mut waiting) = (batch.features(), Vec::new());
        for layer in &self.hidden {
            let (output, deferred) = layer.defer(x);
            x = output;
            waiting.push(deferred);
        }
        let logits = self.head.learn(x, &mut tape);
        let error = OutputSignal(softmax(logits, 1) - one_hot(&batch.targets, batch.classes));
        waiting.into_iter().for_each(|layer| layer.learn(&error, &mut tape));
        tape.into_parts().0
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (seed, plain, device) = (Seed::new(0), Device::flex(), Device::flex().autodiff());
    device.seed(seed.value()); // Burn's own layers initialise their weights on the device
    let linear = |d_in, d_out| LinearConfig::new(d_in, d_out).init(&device);
    let hidden = [(64, 256), (256, 256)].into_iter().zip(0u64..).map(|((d_in, d_out), i)| {
        let feedback = ProjectedFeedback::new(d_out, 10, &mut seed.stream("feedback", &[i]), &device)?;
        Ok(Local::new(Dense { linear: linear(d_in, d_out) }, feedback))
    });
    let hidden = hidden.collect::<burn_forward::Result<Vec<_>>>()?;
    let mut net = Net { hidden, head: Local::new(linear(256, 10), CrossEntropy) };

    let data = ImageData::load(&DataConfig::new(DataName::Digits), &DataFolders::default(), seed)?;
    let train = data.train_loader(32, 1, &device)?;
    let mut optimizer = AdamConfig::new().init();
    for _ in 0..25 {
        for batch in train.iter() {
            let gradients = net.learn(&batch?);
            net = optimizer.step(1e-3, net, gradients);
        }
    }
    let test = data.eval_loader(&data.splits.test, 500, &plain)?; // all 359 images in one batch
    let batch = test.iter().next().ok_or("no images")??;
    let accuracy = Labels(batch.targets.clone()).accuracy(&net.valid().scores(batch.features()));
    println!("test accuracy {:.2} %", 100.0 * accuracy);
    assert!(accuracy >= 0.95, "direct feedback alignment reaches 95 % on the digits");
    Ok(())
}
