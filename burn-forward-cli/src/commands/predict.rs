//! `predict`: predicts the classes of images in an IDX file.

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn_forward::activation::AnyActivation;
use burn_forward::registry::Registry;
use burn_forward_train::images::{HostBatch, ImageSet, ImageSubset, idx, normaliser_of};
use serde_json::json;

use super::SavedRun;
use crate::args::PredictArgs;
use crate::output::print;

pub(crate) fn run(args: &PredictArgs, registry: &Registry) -> Result<()> {
    let (saved, model) = SavedRun::open(&args.run, Some(&args.device), args.data.as_deref(), registry)?.model()?;
    let model = model.with_readout_blocks_only();
    let signature = model.signature().context("the model does not describe its input")?;
    let layout = serde_json::from_value(saved.config.resolved()["data"]["layout"].clone()).unwrap_or_default();
    let images = idx::read_images(&args.images, layout)?;
    let Some((shape, normaliser)) = normaliser_of(signature)? else {
        let found = format!("a run on \"{}\"", saved.config.data_name);
        return Err(
            burn_forward_train::Error::run_folder(&args.run, format!("{found}; needed: a run on images")).into()
        );
    };
    if images.shape != shape {
        return Err(burn_forward::Error::data(
            &args.images,
            format!("images of {:?}", images.shape),
            format!("images of {shape:?}, like those the run was trained on (channels, height, width)"),
        )
        .into());
    }
    let (classes, scale) = (signature.classes, signature.pixels.as_ref().map_or(255.0, |pixels| pixels.scale));
    let device = burn_forward::device::parse(&args.device)?;
    let batch_size = saved.config.training.eval_batch_size;
    let count = images.pixels.len() / shape.iter().product::<usize>().max(1);
    let set = ImageSet::new(images.pixels, vec![0; count], shape, classes, scale)?;
    let part = ImageSubset::whole(set);
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
            let class = (0..classes).fold(0, |best, c| if s[c] > s[best] { c } else { best });
            text += &if args.json {
                let mut line = json!({
                    "index": row, "class": class, "probability": p[class], "scores": s, "probabilities": p,
                });
                if let Some(name) = signature.class_names.get(class) {
                    line["name"] = json!(name);
                }
                format!("{line}\n")
            } else {
                format!("{row}\t{class}\t{:.4}\n", p[class])
            };
        }
        print(text)?;
    }
    Ok(())
}
