//! The sections on one run that are based on its final test.

use super::axis::Kind;
use super::curves::sides_key;
use super::figures::{exact, known, number, percent};
use super::html::{Column, Html, figure, grid, table};
use super::palette::Ink;
use super::run_files::{BlockEvaluation, GoodnessHistogram, Split};
use super::run_record::RunRecord;
use super::{blocks, plot};
use burn_forward::Result;

/// Maximum number of classes for which the confusion matrix is shown as a matrix; a larger one would be unreadable.
const CLASSES: usize = 20;
/// Length of the list of confusions that replaces a larger matrix.
const CONFUSIONS: usize = 20;

const NO_TEST: &str = "evaluation.json is missing: there was no final test.";

/// What each block predicts by itself.
pub(super) fn layers(run: &RunRecord) -> Result<Html> {
    let tested = run.evaluation.as_ref().is_some_and(|evaluation| {
        evaluation.accuracy.is_some() || evaluation.blocks.iter().any(|block| block.accuracy.is_some())
    });
    let mut body = Html::default();
    let (samples, rows) = match &run.evaluation {
        Some(evaluation) if tested => {
            let split = evaluation.split.clone().unwrap_or_else(|| "test".to_owned());
            (
                split,
                accuracies(run, |block| match block {
                    Some(block) => indexed(&evaluation.blocks, block)?.accuracy,
                    None => evaluation.accuracy,
                }),
            )
        }
        // Without a test, show the last validation, labelled as such.
        _ => {
            body.push(Html::missing(NO_TEST));
            let epoch = run.metrics.iter().filter(|row| row.split == Split::Validation).map(|row| row.epoch).max();
            let Some(epoch) = epoch else { return Ok(body) };
            let at = |block| {
                let curve = run.curve(Split::Validation, block, |row| row.accuracy);
                curve.into_iter().find(|(x, _)| *x == epoch as f64)?.1
            };
            (format!("validation, epoch {epoch}"), accuracies(run, at))
        }
    };
    if let Some(blocks) = run.summary.as_ref().and_then(|summary| summary.readout_blocks) {
        body.push(Html::hint(format!(
            "The network predicts with the mean scores of {blocks}, chosen on the validation set; the blocks above are not \
            part of the exported network."
        )));
    }
    let present: Vec<_> = rows
        .iter()
        .filter_map(|(block, accuracy)| Some((*block, accuracy.filter(|accuracy| accuracy.is_finite())?)))
        .collect();
    if present.is_empty() {
        body.push(Html::missing("No accuracy was recorded, neither per block nor for the network."));
        return Ok(body);
    }
    let bar = |(block, accuracy): &(Option<usize>, f64)| match block {
        Some(block) => (block.to_string(), *accuracy, Ink::block(*block, run.blocks())),
        None => ("network".to_owned(), *accuracy, Ink::Network),
    };
    let title = format!("Accuracy per block ({samples})");
    let svg = plot::bars(&title, Kind::Percent, &present.iter().map(bar).collect::<Vec<_>>(), 1.0, |y| {
        format!("{:.1} %", 100.0 * y)
    })?;
    let row = |(block, accuracy): &(Option<usize>, Option<f64>)| {
        let name = block.map_or_else(|| Html::markup("<b>network</b>"), |block| blocks::cell(run, block));
        vec![name, Html::text(known(*accuracy, percent))]
    };
    let accuracies = table(&[Column::Words("Block"), Column::Figures("Accuracy")], rows.iter().map(row));
    body.push(Html::markup(format!("<div class=\"grid\">{}<div>{accuracies}</div></div>\n", figure(&title, &svg))));
    Ok(body)
}

