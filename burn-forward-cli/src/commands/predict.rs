//! `predict`: classes of images in an IDX file.

use anyhow::Result;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn_forward::activation::AnyActivation;
use burn_forward::data::{HostBatch, ImageSet, Part, idx};
use burn_forward::training::load_model;
use serde_json::json;

use super::reopen;
use crate::args::PredictArgs;
use crate::output::print;

pub(crate) fn run(args: &PredictArgs) -> Result<()> {
    let (run, folder) = reopen(&args.run, Some(&args.device), args.data.as_deref())?;
    let model = load_model(&run, &folder)?.without_unread_blocks();
    let layout = serde_json::from_value(run.config.resolved()["data"]["layout"].clone()).unwrap_or_default();
    let images = idx::read_images(&args.images, layout)?;
    let Some(data) = run.data.images() else {
        let found = format!("a run on \"{}\"", run.config.data_name);
        return Err(burn_forward::Error::run_folder(&args.run, format!("{found}; needed: a run on images")).into());
    };
    let trained = data.splits.train.set();
    if images.shape != trained.shape() {
        return Err(burn_forward::Error::data(
            &args.images,
            format!("images of {:?}", images.shape),
            format!("images of {:?}, as the run was trained on (channels, height, width)", trained.shape()),
        )
        .into());
    }
    let count = images.pixels.len() / images.shape.iter().product::<usize>().max(1);
    let set = ImageSet::new(images.pixels, vec![0; count], images.shape, trained.classes(), trained.scale())?;
    let part = Part::whole(set);
    for start in (0..count).step_by(run.config.training.eval_batch_size) {
        let rows: Vec<u32> =
            (start..(start + run.config.training.eval_batch_size).min(count)).map(|i| i as u32).collect();
        let batch = HostBatch::new(&part, &rows, &data.normaliser)?.to_device(&run.device);
        let inputs: AnyActivation = batch.inputs;
        let scores = model.scores(inputs).primary();
        let values = |t: Tensor<2>| -> Vec<f32> { t.into_data().iter::<f32>().collect() };
        let probabilities = values(softmax(scores.clone(), 1));
        let scores = values(scores);
        let classes = trained.classes();
        let mut text = String::new();
        for ((row, s), p) in rows.iter().zip(scores.chunks_exact(classes)).zip(probabilities.chunks_exact(classes)) {
            let class = (0..classes).fold(0, |best, c| if s[c] > s[best] { c } else { best });
            text += &if args.json {
                let line = json!({
                    "index": row, "class": class, "probability": p[class], "scores": s, "probabilities": p,
                });
                format!("{line}\n")
            } else {
                format!("{row}\t{class}\t{:.4}\n", p[class])
            };
        }
        print(text)?;
    }
    Ok(())
}
