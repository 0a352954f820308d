//! The sections on one run that show quantities over the epochs.

use super::axis::Kind;
use super::html::{Html, figure, figure_with_key, grid, legend};
use super::palette::Ink;
use super::plot::{self, Line, Phase};
use super::run_files::{RecordedRow, Split};
use super::run_record::RunRecord;
use burn_forward::Result;

type Quantity = fn(&RecordedRow) -> Option<f64>;

/// Loss and accuracy of every block and of the network, on training and validation samples.
pub(super) fn learning(run: &RunRecord) -> Result<Html> {
    if run.metrics.is_empty() {
        return Ok(Html::missing("metrics.jsonl has no rows: no epoch was finished."));
    }
    let phases = phases(run);
    let accuracy = |split| lines(run, split, |row| row.accuracy);
    // The training loss of a block is its own, which need not be a cross-entropy; all other losses are.
    let of_blocks: Quantity = |row| row.loss.filter(|_| row.block.is_some());
    let of_network: Quantity = |row| row.loss.filter(|_| row.block.is_none());
    let figures = [
        ("Accuracy, training", Kind::Percent, accuracy(Split::Train)),
        ("Accuracy, validation", Kind::Percent, accuracy(Split::Validation)),
        ("Cross-entropy, training", Kind::Plain, lines(run, Split::Train, of_network)),
        ("Cross-entropy, validation", Kind::Plain, lines(run, Split::Validation, |row| row.loss)),
        ("Local losses of the blocks, training", Kind::Plain, lines(run, Split::Train, of_blocks)),
    ];
    let drawn: Vec<Line> = figures.iter().flat_map(|(.., lines)| lines.clone()).collect();
    let mut body = key_of(&drawn, run.blocks());
    if !phases.is_empty() {
        body.push(Html::hint(
            "The greedy schedule trained one block after another; the bands show which block was trained when.",
        ));
    }
    // Plots of the same quantity share an axis, so that their heights can be compared.
    for alike in [&figures[..2], &figures[2..4], &figures[4..]] {
        let axis: Vec<Line> = alike.iter().flat_map(|(.., lines)| lines.clone()).collect();
        let mut plots = Vec::new();
        for (title, kind, lines) in alike {
            if lines.is_empty() {
                body.push(Html::missing(format!("{title}: metrics.jsonl has none.")));
            } else {
                plots.push(figure(title, &plot::curves(title, (Kind::Epochs, *kind), lines, &axis, &phases)?));
            }
        }
        body.push(grid(plots));
    }
    Ok(body)
}

/// Mean goodness of positive and negative samples per block, and the difference between them.
pub(super) fn goodness(run: &RunRecord) -> Result<Html> {
    let has = |split: Split| run.metrics.iter().any(|row| row.split == split && row.goodness_positive.is_some());
    let split = if has(Split::Validation) { Split::Validation } else { Split::Train };
    let separations = lines(run, split, |row| row.separation);
    if !has(split) && separations.is_empty() {
        return Ok(Html::missing("metrics.jsonl has no goodness: the rule does not use it, or no epoch was finished."));
    }
    let samples = if split == Split::Train { "training" } else { "validation" };
    let phases = phases(run);
    let blocks: Vec<_> = (0..run.blocks()).map(|block| (block, sides(run, split, block))).collect();
    let mut plots = Vec::new();
    for (block, sides) in blocks.iter().filter(|(_, sides)| !sides.is_empty()) {
        let title = format!("Block {block}: mean goodness, {samples}");
        // Goodness is a sum over units, so blocks of different width differ in scale. Each has its own axis.
        plots.push(figure(&title, &plot::curves(&title, (Kind::Epochs, Kind::FromZero), sides, sides, &[])?));
    }
    if !separations.is_empty() {
        let title = format!("Mean goodness of positives minus negatives, {samples}");
        let svg = plot::curves(&title, (Kind::Epochs, Kind::FromZero), &separations, &separations, &phases)?;
        plots.push(figure_with_key(&title, key_of(&separations, run.blocks()), &svg));
    }
    let mut body = if has(split) { sides_key() } else { Html::default() };
    body.push(grid(plots));
    Ok(body)
}

/// Seconds per epoch and the learning rate, if the rows contain them.
pub(super) fn timing(run: &RunRecord) -> Result<Html> {
    let phases = phases(run);
    let mut plots = Vec::new();
    let mut add = |title: &str, key: Html, lines: &[Line]| -> Result<()> {
        if !lines.is_empty() {
            let svg = plot::curves(title, (Kind::Epochs, Kind::FromZero), lines, lines, &phases)?;
            plots.push(figure_with_key(title, key, &svg));
        }
        Ok(())
    };
    let samples = [(Split::Train, Ink::series(0), "training"), (Split::Validation, Ink::series(1), "validation")];
    let line = |(split, ink, _)| Line { ink, points: run.curve(split, None, |row| row.seconds) };
    let seconds: Vec<Line> = samples.map(line).into_iter().filter(|line| !line.is_empty()).collect();
    let shown = samples.iter().filter(|(_, ink, _)| seconds.iter().any(|line| line.ink == *ink));
    add("Seconds per epoch", legend(shown.map(|(_, ink, name)| (*ink, Html::text(name)))), &seconds)?;
    let rates = lines(run, Split::Train, |row| row.lr);
    add("Learning rate", key_of(&rates, run.blocks()), &rates)?;
    Ok(if plots.is_empty() { Html::default() } else { grid(plots) })
}

/// One curve per block, and the curve of the network on top.
fn lines(run: &RunRecord, split: Split, quantity: Quantity) -> Vec<Line> {
    let blocks = run.blocks();
    let ink = |block: Option<usize>| block.map_or(Ink::Network, |block| Ink::block(block, blocks));
    let line = |block| Line { ink: ink(block), points: run.curve(split, block, quantity) };
    (0..blocks).map(Some).chain([None]).map(line).filter(|line| !line.is_empty()).collect()
}

fn sides(run: &RunRecord, split: Split, block: usize) -> Vec<Line> {
    let sides: [(Ink, Quantity); 2] =
        [(Ink::Positive, |row| row.goodness_positive), (Ink::Negative, |row| row.goodness_negative)];
    let line = |(ink, quantity): (Ink, Quantity)| Line { ink, points: run.curve(split, Some(block), quantity) };
    sides.into_iter().map(line).filter(|line| !line.is_empty()).collect()
}

/// The key to the network and the blocks that `lines` show.
fn key_of(lines: &[Line], blocks: usize) -> Html {
    let network = (Ink::Network, Html::text("network"));
    let block = |block| (Ink::block(block, blocks), Html::text(format!("block {block}")));
    let all = std::iter::once(network).chain((0..blocks).map(block));
    legend(all.filter(|(ink, _)| lines.iter().any(|line| line.ink == *ink)))
}

/// The key to positive and negative samples.
pub(super) fn sides_key() -> Html {
    legend([(Ink::Positive, Html::text("positive")), (Ink::Negative, Html::text("negative"))])
}

/// Ranges of epochs in which the same block was trained.
fn phases(run: &RunRecord) -> Vec<Phase> {
    let mut phases: Vec<Phase> = Vec::new();
    for row in &run.metrics {
        let (epoch, Some(block)) = (row.epoch as f64, row.phase) else { continue };
        match phases.last_mut() {
            Some(phase) if phase.block == block => phase.last = epoch,
            _ => phases.push(Phase { first: epoch, last: epoch, block }),
        }
    }
    phases
}
