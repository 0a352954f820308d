use super::*;
use crate::images::{HostBatch, PixelNormalisation, Preset};
use burn_forward_testing::skip;

fn load(config: &DataConfig) -> Result<ImageData> {
    ImageData::load(config, &DataFolders::new(None, None), Seed::new(1))
}

#[test]
fn the_digits_need_no_files() {
    let data = ImageData::load(&DataConfig::new(DataName::Digits), &DataFolders::default(), Seed::new(1)).unwrap();
    let sizes = data.splits.sizes();
    assert_eq!((sizes.train, sizes.validation, sizes.test), (1293, 145, 359));
    // The test set is the same for every seed; the validation set is not.
    let other = ImageData::load(&DataConfig::new(DataName::Digits), &DataFolders::default(), Seed::new(2)).unwrap();
    assert_eq!(data.splits.test.rows(), other.splits.test.rows());
    assert_ne!(data.splits.validation.rows(), other.splits.validation.rows());
    let device = Device::default();
    assert_eq!(data.train_loader(64, 3, &device).unwrap().next_epoch(), 3);
    assert_eq!(data.eval_loader(&data.splits.test, 100, &device).unwrap().num_batches(), 4);
}

#[test]
fn statistics_are_those_of_the_training_part() {
    let config = DataConfig {
        pixel_normalisation: PixelNormalisation::Preset(Preset::Standardise),
        ..DataConfig::new(DataName::Digits)
    };
    let data = load(&config).unwrap();
    let statistics = crate::images::ChannelStatistics::measure(&data.splits.train).unwrap();
    assert_eq!(data.normaliser.statistics(), &statistics);
    assert_ne!(statistics, crate::images::ChannelStatistics::measure(&data.splits.test).unwrap());
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let config = DataConfig { validation: 2.0, ..DataConfig::new(DataName::Digits) };
    assert_eq!(
        load(&config).unwrap_err().to_string(),
        "data: 1 mistake\n  $.data.validation: 2 is out of range; needed: 0 to 0.9"
    );
    // The image size of an "idx" data set is known once it is read.
    let folder = tempfile::tempdir().unwrap();
    for prefix in ["train", "test"] {
        let images = [&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2][..], &[0; 4]].concat();
        std::fs::write(folder.path().join(format!("{prefix}-images-idx3-ubyte")), images).unwrap();
        std::fs::write(folder.path().join(format!("{prefix}-labels-idx1-ubyte")), [0, 0, 8, 1, 0, 0, 0, 1, 0]).unwrap();
    }
    let mut config = DataConfig::new(DataName::Idx);
    config.path = Some(folder.path().to_str().unwrap().into());
    assert_eq!(
        load(&config).unwrap().splits.sizes().to_string(),
        "1 training, 0 validation, 1 test images of 1x2x2, 1 classes"
    );
    config.augment = vec![Augment::Flip {}, Augment::Shift { pixels: 2 }];
    assert_eq!(
        load(&config).unwrap_err().to_string(),
        "data: 1 mistake\n  $.data.augment[1].pixels: 2 is out of range; needed: from 1 to 1 for images of 2x2"
    );
}

/// Facts about the public files, if this machine has them.
#[test]
fn the_public_sets_are_as_documented() {
    let facts: [(_, _, _, &[(usize, usize)]); 4] = [
        (DataName::Mnist, [60_000, 10_000], 10, &[(0, 5), (1, 0), (2, 4)]),
        (DataName::FashionMnist, [60_000, 10_000], 10, &[(0, 9), (1, 0), (2, 0)]),
        (DataName::Cifar10, [50_000, 10_000], 10, &[(0, 6), (1, 9), (2, 9)]),
        (DataName::Cifar100, [50_000, 10_000], 100, &[(0, 19), (1, 29), (2, 0)]),
    ];
    for (name, [train, test], classes, labels) in facts {
        let Some(folders) = skip::unless_data_has(name.name()) else { continue };
        let config = DataConfig { validation: 0.0, ..DataConfig::new(name) };
        let data = ImageData::load(&config, &folders, Seed::new(1)).unwrap();
        let sizes = data.splits.sizes();
        assert_eq!((sizes.train, sizes.test, sizes.classes), (train, test, classes), "{name:?}");
        assert_eq!(Some(sizes.shape), name.shape());
        assert!(labels.iter().all(|(i, label)| data.splits.train.label(*i) == *label), "{name:?}");
        let counts = data.splits.test.class_counts();
        match name {
            DataName::Mnist => assert_eq!(counts, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
            _ => assert_eq!(counts, vec![test / classes; classes]),
        }
    }
}

/// The published statistics of MNIST's training set (mean 0.1307, std 0.3081).
#[test]
fn mnist_has_its_published_mean() {
    let config = DataConfig {
        validation: 0.0,
        pixel_normalisation: PixelNormalisation::Preset(Preset::Standardise),
        ..DataConfig::new(DataName::Mnist)
    };
    let Some(folders) = skip::unless_data_has("mnist") else { return };
    let data = ImageData::load(&config, &folders, Seed::new(1)).unwrap();
    let statistics = data.normaliser.statistics();
    assert!((statistics.mean[0] - 0.1307).abs() < 5e-5 && (statistics.std[0] - 0.3081).abs() < 5e-5, "{statistics:?}");
    let batch = HostBatch::new(&data.splits.train, &[0, 1], &data.normaliser).unwrap();
    assert_eq!(batch.shape, [2, 1, 28, 28]);
}
