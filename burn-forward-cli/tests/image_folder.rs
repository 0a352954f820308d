//! The data set `image-folder`, from image files to a trained network and its predictions.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::fs;
use std::path::Path;

use burn_forward_train::images::{ImageSubset, digits};
use program::{Place, config, idx, image_folder, merge, metrics, png, read_json, weights};
use serde_json::{Value, json};

/// The pixels of the digits range from 0 to 16.
const BRIGHTNESS: u8 = 15;

/// Writes images, alternating between classes, as IDX and as PNG files.
fn write(folder: &Path, part: &str, images: &ImageSubset) {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for class in 0..10 {
        for i in (0..images.len()).filter(|i| images.label(*i) == class) {
            let image: Vec<u8> = images.image(i).iter().map(|p| p * BRIGHTNESS).collect();
            png(&folder.join(format!("png/{part}/{class}/{i:04}.png")), [8, 8], &image);
            pixels.extend(image);
            labels.push(class as u8);
        }
    }
    let n = labels.len();
    fs::write(folder.join(format!("idx/{part}-images-idx3-ubyte")), idx(&[n, 8, 8], &pixels)).unwrap();
    fs::write(folder.join(format!("idx/{part}-labels-idx1-ubyte")), idx(&[n], &labels)).unwrap();
}

/// The same pixels in another format are the same data. The result is identical to the bit to that of IDX files in the order of
/// the folder, and as accurate as that of the embedded digits, which have another order.
#[test]
fn digits_in_png_files_train_the_network_that_they_train_in_idx_files() {
    let place = Place::new();
    let (train, test) = digits::parts().unwrap();
    fs::create_dir(place.file("idx")).unwrap();
    write(place.path(), "train", &train);
    write(place.path(), "test", &test);
    let run = |name: &str, mut data: Value| {
        merge(&mut data, json!({"validation": 0.1, "pixel-normalisation": "standardise"}));
        let changes = json!({"training": {"epochs": 6}, "optimizer": {"lr": 0.005}});
        let mut config = config(json!({"name": "mono-forward"}), changes);
        config["data"] = data;
        place.train(name, &config)
    };
    let files = run("files", json!({"name": "image-folder", "train": "png/train", "test": "png/test"}));
    let idx = run("idx-run", json!({"name": "idx", "path": "idx"}));
    assert_eq!(metrics(&files), metrics(&idx));
    // The headers differ: the folders give names to the classes.
    let tensors = |run: &Path| {
        let file = weights(run);
        let (length, rest) = file.split_first_chunk::<8>().unwrap();
        rest[u64::from_le_bytes(*length) as usize..].to_vec()
    };
    assert!(tensors(&files) == tensors(&idx), "the weights differ");
    let [files, idx] = [files, idx].map(|run| read_json(&run.join("evaluation.json")));
    let figures = |evaluation: &Value| json!([evaluation["accuracy"], evaluation["confusion"], evaluation["loss"]]);
    assert_eq!(figures(&files), figures(&idx));
    let digits = read_json(&run("digits", json!({"name": "digits"})).join("evaluation.json"));
    let accuracy = |evaluation: &Value| evaluation["accuracy"].as_f64().unwrap();
    assert_eq!(files["samples"], digits["samples"]);
    assert!(accuracy(&files) > 0.9, "{}", files["accuracy"]);
    assert!((accuracy(&files) - accuracy(&digits)).abs() < 0.03, "{} and {}", files["accuracy"], digits["accuracy"]);
}

/// A config with grey PNG files, and some JPEG files in colour and with another size.
fn mixed(place: &Place) -> Value {
    image_folder(&place.file("set"), 20);
    for i in 0..5 {
        let pixels = [230 + i; 3 * 9 * 7];
        let path = place.file(&format!("set/light/j{i}.jpg"));
        image::save_buffer(path, &pixels, 7, 9, image::ExtendedColorType::Rgb8).unwrap();
    }
    let data = json!({"name": "image-folder", "train": "set", "channels": 1, "size": [6, 6]});
    let changes = json!({"data": data, "network": {"widths": [16]}, "training": {"epochs": 4}});
    config(json!({"name": "mono-forward"}), changes)
}

#[test]
fn every_command_takes_a_run_on_image_files() {
    let place = Place::new();
    let config = mixed(&place);
    place.config("c.json", &config);
    assert_eq!(place.run(&["check", "c.json"]).done(), "c.json: ok (mono-forward on mlp)\n");
    let plan = place.run(&["plan", "c.json", "--json"]).json();
    // 36 pixels, 16 units; two classes.
    assert_eq!(plan["blocks"][0]["parameters"], 36 * 16 + 16);
    let run = place.train("run", &config);
    let said = place.run(&["eval", "run"]);
    // A fifth of 20 and of 25 images.
    assert!(said.done().starts_with("test accuracy 100.00 % (9 of 9)\n"), "{}", said.out);
    let audit = place.run(&["audit", "c.json", "--run", "run", "--json"]).json();
    assert_eq!(audit["reach"], "nothing");
    place.run(&["export", "run", "--out", "exported"]).done();
    assert!(fs::read(place.file("exported")).unwrap() == weights(&run));
    let model = read_json(&run.join("model.json"));
    assert_eq!(model["class_names"], json!(["dark", "light"]));
    assert_eq!(model["input"], json!({"maps": {"channels": 1, "height": 6, "width": 6}}));
    assert!(fs::read_to_string(run.join("report.html")).unwrap().contains("light"));
    let look = ["train", "c.json", "--out", "look", "--quiet", "--overfit", "6", "--limit-batches", "2"];
    place.run(&look).done();
    place.run(&["compare", "c.json", "--seeds", "1", "--out", "compared", "--set", "training.epochs=1"]).done();
    let said = place.run(&["find-lr", "c.json", "--steps", "5"]);
    said.done();
}