/// Goodness of positive and negative samples, a histogram per block.
pub(super) fn histograms(run: &RunRecord) -> Result<Html> {
    let Some(evaluation) = &run.evaluation else { return Ok(Html::missing(NO_TEST)) };
    let blocks: Vec<(usize, &GoodnessHistogram)> = (evaluation.blocks.iter().enumerate())
        .filter_map(|(i, block)| Some((block.index.unwrap_or(i), block.goodness.as_ref()?)))
        .collect();
    if blocks.is_empty() {
        return Ok(Html::missing("evaluation.json has no goodness: the rule does not use it."));
    }
    let mut body = sides_key();
    body.push(Html::hint(
        "Shares of the positive and of the negative samples per bin; the upright lines are the means.",
    ));
    let mut plots = Vec::new();
    for (block, goodness) in &blocks {
        let GoodnessHistogram { edges, positive, negative, .. } = goodness;
        if !edges.is_sorted_by(|a, b| a < b) {
            body.push(Html::missing(format!("Block {block} is not drawn: its bin edges do not increase.")));
            continue;
        }
        if edges.len() < 2 || positive.len() + 1 != edges.len() || negative.len() + 1 != edges.len() {
            body.push(Html::missing(format!(
                "Block {block} is not drawn: {} edges do not fit {} positive and {} negative bins.",
                edges.len(),
                positive.len(),
                negative.len(),
            )));
            continue;
        }
        let title = format!("Block {block}");
        let sides = [
            (Ink::Positive, positive.as_slice(), goodness.mean_positive),
            (Ink::Negative, negative.as_slice(), goodness.mean_negative),
        ];
        plots.push(figure(&title, &plot::histograms(&format!("Goodness, block {block}"), edges, sides)?));
    }
    body.push(grid(plots));
    let columns = [
        Column::Words("Block"),
        Column::Figures("Mean, positive"),
        Column::Figures("Mean, negative"),
        Column::Figures("Separation d′"),
    ];
    body.push(table(
        &columns,
        blocks.iter().map(|(block, goodness)| {
            let figures = [goodness.mean_positive, goodness.mean_negative, goodness.d_prime];
            let mut row = vec![blocks::cell(run, *block)];
            row.extend(figures.map(|figure| Html::text(known(figure, number))));
            row
        }),
    ));
    Ok(body)
}

/// Dead units and sparsity of the activations.
pub(super) fn activity(run: &RunRecord) -> Html {
    let Some(evaluation) = &run.evaluation else { return Html::missing(NO_TEST) };
    if evaluation.blocks.iter().all(|block| block.dead_units.is_none() && block.hoyer.is_none()) {
        return Html::missing("evaluation.json has no activity of units.");
    }
    let columns = [Column::Words("Block"), Column::Figures("Dead units"), Column::Figures("Hoyer sparsity")];
    let row = |(i, block): (usize, &BlockEvaluation)| {
        let dead = Html::text(known(block.dead_units, percent));
        let hoyer = Html::text(known(block.hoyer.filter(|hoyer| hoyer.is_finite()), |hoyer| format!("{hoyer:.3}")));
        vec![blocks::cell(run, block.index.unwrap_or(i)), dead, hoyer]
    };
    let mut body = Html::hint(
        "Dead units are active for no sample. Hoyer sparsity is 0 if all units are equally \
        active and 1 if only one is.",
    );
    body.push(table(&columns, evaluation.blocks.iter().enumerate().map(row)));
    body
}

/// True classes against predicted ones.
pub(super) fn confusion(run: &RunRecord) -> Html {
    let Some(evaluation) = &run.evaluation else { return Html::missing(NO_TEST) };
    let matrix = &evaluation.confusion;
    if matrix.is_empty() {
        return Html::missing("evaluation.json has no confusion matrix.");
    }
    let mut body = Html::default();
    if let (Some(correct), Some(samples)) = (evaluation.correct, evaluation.samples) {
        let loss = evaluation.loss.map_or_else(String::new, |loss| format!(" Mean loss {}.", number(loss)));
        let split = evaluation.split.as_deref().unwrap_or("test");
        let (correct, samples) = (exact(correct), exact(samples));
        body.push(Html::markup(format!("<p>{correct} of {samples} {} samples right.{loss}</p>\n", Html::text(split))));
    }
    body.push(if matrix.len() <= CLASSES { cells(matrix) } else { largest_confusions(matrix) });
    body
}

