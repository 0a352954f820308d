//! The page: head, table of contents, comparison, and one section per run.

use super::html::Html;
use super::run_record::RunRecord;
use super::run_section::{self, Part};
use super::{comparison, palette};
use burn_forward::Result;

const STYLE: &str = include_str!("style.css");
/// Forbids the browser to run or fetch anything, whatever the page contains.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Maximum number of runs for which the table of contents lists the parts of each run.
const DETAILED: usize = 4;

/// The whole page; `varied` are the settings of a sweep.
pub(super) fn render(runs: &[RunRecord], varied: &[&str]) -> Result<String> {
    let title = match runs {
        [run] => format!("{} – training report", run.name()),
        _ => format!("{} runs – training report", runs.len()),
    };
    let mut main = Html::default();
    let mut contents = Html::default();
    if runs.len() > 1 {
        let comparison = comparison::render(runs, varied)?;
        main.push(Html::markup(format!(
            "<section id=\"comparison\">\n<h1>Comparison of {} runs</h1>\n{comparison}</section>\n",
            runs.len()
        )));
        contents.push(Html::markup("<li><a href=\"#comparison\">Comparison</a></li>\n"));
    }
    for (i, run) in runs.iter().enumerate() {
        let parts = run_section::parts(run)?;
        let heading = heading(run, runs);
        contents.push(contents_of(i, &heading, if runs.len() <= DETAILED { &parts } else { &[] }));
        main.push(section(i, &heading, run, parts));
    }
    Ok(document(&title, &contents, &main))
}

/// A complete page with style sheet and colours.
pub(super) fn document(title: &str, contents: &Html, main: &Html) -> String {
    let (title, colors) = (Html::text(title), palette::css());
    let contents = match *contents == Html::default() {
        true => Html::default(),
        false => Html::markup(format!("<nav aria-label=\"Contents\"><p>Contents</p>\n<ul>\n{contents}</ul></nav>\n")),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{colors}</style>\n</head>\n<body>\n\
         {contents}<main>\n{main}\
         <footer>burn-forward {}</footer>\n</main>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// The run's name, with its seed if another run has the same name.
fn heading(run: &RunRecord, runs: &[RunRecord]) -> String {
    let name = run.name();
    match run.seed().filter(|_| runs.iter().filter(|other| other.name() == name).count() > 1) {
        Some(seed) => format!("{name}, seed {seed}"),
        None => name,
    }
}

fn contents_of(i: usize, heading: &str, parts: &[Part]) -> Html {
    let entry = |part: &Part| format!("<li><a href=\"#run-{i}-{}\">{}</a></li>", part.id, part.title);
    let entries: String = parts.iter().map(entry).collect();
    let entries = if entries.is_empty() { entries } else { format!("\n<ul>{entries}</ul>") };
    Html::markup(format!("<li><a href=\"#run-{i}\">{}</a>{entries}</li>\n", Html::text(heading)))
}

fn section(i: usize, heading: &str, run: &RunRecord, parts: Vec<Part>) -> Html {
    let (name, subtitle, figures) = (Html::text(heading), run_section::subtitle(run), run_section::key_figures(run));
    let mut html =
        Html::markup(format!("<section id=\"run-{i}\" class=\"run\">\n<h1>{name}</h1>\n{subtitle}{figures}"));
    for Part { id, title, body } in parts {
        html.push(Html::markup(format!("<section id=\"run-{i}-{id}\">\n<h2>{title}</h2>\n{body}</section>\n")));
    }
    html.push(Html::markup("</section>\n"));
    html
}