#[test]
fn image_files_are_predicted_by_name() {
    let place = Place::new();
    place.train("run", &mixed(&place));
    // A folder and a file, with any size and format.
    let said = place.run(&["predict", "run", "set/dark", "set/light/j1.jpg"]);
    let lines: Vec<Vec<&str>> = said.done().lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 21);
    for (i, line) in lines[..20].iter().enumerate() {
        assert_eq!(line[0].replace('\\', "/"), format!("set/dark/{i:03}.png"));
        assert_eq!((line[1], line[3]), ("0", "dark"));
    }
    assert_eq!([lines[20][0], lines[20][1], lines[20][3]], ["set/light/j1.jpg", "1", "light"]);
    let said = place.run(&["predict", "run", "set/light/j1.jpg", "--json"]).json();
    assert_eq!(
        [&said["file"], &said["class"], &said["name"]],
        [&json!("set/light/j1.jpg"), &json!(1), &json!("light")]
    );
    assert_eq!(format!("{:.4}", said["probability"].as_f64().unwrap()), lines[20][2]);
    // The same pixels in an IDX file.
    fs::write(place.file("images"), idx(&[1, 6, 6], &[20; 36])).unwrap();
    let by_index = place.run(&["predict", "run", "images"]);
    assert_eq!(by_index.done(), format!("0\t0\t{}\n", lines[0][2]));
    for (arguments, message) in [
        (
            vec!["predict", "run", "images", "images"],
            "images: found a file that is no image; needed a PNG or JPEG file",
        ),
        (
            vec!["predict", "run", "c.json", "set/dark"],
            "c.json: found a file that is no image; needed a PNG or JPEG file",
        ),
        (vec!["predict", "run", "nowhere.png"], "nowhere.png: "),
    ] {
        place.config("c.json", &json!({}));
        let said = place.run(&arguments);
        assert!(said.failed(2).starts_with(message), "{arguments:?}: {}", said.err);
    }
    // If the network needs another shape, the message contains it.
    let plain = json!({"data": {"name": "digits"}});
    place.train("digits", &config(json!({"name": "mono-forward"}), plain));
    let said = place.run(&["predict", "digits", "set/dark/000.png"]);
    assert_eq!(
        said.failed(2),
        "set/dark/000.png: found an image of 1x4x4; needed 1x8x8 (channels x height x width), as the run was trained on"
    );
}

#[test]
fn what_is_wrong_with_the_files_is_said_before_anything_is_trained() {
    let place = Place::new();
    let mut config = mixed(&place);
    config["data"].as_object_mut().unwrap().remove("size");
    place.config("c.json", &config);
    let [first, other] = ["set/dark/000.png", "set/light/j0.jpg"];
    let expected = format!(
        "{other}: found an image of 1x9x7; needed 1x4x4 (channels x height x width), as {first} has; $.data.size would \
         convert it"
    );
    for command in [&["check", "c.json"][..], &["train", "c.json", "--out", "run"], &["plan", "c.json"]] {
        let said = place.run(command);
        assert!(said.failed(2).starts_with(&expected), "{command:?}: {}", said.err);
    }
    config["data"]["size"] = json!([4, 4]);
    place.config("c.json", &config);
    let path = place.file(first);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let said = place.run(&["train", "c.json", "--out", "run"]);
    assert!(said.failed(2).starts_with("set/dark/000.png: found a damaged PNG file ("), "{}", said.err);
    fs::write(&path, "").unwrap();
    let said = place.run(&["train", "c.json", "--out", "run"]);
    assert_eq!(said.failed(2), "set/dark/000.png: found an empty file; needed a PNG or JPEG file");
    assert!(!place.file("run").exists(), "nothing was begun");

    config["data"] = json!({"name": "image-folder", "path": "set", "test": true, "channels": 2, "size": [4]});
    place.config("c.json", &config);
    let said = place.run(&["check", "c.json"]);
    for mistake in [
        "$.data.path: unknown key",
        "$.data: missing key \"train\"",
        "$.data.test: true",
        "$.data.channels: 2",
        "$.data.size: ",
    ] {
        assert!(said.failed(2).contains(mistake), "{mistake}: {}", said.err);
    }
}
