//! `find-lr`: the loss over increasing learning rates, and suggested rates.

use anyhow::Result;
use burn_forward::registry::Registry;
use burn_forward_train::measure::{RateCurve, RateRange};
use burn_forward_train::report;
use burn_forward_train::training::find_lr;

use super::{InputWrong, output_file, prepare};
use crate::args::FindLrArgs;
use crate::output::{note, print, print_line};
use crate::tables::table;

/// Largest number of rows in the table; `--json` and the page contain all steps.
const ROWS: usize = 25;
/// Columns of the longest bar.
const BAR: f64 = 40.0;

pub(crate) fn run(args: &FindLrArgs, registry: &Registry) -> Result<()> {
    let range = RateRange { from: args.from, to: args.to, steps: args.steps };
    range.rates().map_err(|error| match error {
        burn_forward::Error::Argument { what, given, needed, .. } => {
            InputWrong(format!("--from, --to or --steps: {what} is {given}; needed: {needed}")).into()
        }
        other => anyhow::Error::from(other),
    })?;
    let out = args.out.as_deref().map(|out| output_file(Some(out), args.force, || out.into())).transpose()?;
    let run = prepare(&args.config.config, &args.config.change, registry)?;
    if run.config.schedule.is_greedy() && !args.json {
        note("warning: the schedule is greedy, but here all blocks learn in every step");
    }
    let curve = find_lr(&run, range)?;
    if let Some(out) = &out {
        report::write_rates(&run.config.name, &curve, out)?;
    }
    if args.json {
        return print_line(serde_json::to_string(&curve)?);
    }
    print(render(&curve))?;
    match &out {
        Some(out) => print_line(format_args!("page  {}", out.display())),
        None => Ok(()),
    }
}

/// The curve as a table with bars, and the suggested rates.
fn render(curve: &RateCurve) -> String {
    let every = curve.points.len().div_ceil(ROWS).max(1);
    let smoothed = || curve.points.iter().map(|point| point.smoothed);
    let (low, high) = (smoothed().fold(f64::INFINITY, f64::min), smoothed().fold(f64::NEG_INFINITY, f64::max));
    let bar = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.0 };
        // Pad the bars here, because the columns of the table are aligned to the right.
        format!("{:<1$}", "#".repeat(1 + (share * (BAR - 1.0)).round() as usize), BAR as usize)
    };
    let rows: Vec<Vec<String>> = curve
        .points
        .iter()
        .step_by(every)
        .map(|point| {
            let number = |value: f64| format!("{value:.5}");
            vec![format!("{:.2e}", point.rate), number(point.loss), number(point.smoothed), bar(point.smoothed)]
        })
        .collect();
    let mut text = table(&["rate", "loss", "smoothed", ""], &rows);
    if let (true, Some(last)) = (curve.diverged, curve.points.last()) {
        text += &format!("\nthe loss diverged after rate {:.2e}\n", last.rate);
    }
    match (curve.steepest, curve.tenth_of_minimum) {
        (Some(steepest), Some(tenth)) => {
            text += &format!(
                "\nsteepest descent                    {steepest:.2e}\na tenth of the rate at the minimum  {tenth:.2e}\n"
            );
        }
        _ => text += "\nthe loss never fell, so no rate is suggested\n",
    }
    if let Some(caution) = curve.caution() {
        text += &format!("caution: {caution}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_on_a_terminal() {
        let mut losses = (0..).map(|i| if i < 30 { 2.0 - 0.05 * f64::from(i) } else { 100.0 });
        let curve = RateRange::default().test(|_| Ok(losses.next().unwrap_or(0.0))).unwrap();
        let text = render(&curve);
        assert!(text.lines().count() <= ROWS + 6, "{text}");
        assert!(text.contains("steepest descent") && text.contains("the loss diverged after rate"), "{text}");
        let flat = RateRange::default().test(|_| Ok(1.0)).unwrap();
        assert!(render(&flat).contains("no rate is suggested"));
    }
}