fn cells(matrix: &[Vec<u64>]) -> Html {
    let classes = matrix.iter().map(Vec::len).max().unwrap_or(0).max(matrix.len());
    let head: String = (0..classes).map(|class| format!("<th scope=\"col\">{class}</th>")).collect();
    let mut rows = String::new();
    for (class, counts) in matrix.iter().enumerate() {
        let total: u64 = counts.iter().sum();
        rows.push_str(&format!("<tr><th scope=\"row\">{class}</th>"));
        for (predicted, count) in counts.iter().enumerate() {
            let share = if total == 0 { 0.0 } else { *count as f64 / total as f64 };
            // The square root makes the few mistakes of a good network visible.
            let shade = share.sqrt();
            let kind = if predicted == class { "right" } else { "wrong" };
            let strong = if shade > 0.6 { " strong" } else { "" };
            let zero = if *count == 0 { " zero" } else { "" };
            rows.push_str(&format!(
                "<td class=\"{kind}{strong}{zero}\" style=\"--shade:{shade:.2}\">{}</td>",
                exact(*count)
            ));
        }
        rows.push_str(&"<td></td>".repeat(classes - counts.len().min(classes)));
        let right = counts.get(class).filter(|_| total > 0).map(|right| *right as f64 / total as f64);
        rows.push_str(&format!("<td class=\"recall\">{}</td></tr>\n", known(right, percent)));
    }
    let mut body = Html::hint(
        "Rows are true classes, columns predicted ones. Cells are shaded by the share of \
        their row; the last column is the share predicted correctly.",
    );
    body.push(Html::markup(format!(
        "<div class=\"scroll\"><table class=\"confusion\"><thead><tr><td></td>{head}<th scope=\"col\">right</th></tr>\
         </thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )));
    body
}

fn largest_confusions(matrix: &[Vec<u64>]) -> Html {
    let mut mistakes: Vec<(u64, usize, usize)> = Vec::new();
    for (class, counts) in matrix.iter().enumerate() {
        let wrong = counts.iter().enumerate().filter(|(predicted, count)| *predicted != class && **count > 0);
        mistakes.extend(wrong.map(|(predicted, count)| (*count, class, predicted)));
    }
    // Largest first, then by class, so that the page is reproducible.
    mistakes.sort_by_key(|(count, class, predicted)| (std::cmp::Reverse(*count), *class, *predicted));
    let classes = matrix.len();
    let mut body = Html::hint(format!("The {CONFUSIONS} most frequent mistakes among {classes} classes."));
    let columns = [
        Column::Figures("True class"),
        Column::Figures("Predicted"),
        Column::Figures("Samples"),
        Column::Figures("Of the true class"),
    ];
    body.push(table(
        &columns,
        mistakes.into_iter().take(CONFUSIONS).map(|(count, class, predicted)| {
            let share = count as f64 / matrix[class].iter().sum::<u64>() as f64;
            [class.to_string(), predicted.to_string(), exact(count), percent(share)].map(Html::text).to_vec()
        }),
    ));
    body
}

/// The accuracy of every block, then of the network.
fn accuracies(run: &RunRecord, of: impl Fn(Option<usize>) -> Option<f64>) -> Vec<(Option<usize>, Option<f64>)> {
    (0..run.blocks()).map(Some).chain([None]).map(|block| (block, of(block))).collect()
}

/// The entry of block `block`: the one with that index, or else the one at that position.
fn indexed(blocks: &[BlockEvaluation], block: usize) -> Option<&BlockEvaluation> {
    blocks.iter().enumerate().find(|(i, entry)| entry.index.unwrap_or(*i) == block).map(|(_, entry)| entry)
}
