//! `predict`: predicts the classes of images, in an IDX file or in PNG and JPEG files.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn_forward::activation::AnyActivation;
use burn_forward::data::ModelSignature;
use burn_forward::registry::Registry;
use burn_forward_train::config::RunConfig;
use burn_forward_train::images::image_folder::{self, Conversion};
use burn_forward_train::images::{HostBatch, ImageSet, ImageSubset, idx, normaliser_of};
use serde_json::json;

use super::SavedRun;
use crate::args::PredictArgs;
use crate::output::print;

/// The images to predict.
struct Inputs {
    /// Pixels `[N, C, H, W]`.
    pixels: Vec<u8>,
    /// The file of every image, if each image has its own file.
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &PredictArgs, registry: &Registry) -> Result<()> {
    let (saved, model) = SavedRun::open(&args.run, Some(&args.device), args.data.as_deref(), registry)?.model()?;
    saved.warn_unless_result();
    let model = model.with_readout_blocks_only();
    let signature = model.signature().context("the model does not describe its input")?;
    let Some((shape, normaliser)) = normaliser_of(signature)? else {
        let found = format!("a run on \"{}\"", saved.config.data_name);
        return Err(
            burn_forward_train::Error::run_folder(&args.run, format!("{found}; needed: a run on images")).into()
        );
    };
    let Inputs { pixels, files } = Inputs::read(&args.images, &saved.config, shape)?;
    let (classes, scale) = (signature.classes, signature.pixels.as_ref().map_or(255.0, |pixels| pixels.scale));
    let device = burn_forward::device::parse(&args.device)?;
    let batch_size = saved.config.training.eval_batch_size;
    let count = pixels.len() / shape.iter().product::<usize>().max(1);
    let part = ImageSubset::whole(ImageSet::new(pixels, vec![0; count], shape, classes, scale)?);
    for start in (0..count).step_by(batch_size) {
        let rows: Vec<u32> = (start..(start + batch_size).min(count)).map(|i| i as u32).collect();
        let batch = HostBatch::new(&part, &rows, &normaliser)?.to_device(&device);
        let inputs: AnyActivation = batch.inputs;
        let scores = model.scores(inputs).primary();
        let values = |t: Tensor<2>| -> Vec<f32> { t.into_data().iter::<f32>().collect() };
        let probabilities = values(softmax(scores.clone(), 1));
        let scores = values(scores);
        let mut text = String::new();
        for ((row, s), p) in rows.iter().zip(scores.chunks_exact(classes)).zip(probabilities.chunks_exact(classes)) {
            let file = files.get(*row as usize).map(PathBuf::as_path);
            text += &line(*row, file, s, p, signature, args.json);
        }
        print(text)?;
    }
    Ok(())
}

/// The output for an image: the class with the largest of its `scores` `[C]`, and its probability.
fn line(
    index: u32,
    file: Option<&Path>,
    scores: &[f32],
    probabilities: &[f32],
    signature: &ModelSignature,
    json: bool,
) -> String {
    let class = (0..scores.len()).fold(0, |best, c| if scores[c] > scores[best] { c } else { best });
    let (probability, name) = (probabilities[class], signature.class_names.get(class));
    if !json {
        let name = name.map_or(String::new(), |name| format!("\t{name}"));
        return match file {
            Some(file) => format!("{}\t{class}\t{probability:.4}{name}\n", file.display()),
            None => format!("{index}\t{class}\t{probability:.4}\n"),
        };
    }
    let mut line = json!({
        "index": index, "class": class, "probability": probability, "scores": scores, "probabilities": probabilities,
    });
    if let Some(file) = file {
        // A path is not necessarily UTF-8.
        line["file"] = json!(file.to_string_lossy());
    }
    if let Some(name) = name {
        line["name"] = json!(name);
    }
    format!("{line}\n")
}

impl Inputs {
    /// Reads the images at `paths` for a network with inputs of shape `[C, H, W]`.
    fn read(paths: &[PathBuf], config: &RunConfig, shape: [usize; 3]) -> Result<Self> {
        let setting = |key: &str| config.resolved()["data"][key].clone();
        if let [path] = paths
            && !path.is_dir()
            && !is_image(path)?
        {
            let layout = serde_json::from_value(setting("layout")).unwrap_or_default();
            return Self::read_idx(path, idx::read_images(path, layout)?, shape);
        }
        let mut files = Vec::new();
        for path in paths {
            match path.is_dir() {
                true => files.extend(image_folder::images_in(path)?),
                false => files.push(path.clone()),
            }
        }
        let conversion = Conversion {
            channels: serde_json::from_value(setting("channels")).unwrap_or_default(),
            size: serde_json::from_value(setting("size")).unwrap_or_default(),
        };
        Ok(Self { pixels: image_folder::read_files(&files, conversion, shape)?, files })
    }

    fn read_idx(path: &Path, images: idx::IdxImages, shape: [usize; 3]) -> Result<Self> {
        if images.shape != shape {
            return Err(burn_forward::Error::data(
                path,
                format!("images of {:?}", images.shape),
                format!("images of {shape:?}, as the run was trained on (channels, height, width)"),
            )
            .into());
        }
        Ok(Self { pixels: images.pixels, files: Vec::new() })
    }
}

/// Whether a file starts like a PNG or JPEG image. Only regular files are examined, since a pipe can be read only once.
fn is_image(path: &Path) -> Result<bool> {
    if !path.is_file() {
        return Ok(false);
    }
    let mut start = Vec::new();
    let read = burn_forward::input::open(path)?.take(16).read_to_end(&mut start);
    read.map_err(|e| burn_forward::Error::io(path, e))?;
    Ok(image_folder::is_image(&start))
}
