//! A Burn module that learns locally, trained with Burn's own `SupervisedTraining`.
//!
//! `learn` detaches the input of a layer and runs the forward and backward pass within it, so no gradient passes from layer to
//! layer.
use burn::data::dataloader::DataLoader;
use burn::nn::{Linear, LinearConfig};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use burn::{optim::AdamConfig, prelude::*, tensor::activation::relu};
use burn_forward::data::DataFolders;
use burn_forward::prelude::*;
use burn_forward_train::images::{DataConfig, DataName, ImageData};
use burn_forward_train::training::{ProgressRenderer, Verbosity};

/// A dense layer with ReLU. Any module from activations to activations can be a block.
#[derive(Module, Debug)]
struct Dense {
    linear: Linear,
}

impl Block for Dense {
    type Input = Tensor<2>;
    type Output = Tensor<2>;
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        relu(self.linear.forward(x))
    }
}

/// The hidden layers learn to classify through their own projections. The outputs of the head *are* the class scores.
#[derive(Module, Debug)]
struct Net {
    hidden: Vec<Local<Dense, ProjectedCrossEntropy>>,
    head: Local<Linear, CrossEntropy>,
}

impl TrainStep for Net {
    type Input = Batch;
    type Output = ClassificationOutput;
    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let mut tape = Tape::new(Labels(batch.targets.clone()));
        let x = self.hidden.iter().fold(batch.features(), |x, layer| layer.learn(x, &mut tape));
        let logits = self.head.learn(x, &mut tape);
        tape.finish(logits)
    }
}

impl InferenceStep for Net {
    type Input = Batch;
    type Output = ClassificationOutput;
    fn step(&self, batch: Batch) -> ClassificationOutput {
        let x = self.hidden.iter().fold(batch.features(), |x, layer| layer.forward(x));
        Labels(batch.targets).classify(self.head.forward(x))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (seed, plain, device) = (Seed::new(0), Device::flex(), Device::flex().autodiff());
    device.seed(seed.value()); // Burn's own layers initialise their weights on the device
    let linear = |d_in, d_out| LinearConfig::new(d_in, d_out).init(&device);
    let loss = |i| ProjectedCrossEntropy::new(256, 10, false, &mut seed.stream("projection", &[i]), &device);
    let (first, second) = (Dense { linear: linear(64, 256) }, Dense { linear: linear(256, 256) });
    let hidden = vec![Local::new(first, loss(0)?), Local::new(second, loss(1)?)];
    let net = Net { hidden, head: Local::new(linear(256, 10), CrossEntropy) };

    let data = ImageData::load(&DataConfig::new(DataName::Digits), &DataFolders::default(), seed)?;
    let train = std::sync::Arc::new(data.train_loader(32, 1, &device)?);
    let valid = std::sync::Arc::new(data.eval_loader(&data.splits.validation, 500, &plain)?);
    let folder = tempfile::tempdir()?;
    let trained = SupervisedTraining::new(&folder, train, valid)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .renderer(Box::new(ProgressRenderer::new(Verbosity::Quiet)))
        .num_epochs(25)
        .launch(Learner::new(net, AdamConfig::new().init(), 1e-3));

    let test = data.eval_loader(&data.splits.test, 500, &plain)?; // all 359 images in one batch
    let result = InferenceStep::step(&trained.model, test.iter().next().ok_or("no images")??);
    let accuracy = Labels(result.targets).accuracy(&result.output);
    println!("test accuracy {:.2} %", 100.0 * accuracy);
    assert!(accuracy >= 0.95, "local learning reaches 95 % on the digits");
    Ok(())
}
