use std::fs;

use super::*;
use crate::images::ChannelStatistics;
use burn_forward::activation::{Activation, RowShape};
use burn_forward::data::DataSplit;
use rstest::rstest;
use serde_json::json;

fn parse(value: serde_json::Value) -> ImageFolderConfig {
    serde_json::from_value(value).unwrap()
}

/// A folder of grey images of 2x3: so many of every class, each with pixels of one value, 10 times the class and the number.
fn make(folder: &Path, classes: &[(&str, u8)]) {
    for (class, (name, count)) in classes.iter().enumerate() {
        fs::create_dir_all(folder.join(name)).unwrap();
        for i in 0..*count {
            let path = folder.join(name).join(format!("{i}.png"));
            let value = 10 * class as u8 + i;
            image::save_buffer(path, &[value; 6], 3, 2, image::ExtendedColorType::L8).unwrap();
        }
    }
}

fn at(folder: &Path) -> DataFolders {
    DataFolders { config: Some(folder.to_path_buf()), ..DataFolders::default() }
}

fn load(config: &ImageFolderConfig, folder: &Path) -> Result<Box<dyn LoadedData>> {
    config.load(&at(folder), Seed::new(1))
}

fn said(config: &ImageFolderConfig, folder: &Path) -> String {
    load(config, folder).unwrap_err().to_string().replace(&folder.display().to_string(), "HOME")
}

#[test]
fn a_folder_is_enough() {
    let config = parse(json!({"train": "x"}));
    assert_eq!(config, ImageFolderConfig::new("x"));
    assert_eq!(DataSpec::check(&config), []);
    assert_eq!(
        serde_json::to_value(&config).unwrap(),
        json!({"train": "x", "test": 0.2, "validation": 0.1, "pixel-normalisation": "unit", "augment": []})
    );
}

#[test]
fn a_config_survives_the_round_trip() {
    let value = json!({
        "train": "x", "test": "y", "channels": 3, "size": [32, 48], "validation": 0.2, "samples-per-class": 5,
        "pixel-normalisation": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
        "augment": [{"name": "crop", "padding": 4}, {"name": "flip"}],
    });
    let config = parse(value.clone());
    assert_eq!(DataSpec::check(&config), []);
    assert_eq!(serde_json::to_value(&config).unwrap(), value);
    let schema = schemars::schema_for!(ImageFolderConfig).to_value();
    assert_eq!(schema["required"], json!(["train"]));
    assert_eq!(schema["properties"]["size"]["items"]["maximum"], LARGEST_SIDE);
}

