//! One self-contained HTML page from one or several run folders: figures, curves, tables, config.
//!
//! The page carries its style sheet and its plots (inline SVG) with it. It has no scripts, fetches nothing, follows the
//! reader's light or dark theme, and prints. It shows what the run folder holds and says what is missing; the only
//! numbers it computes are means, spreads and shares of numbers in the folder. It holds no date of its own, so the same
//! folders give the same page, byte for byte.
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
//! | file | what it does |
//! |---|---|
//! | `run_files` | the types of the files in a run folder |
//! | `run_record` | loads a folder |
//! | `curves`, `evaluation`, `blocks`, `run_section` | the sections of one run |
//! | `graph`, `layout` | the picture of a small graph, and places for its nodes |
//! | `comparison` | the table and curves over several runs |
//! | `costs` | time and memory of a step along one setting, a page of its own |
//! | `rates` | the loss over growing learning rates, a page of its own |
//! | `page`, `style.css`, `html` | the page around them |
//! | `plot`, `axis`, `palette` | every SVG, its axes, and its colours in both themes |
//! | `figures` | how numbers are written |

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

pub use costs::{CostPoint, setting_label};
pub use run_files::{
    Audit, BlockAlignment, BlockEvaluation, BlockSummary, GoodnessHistogram, GraphNode, RecordedEvaluation,
    RecordedGraph, RecordedRow, RunInfo, Split, Summary,
};
pub use run_record::RunRecord;

/// The report of `runs` as one HTML page. Several runs get a comparison on top, then a section each.
///
/// # Errors
/// [`burn_forward::Error::Argument`] where `runs` is empty; [`burn_forward::Error::Io`] where a plot could not be drawn.
pub fn render(runs: &[RunRecord]) -> Result<String> {
    if runs.is_empty() {
        return Err(burn_forward::Error::argument("report::render", "number of runs", 0, "at least 1").into());
    }
    Ok(page::render(runs)?)
}

/// Writes the report of `runs` to `out`, [whole](files::write): a failure leaves an older report as it was.
///
/// # Errors
/// Those of [`render`], and [`crate::Error::Write`] where the file cannot be written.
pub fn write(runs: &[RunRecord], out: impl AsRef<Path>) -> Result<()> {
    files::write(out, render(runs)?)
}

/// Writes the page of what steps cost along the values of `setting`, as [`write()`] does.
///
/// # Errors
/// [`burn_forward::Error::Argument`] where `points` is empty; [`burn_forward::Error::Io`] where a plot cannot be drawn, [`crate::Error::Write`] where the file
/// cannot be written.
pub fn write_costs(setting: &str, points: &[CostPoint], out: impl AsRef<Path>) -> Result<()> {
    files::write(out, costs::render(setting, points)?)
}

/// Writes the page of a range test of the config called `name`, as [`write()`] does.
///
/// # Errors
/// [`burn_forward::Error::Argument`] where `curve` has no points; [`burn_forward::Error::Io`] where a plot cannot be drawn, [`crate::Error::Write`] where the
/// file cannot be written.
pub fn write_rates(name: &str, curve: &RateCurve, out: impl AsRef<Path>) -> Result<()> {
    files::write(out, rates::render(name, curve)?)
}
