//! The loss against the learning rate, as measured by a range test: a plot, the suggestions and a table.

use super::axis::{Axis, Kind};
use super::figures::UNKNOWN;
use super::html::{Column, Html, facts, figure, legend, table};
use super::page;
use super::palette::Ink;
use super::plot::{self, Line};
use crate::measure::RateCurve;
use burn_forward::{Error, Result};

/// The whole page, for the config called `name`.
pub(super) fn render(name: &str, curve: &RateCurve) -> Result<String> {
    if curve.points.is_empty() {
        return Err(Error::argument("report::write_rates", "number of points", 0, "at least 1"));
    }
    let title = format!("Learning rates of {name}");
    let mut main = Html::markup(format!("<section>\n<h1>{}</h1>\n", Html::text(&title)));
    main.push(Html::hint(
        "Every step learns from one batch, at a higher rate than the step before. The loss is that of the batch before the update; \
        the smoothed loss is an exponential moving average. Rates are values of optimizer.lr.",
    ));
    main.push(suggestions(curve));
    main.push(plotted(curve)?);
    main.push(Html::markup("</section>\n<section>\n<h2>Steps</h2>\n"));
    main.push(steps(curve));
    main.push(Html::markup("</section>\n"));
    Ok(page::document(&title, &Html::default(), &main))
}

fn suggestions(curve: &RateCurve) -> Html {
    let rate = |rate: Option<f64>| rate.map_or_else(|| UNKNOWN.to_owned(), |rate| format!("{rate:.2e}"));
    let ended = match (curve.diverged, curve.points.last()) {
        (true, Some(last)) => format!("diverged after {:.2e}", last.rate),
        _ => "reached the last rate".to_owned(),
    };
    let mut html = facts([
        ("Steepest descent of the smoothed loss".to_owned(), rate(curve.steepest)),
        ("A tenth of the rate at its minimum".to_owned(), rate(curve.tenth_of_minimum)),
        ("Test".to_owned(), ended),
    ]);
    if curve.steepest.is_none() {
        html.push(Html::missing("The loss never fell, so no rate is suggested."));
    }
    if let Some(caution) = curve.caution() {
        html.push(Html::missing(format!("Caution: {caution}.")));
    }
    html
}

/// The losses that the plot covers: from the smallest smoothed one to half as far again as the smoothed loss fell from.
fn shown(curve: &RateCurve) -> (f64, f64) {
    let smoothed = || curve.points.iter().map(|point| point.smoothed);
    let low = smoothed().fold(f64::INFINITY, f64::min);
    let lowest = smoothed().position(|value| value <= low).unwrap_or(0);
    let start = smoothed().take(lowest + 1).fold(low, f64::max);
    // Without a fall there is nothing to zoom in on.
    let high = if start > low { start + 0.5 * (start - low) } else { smoothed().fold(low, f64::max) };
    (low - 0.1 * (high - low), high)
}

fn plotted(curve: &RateCurve) -> Result<Html> {
    let inks = [1, 0, 2, 3].map(Ink::series);
    let points = || curve.points.iter().map(|point| (point.rate.log10(), point));
    let (low, high) = shown(curve);
    // A loss outside is left out: a single batch of a diverging network would make the rest a flat line.
    let inside = |value: f64| Some(value).filter(|value| (low..=high).contains(value));
    let mut lines = vec![
        Line { ink: inks[0], points: points().map(|(at, point)| (at, inside(point.loss))).collect() },
        Line { ink: inks[1], points: points().map(|(at, point)| (at, inside(point.smoothed))).collect() },
    ];
    let mut words = vec!["loss", "smoothed loss"];
    let suggested =
        [(curve.steepest, "steepest descent"), (curve.tenth_of_minimum, "a tenth of the rate at the minimum")];
    for ((rate, word), ink) in suggested.into_iter().zip([inks[2], inks[3]]) {
        if let Some(at) = rate.map(f64::log10).filter(|at| points().next().is_some_and(|(first, _)| *at >= first)) {
            lines.push(Line { ink, points: vec![(at, Some(low)), (at, Some(high))] });
            words.push(word);
        }
    }
    let power = |at: f64| (at, format!("1e{at}"));
    let low = points().next().map_or(0.0, |(at, _)| (at + 1e-9).floor());
    let high = points().next_back().map_or(0.0, |(at, _)| (at - 1e-9).ceil());
    let powers = (0..).map(|i| low + f64::from(i)).take_while(|at| *at <= high);
    let axis = Axis::named(powers.map(power).collect());
    let mut html = legend(lines.iter().map(|line| line.ink).zip(words.into_iter().map(Html::text)));
    let title = "Loss over the learning rate";
    html.push(figure(title, &plot::along(title, (&axis, "learning rate"), Kind::Plain, &lines)?));
    Ok(html)
}

fn steps(curve: &RateCurve) -> Html {
    let columns = [Column::Figures("Rate"), Column::Figures("Loss"), Column::Figures("Smoothed loss")];
    let row = |rate: f64, loss: f64, smoothed: f64| {
        [format!("{rate:.2e}"), format!("{loss:.5}"), format!("{smoothed:.5}")].map(Html::text).to_vec()
    };
    table(&columns, curve.points.iter().map(|point| row(point.rate, point.loss, point.smoothed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::RateRange;

    #[test]
    fn the_page_has_the_curve_and_what_it_suggests() {
        let mut w = 1.0;
        let descent = |rate: f64| {
            let loss = w * w;
            w -= rate * 2.0 * w;
            Ok(loss)
        };
        let curve = RateRange { from: 1e-5, to: 1e3, steps: 60 }.test(descent).unwrap();
        let page = render("a <config>", &curve).unwrap();
        let steepest = format!("{:.2e}", curve.steepest.unwrap());
        for text in ["Learning rates of a &lt;config&gt;", "diverged after", "smoothed loss", "\n1e-3\n", &steepest] {
            assert!(page.contains(text), "the page lacks {text:?}");
        }
        assert_eq!(page.matches("<svg ").count(), 1);
    }

    #[test]
    fn a_test_without_a_suggestion_has_a_page_too() {
        let flat = RateRange::default().test(|_| Ok(1.0)).unwrap();
        assert!(render("flat", &flat).unwrap().contains("no rate is suggested"));
        let nothing = RateRange::default().test(|_| Ok(f64::NAN)).unwrap();
        assert!(render("nothing", &nothing).is_err());
    }
}