#[rstest]
#[case(json!({"train": "", "test": ""}), &[
    "$.data.train: \"\" is empty; needed: a folder",
    "$.data.test: \"\" is empty; needed: a folder, or a fraction",
])]
#[case(json!({"train": "x", "test": 0}), &["$.data.test: 0 is out of range; needed: > 0 and <= 0.9, or a folder"])]
#[case(json!({"train": "x", "test": 0.95}), &["$.data.test: 0.95 is out of range; needed: > 0 and <= 0.9, or a folder"])]
#[case(json!({"train": "x", "channels": 2, "size": [0, 5000]}), &[
    "$.data.channels: 2 is not possible; needed: 1 or 3",
    "$.data.size[0]: 0 is out of range; needed: 1 to 4096",
    "$.data.size[1]: 5000 is out of range; needed: 1 to 4096",
])]
#[case(json!({"train": "x", "validation": 0.91, "samples-per-class": 0}), &[
    "$.data.validation: 0.91 is out of range; needed: 0 to 0.9",
    "$.data.samples-per-class: 0 is out of range; needed: >= 1",
])]
#[case(json!({"train": "x", "channels": 3, "size": [8, 9], "pixel-normalisation": {"mean": [0], "std": [1]},
    "augment": [{"name": "shift", "pixels": 8}]}), &[
    "$.data.pixel-normalisation: number of means and stds is 1 and 1; needed: 3 each",
    "$.data.augment[0].pixels: 8 is out of range; needed: from 1 to 7 for images of 8x9",
])]
fn mistakes_are_named(#[case] value: serde_json::Value, #[case] expected: &[&str]) {
    let found: Vec<_> = DataSpec::check(&parse(value)).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn two_folders_are_training_and_test_set() {
    let home = tempfile::tempdir().unwrap();
    make(&home.path().join("train"), &[("cat", 4), ("ant", 6), ("bee", 3)]);
    // Fewer classes, in no order.
    make(&home.path().join("test"), &[("cat", 2), ("ant", 1)]);
    let config = ImageFolderConfig { test: TestPart::Folder("test".into()), ..ImageFolderConfig::new("train") };
    assert!(config.is_there(&at(home.path())) && !config.is_there(&at(&home.path().join("test"))));
    let data = load(&config, home.path()).unwrap();
    assert_eq!(data.class_names(), ["ant", "bee", "cat"]);
    assert_eq!(data.input(), RowShape::Maps { channels: 1, height: 2, width: 3 });
    let counts = [DataSplit::Train, DataSplit::Validation, DataSplit::Test].map(|split| data.samples(split));
    assert_eq!(counts, [12, 1, 3], "a tenth of six images is one, of four none");
    let loader = data.eval_loader(DataSplit::Test, 10, &burn::tensor::Device::flex()).unwrap();
    let batch = loader.iter().next().unwrap().unwrap();
    assert_eq!(batch.targets.into_data().iter::<i64>().collect::<Vec<_>>(), [0, 2, 2]);
    let pixels: Vec<f32> = batch.inputs.features().into_data().iter().collect();
    let firsts: Vec<f32> = pixels.iter().step_by(6).map(|p| (p * 255.0).round()).collect();
    assert_eq!(firsts, [10.0, 0.0, 1.0], "by folder");
}

#[test]
fn without_a_test_folder_a_share_is_held_out_whatever_the_seed() {
    let home = tempfile::tempdir().unwrap();
    make(&home.path().join("all"), &[("a", 10), ("b", 5)]);
    let config = ImageFolderConfig { validation: 0.0, ..ImageFolderConfig::new("all") };
    let parts = |seed| {
        let (train, test, _) = config.read(&at(home.path())).unwrap();
        ImageData::prepared(train, test, &config.preparation(), Vec::new(), Seed::new(seed)).unwrap().splits
    };
    let (first, second) = (parts(1), parts(2));
    assert_eq!((first.train.class_counts(), first.test.class_counts()), (vec![8, 4], vec![2, 1]));
    assert_eq!(first.test.rows(), second.test.rows());
    let mut rows = [first.train.rows(), first.test.rows()].concat();
    rows.sort_unstable();
    assert_eq!(rows, (0..15).collect::<Vec<u32>>(), "disjoint and complete");
    let few = ImageFolderConfig { test: TestPart::Fraction(0.04), ..config };
    assert_eq!(
        said(&few, home.path()),
        "HOME/all: found 15 images in 2 classes; needed more of every class, since 0.04 of them is no test image, or another \
         $.data.test"
    );
}

#[test]
fn folders_that_do_not_fit_each_other_are_refused() {
    let home = tempfile::tempdir().unwrap();
    make(&home.path().join("train"), &[("a", 2), ("b", 2)]);
    make(&home.path().join("test"), &[("a", 1), ("c", 1)]);
    let with_test =
        |test: &str| ImageFolderConfig { test: TestPart::Folder(test.into()), ..ImageFolderConfig::new("train") };
    assert_eq!(
        said(&with_test("test"), home.path()),
        "HOME/test/c: found the class \"c\"; needed a class of the training images: \"a\", \"b\""
    );
    assert_eq!(
        said(&with_test("test/../train"), home.path()),
        "HOME/test/../train: found the folder of the training images; needed another folder in $.data.test, or a fraction \
         of the training images"
    );
    // The folder that both are in.
    assert_eq!(
        said(&ImageFolderConfig::new("."), home.path()),
        "HOME/./test/a: found a folder among images; needed PNG and JPEG files alone, whose names end in .png, .jpg or .jpeg"
    );
    let error = said(&with_test("nowhere"), home.path());
    assert_eq!(
        error,
        "HOME/nowhere: found no such folder, and no nowhere either; needed a folder with a folder of test images for every \
         class"
    );
    fs::remove_dir_all(home.path().join("test/c")).unwrap();
    image::save_buffer(home.path().join("test/a/1.png"), &[0; 18], 3, 2, image::ExtendedColorType::Rgb8).unwrap();
    assert_eq!(
        said(&with_test("test"), home.path()),
        "HOME/test/a/1.png: found an image of 3x2x3; needed 1x2x3 (channels x height x width), as HOME/train/a/0.png has; \
         $.data.channels would convert it"
    );
    let grey = ImageFolderConfig { channels: Some(1), ..with_test("test") };
    assert_eq!(load(&grey, home.path()).unwrap().samples(DataSplit::Test), 2);
    let resized = ImageFolderConfig { size: Some([4, 5]), ..grey };
    assert_eq!(
        load(&resized, home.path()).unwrap().input(),
        RowShape::Maps { channels: 1, height: 4, width: 5 },
        "known without a file"
    );
    let flipped =
        ImageFolderConfig { augment: vec![Augment::Shift { pixels: 2 }], channels: Some(1), ..with_test("test") };
    assert_eq!(
        said(&flipped, home.path()),
        "data: 1 mistake\n  $.data.augment[0].pixels: 2 is out of range; needed: from 1 to 1 for images of 2x3"
    );
}

/// `--data` names the place of both.
#[test]
fn an_argument_replaces_the_place_of_both_folders() {
    let home = tempfile::tempdir().unwrap();
    make(&home.path().join("other/train"), &[("a", 5), ("b", 5)]);
    make(&home.path().join("other/test"), &[("a", 3), ("b", 3)]);
    let config = ImageFolderConfig { test: TestPart::Folder("old/test".into()), ..ImageFolderConfig::new("old/train") };
    let mut folders = DataFolders { argument: Some(home.path().join("other")), ..DataFolders::default() };
    assert_eq!(config.load(&folders, Seed::new(0)).unwrap().samples(DataSplit::Test), 6);
    // Neither is the folder itself, whatever is in it.
    folders.argument = Some(home.path().join("other/test"));
    let error = config.load(&folders, Seed::new(0)).unwrap_err().to_string();
    let place = home.path().join("other/test");
    let (first, second) = (place.join("old/train"), place.join("train"));
    assert_eq!(
        error,
        format!(
            "{}: found no such folder, and no {} either; needed a folder with a folder of training images for every class",
            first.display(),
            second.display()
        )
    );
    folders.argument = Some(home.path().join("other/train"));
    assert_eq!(ImageFolderConfig::new(".").load(&folders, Seed::new(0)).unwrap().classes(), 2);
}

#[test]
fn a_trained_network_is_tested_without_the_training_images() {
    let home = tempfile::tempdir().unwrap();
    make(&home.path().join("train"), &[("a", 5), ("b", 5), ("c", 5)]);
    make(&home.path().join("test"), &[("b", 3), ("c", 2)]);
    let statistics = ChannelStatistics { mean: vec![0.25], std: vec![0.5] };
    let config = ImageFolderConfig {
        test: TestPart::Folder("test".into()),
        pixel_normalisation: PixelNormalisation::Channels(statistics),
        ..ImageFolderConfig::new("train")
    };
    let whole = load(&config, home.path()).unwrap();
    fs::remove_dir_all(home.path().join("train")).unwrap();
    let trained = whole.signature();
    let alone = config.load_test(&at(home.path()), Seed::new(1), &trained).unwrap();
    assert_eq!((alone.samples(DataSplit::Train), alone.samples(DataSplit::Test)), (0, 5));
    assert_eq!(alone.signature(), trained);
    let batch = |data: &dyn LoadedData| {
        let loader = data.eval_loader(DataSplit::Test, 10, &burn::tensor::Device::flex()).unwrap();
        let batch = loader.iter().next().unwrap().unwrap();
        (batch.inputs.features().into_data(), batch.targets.into_data())
    };
    assert_eq!(batch(alone.as_ref()), batch(whole.as_ref()));
    let wide = ModelSignature { input: RowShape::Maps { channels: 1, height: 2, width: 4 }, ..trained };
    let error = config.load_test(&at(home.path()), Seed::new(1), &wide).unwrap_err().to_string();
    assert!(
        error.ends_with("found an image of 1x2x3; needed 1x2x4 (channels x height x width), as the run was trained on")
    );
}
