//! Custom data in two forms: as tensors, and as Burn's `Dataset` with a `Batcher`. Both train the same model.
//!
//! The samples are points in a square. The class of a point is the sign of the product of its coordinates, so no linear
//! classifier gets more than about half of the points right.
use burn::data::dataloader::{DataLoader, DataLoaderBuilder, batcher::Batcher};
use burn::data::dataset::InMemDataset;
use burn::optim::AdamConfig;
use burn::prelude::*;
use burn::tensor::Distribution;
use burn_forward::data::{DataSplit, LoadedData, Rows};
use burn_forward::prelude::*;
use burn_forward::rules::MonoForwardConfig;

/// Random points `[n, 2]` and their classes `[n]`.
fn points(n: usize, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let x = Tensor::<2>::random([n, 2], Distribution::Uniform(-1.0, 1.0), device);
    let classes = x.clone().prod_dim(1).greater_elem(0.0).int().reshape([n]);
    (x, classes)
}

/// Makes batches of points for Burn's data loader.
#[derive(Clone)]
struct PointBatcher;

impl Batcher<([f32; 2], i64), Batch> for PointBatcher {
    fn batch(&self, items: Vec<([f32; 2], i64)>, device: &Device) -> Batch {
        let n = items.len();
        let (x, classes): (Vec<[f32; 2]>, Vec<i64>) = items.into_iter().unzip();
        let x = Tensor::<2>::from_data(TensorData::new(x.concat(), [n, 2]), device);
        Batch::new(x, Tensor::from_data(TensorData::new(classes, [n]), device), 2)
    }
}

/// Trains a new model with Mono-Forward, and returns its test accuracy.
fn accuracy(
    train: &dyn DataLoader<Batch>,
    test: &dyn DataLoader<Batch>,
    device: &Device,
) -> Result<f64, Box<dyn std::error::Error>> {
    let seed = Seed::new(1);
    let layers = MlpConfig::new([64, 64]).layers(RowShape::Features(2), seed, device)?;
    let network = Network::new(layers, Partition::LAYER)?;
    let rule = MonoForwardConfig::default().build(&network, 2, seed)?;
    let mut model = LocalModel::new(network, rule, seed);
    let mut optimizer = AdamConfig::new().init();
    for _epoch in 0..30 {
        for batch in train.iter() {
            (model, _) = model.learn_with(&batch?, |model, gradients| optimizer.step(5e-3, model, gradients));
        }
    }
    let batch = test.iter().next().ok_or("no test batch")??;
    Ok(Labels(batch.targets).accuracy(&model.valid().scores(batch.inputs).primary()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (plain, device) = (Device::flex(), Device::flex().autodiff());
    plain.seed(0);
    let [(x, y), (x_test, y_test)] = [points(1000, &plain), points(500, &plain)];

    // From tensors. The order of an epoch depends only on the seed and the epoch. A tenth is held out for validation.
    let test = Rows::from_tensors(x_test, &y_test, 2)?;
    let rows = Rows::from_tensors(x.clone(), &y, 2)?.with_test(&test)?.split([0.1, 0.0], Seed::new(0))?;
    println!("{}", rows.describe());
    assert_eq!(
        [DataSplit::Train, DataSplit::Validation, DataSplit::Test].map(|part| rows.samples(part)),
        [900, 100, 500]
    );
    let train = rows.train_loader(32.into(), 1, 0, &device)?;
    let test = rows.eval_loader(DataSplit::Test, 500, &plain)?;
    let from_tensors = accuracy(train.as_ref(), test.as_ref(), &device)?;

    // From a Burn data set, in the order of Burn's loader.
    let values: Vec<f32> = x.into_data().iter::<f32>().collect();
    let points = values.chunks(2).map(|point| [point[0], point[1]]);
    let items: Vec<([f32; 2], i64)> = points.zip(y.into_data().iter::<i64>()).collect();
    let builder = DataLoaderBuilder::new(PointBatcher).batch_size(32).shuffle(0).set_device(device.clone());
    let train = builder.build(InMemDataset::new(items));
    let from_dataset = accuracy(train.as_ref(), test.as_ref(), &device)?;

    println!("test accuracy {:.1} % from tensors, {:.1} % from a data set", 100.0 * from_tensors, 100.0 * from_dataset);
    assert!(from_tensors >= 0.9 && from_dataset >= 0.9, "both models learn what no linear classifier can");
    Ok(())
}
