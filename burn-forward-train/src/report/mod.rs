//! One self-contained HTML page from one or several run folders: figures, curves, tables and configs.
//!
//! The page includes its style sheet and its plots (inline SVG). It has no scripts, fetches nothing, follows the
//! reader's light or dark theme, and can be printed. It shows the contents of the run folder and tells what is missing.
//! The only numbers it computes are means, spreads and shares of numbers in the folder. It contains no date of its own,
//! so the same folders always give the same page, byte for byte.
//!
//! ```no_run
//! use burn_forward_train::report::{self, RunRecord};
//! # fn main() -> burn_forward_train::Result<()> {
//! let runs = [RunRecord::load("runs/mono-forward-0")?, RunRecord::load("runs/back-propagation-0")?];
//! report::write(&runs, "report.html")?;
//! # Ok(())
//! # }
//! ```
//!
//! | file | contents |
//! |---|---|
//! | `run_files` | the types of the files in a run folder |
//! | `run_record` | loading of a folder |
//! | `curves`, `evaluation`, `blocks`, `run_section` | the sections of one run |
//! | `graph`, `layout` | the picture of a small graph, and placement of its nodes |
//! | `comparison` | the table and curves over several runs |
//! | `costs` | a separate page: time and memory of a step against one setting |
//! | `rates` | a separate page: the loss against the learning rate |
//! | `page`, `style.css`, `html` | the page around them |
//! | `plot`, `axis`, `palette` | every SVG, its axes, and its colours in both themes |
//! | `figures` | formatting of numbers |

mod axis;
mod blocks;
mod comparison;
mod costs;
mod curves;
mod evaluation;
mod figures;
mod graph;
mod html;
mod layout;
mod page;
mod palette;
mod plot;
mod rates;
mod run_files;
mod run_record;
mod run_section;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::Result;
use crate::files;
use crate::measure::RateCurve;

pub use costs::CostPoint;
pub use figures::setting_label;
pub use run_files::{
    Audit, BlockAlignment, BlockEvaluation, BlockSummary, GoodnessHistogram, GraphNode, RecordedEvaluation,
    RecordedGraph, RecordedRow, RunInfo, Split, Summary,
};
pub use run_record::RunRecord;

/// Renders the report of `runs` as one HTML page. A report of several runs starts with a comparison, followed by one
/// section per run.
///
/// # Errors
/// [`burn_forward::Error::Argument`] if `runs` is empty, [`burn_forward::Error::Io`] if a plot cannot be drawn.
pub fn render(runs: &[RunRecord]) -> Result<String> {
    if runs.is_empty() {
        return Err(burn_forward::Error::argument("report::render", "number of runs", 0, "at least 1").into());
    }
    Ok(page::render(runs, &[])?)
}

/// Writes the report of the runs of a sweep to `out`, like [`write()`]. `varied` are the settings that differ
/// (`optimizer.lr`): each has a column. Combinations are ranked by validation accuracy if all runs have one, because the best
/// of many test accuracies is too high by chance. Without `varied` it is the report that [`write()`] writes.
///
/// # Errors
/// The errors of [`write()`].
pub fn write_sweep(runs: &[RunRecord], varied: &[&str], out: impl AsRef<Path>) -> Result<()> {
    files::write(out, page::render(runs, varied)?)
}

/// Writes the report of `runs` to `out`, [atomically](files::write): if it fails, an older report is kept unchanged.
///
/// # Errors
/// The errors of [`render`], and [`crate::Error::Write`] if the file cannot be written.
pub fn write(runs: &[RunRecord], out: impl AsRef<Path>) -> Result<()> {
    files::write(out, render(runs)?)
}

/// Writes the page on the cost of a step for the values of `setting`, like [`write()`].
///
/// # Errors
/// [`burn_forward::Error::Argument`] if `points` is empty, [`burn_forward::Error::Io`] if a plot cannot be drawn,
/// [`crate::Error::Write`] if the file cannot be written.
pub fn write_costs(setting: &str, points: &[CostPoint], out: impl AsRef<Path>) -> Result<()> {
    files::write(out, costs::render(setting, points)?)
}

/// Writes the page on a range test of the config called `name`, like [`write()`].
///
/// # Errors
/// [`burn_forward::Error::Argument`] if `curve` has no points, [`burn_forward::Error::Io`] if a plot cannot be drawn,
/// [`crate::Error::Write`] if the file cannot be written.
pub fn write_rates(name: &str, curve: &RateCurve, out: impl AsRef<Path>) -> Result<()> {
    files::write(out, rates::render(name, curve)?)
}
