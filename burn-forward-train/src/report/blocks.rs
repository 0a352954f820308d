//! Names and the table of the blocks of a run's network.

use super::figures::{UNKNOWN, bytes, exact, known};
use super::html::{self, Column, Html};
use super::run_record::RunRecord;

/// A block by its index and, if the summary has one, its name.
pub(super) fn cell(run: &RunRecord, block: usize) -> Html {
    let blocks = run.summary.as_ref().map(|summary| summary.blocks.as_slice()).unwrap_or_default();
    let entry = blocks.iter().enumerate().find(|(i, entry)| entry.index.unwrap_or(*i) == block);
    let name = entry.and_then(|(_, entry)| entry.name.as_deref()).unwrap_or_default();
    Html::markup(format!("<b>{block}</b> {}", Html::text(name)))
}

/// The table of the blocks: shapes, parameters and memory.
pub(super) fn table(run: &RunRecord) -> Html {
    let Some(summary) = run.summary.as_ref().filter(|summary| !summary.blocks.is_empty()) else {
        return Html::missing("summary.json, which lists the blocks, is missing or lists none.");
    };
    let columns = [
        Column::Words("Block"),
        Column::Words("Output"),
        Column::Figures("Parameters"),
        Column::Figures("In its head"),
        Column::Figures("Activations"),
    ];
    let mut rows: Vec<Vec<Html>> = Vec::new();
    for (i, block) in summary.blocks.iter().enumerate() {
        rows.push(vec![
            cell(run, block.index.unwrap_or(i)),
            Html::text(block.output.as_deref().unwrap_or(UNKNOWN)),
            Html::text(known(block.parameters, exact)),
            Html::text(known(block.head_parameters, exact)),
            Html::text(known(block.activation_bytes, bytes)),
        ]);
    }
    let all = |n: Option<u64>| Html::markup(format!("<b>{}</b>", known(n, exact)));
    rows.push(vec![
        Html::markup("<b>network</b>"),
        Html::default(),
        all(summary.parameters),
        all(summary.head_parameters),
    ]);
    html::table(&columns, rows)
}
