//! Every plot of the report, as inline SVG. Titles and legends are HTML around it, where they wrap and scale.

use plotters::coord::Shift;
use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::figures::tick;
use super::html::Html;
use super::palette::Ink;
use crate::{Error, Result};

/// Size of a plot in CSS pixels: about a phone's width, so that its text stays readable there.
const SIZE: (u32, u32) = (440, 250);
/// Plotters rounds coordinates to whole units; drawing on a finer grid keeps the curves smooth.
const UNITS: u32 = 4;

/// What the numbers of the vertical axis are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Axis {
    /// Fractions, labelled in percent.
    Percent,
    /// Plain numbers; on a logarithmic axis where they are positive and span more than two orders of magnitude.
    Plain,
    /// Plain numbers on an axis that begins at 0.
    FromZero,
}

/// A curve over epochs.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Colour.
    pub(super) ink: Ink,
    /// Epoch and value, by epoch. A missing value interrupts the curve.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Line {
    fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(|(_, value)| *value)
    }

    /// Whether there is anything to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.values().next().is_none()
    }
}

/// Epochs `first..=last` in which a greedy schedule trained one block.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Phase {
    /// First epoch.
    pub(super) first: f64,
    /// Last epoch.
    pub(super) last: f64,
    /// Index of the block.
    pub(super) block: usize,
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Curves over epochs. `alike` are the curves whose values the vertical axis spans: those of this plot and of the plots
/// that are to be compared with it.
pub(super) fn curves(title: &str, axis: Axis, lines: &[Line], alike: &[Line], phases: &[Phase]) -> Result<String> {
    let epochs = || alike.iter().flat_map(|line| line.points.iter().map(|(epoch, _)| *epoch));
    let (first, last) = (epochs().fold(f64::INFINITY, f64::min), epochs().fold(f64::NEG_INFINITY, f64::max));
    let (mut low, mut high) = span(alike.iter().flat_map(Line::values));
    let log = axis == Axis::Plain && low > 0.0 && high / low > 100.0;
    let place = move |y: f64| if log { y.log10() } else { y };
    (low, high) = padded(place(low), place(high));
    match axis {
        Axis::Percent => (low, high) = (low.max(0.0), high.min(1.002)),
        Axis::FromZero => low = low.min(0.0).min(if low > 0.0 { 0.0 } else { low }),
        Axis::Plain => {}
    }
    // A single epoch would make an axis of no length.
    let (left, right) = if first < last { (first, last) } else { (first - 0.5, first + 0.5) };
    let label = move |y: &f64| match axis {
        Axis::Percent => format!("{} %", tick(100.0 * y)),
        _ if !log => tick(*y),
        _ if (y - y.round()).abs() < 1e-6 => tick(10f64.powf(y.round())),
        _ => String::new(),
    };
    draw(title, |canvas| {
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(px(if phases.is_empty() { 10 } else { 22 }))
            .margin_right(px(14))
            .x_label_area_size(px(36))
            .y_label_area_size(px(50))
            .build_cartesian_2d(left..right, low..high)?;
        for phase in phases {
            // A phase reaches half an epoch beyond its first and last one, so that neighbours meet.
            let (from, to) = ((phase.first - 0.5).max(left), (phase.last + 0.5).min(right));
            if phase.block % 2 == 0 {
                chart.draw_series([Rectangle::new([(from, low), (to, high)], Ink::Band.color().filled())])?;
            }
            let words = format!("block {}", phase.block);
            let room = (to - from) / (right - left) * f64::from(SIZE.0 - 64);
            let text = if room > 6.5 * words.len() as f64 { words } else { phase.block.to_string() };
            let style = label_style(11).pos(Pos::new(HPos::Center, VPos::Bottom));
            let (x, y) = chart.backend_coord(&(0.5 * (from + to), high));
            canvas.draw(&Text::new(text, (x, y - px(3)), style))?;
        }
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(stroke(Ink::Grid, 1.0))
            .axis_style(stroke(Ink::Grid, 1.0))
            .set_all_tick_mark_size(px(3))
            .label_style(label_style(12))
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&|x| if x.fract() == 0.0 { tick(*x) } else { String::new() })
            .y_label_formatter(&label)
            .x_desc("epoch")
            .draw()?;
        for line in lines {
            let style = stroke(line.ink, if line.ink == Ink::Network { 2.5 } else { 1.75 });
            for part in line.points.split(|(_, value)| value.is_none()) {
                let part: Vec<_> = part.iter().filter_map(|(x, value)| Some((*x, place((*value)?)))).collect();
                // With few epochs a reader wants to see where they are; a single one is nothing but a dot.
                if part.len() <= 12 {
                    chart.draw_series(part.iter().map(|at| Circle::new(*at, px(2), style.filled())))?;
                }
                chart.draw_series(LineSeries::new(part, style))?;
            }
        }
        Ok(())
    })
}

/// Bars from 0, one per label; with their value written on top while there is room.
pub(super) fn bars(
    title: &str,
    bars: &[(String, f64, Ink)],
    top: f64,
    figure: impl Fn(f64) -> String,
) -> Result<String> {
    draw(title, |canvas| {
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(px(20))
            .margin_right(px(10))
            .x_label_area_size(px(24))
            .y_label_area_size(px(50))
            .build_cartesian_2d((0..bars.len().saturating_sub(1)).into_segmented(), 0.0..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(stroke(Ink::Grid, 1.0))
            .axis_style(stroke(Ink::Grid, 1.0))
            .set_all_tick_mark_size(px(3))
            .label_style(label_style(12))
            .x_labels(bars.len().min(16))
            .y_labels(6)
            .x_label_formatter(&|x| match x {
                SegmentValue::CenterOf(i) => bars.get(*i).map_or_else(String::new, |(label, ..)| label.clone()),
                _ => String::new(),
            })
            .y_label_formatter(&|y| figure(*y))
            .draw()?;
        for (i, (_, value, ink)) in bars.iter().enumerate() {
            let corners = [(SegmentValue::Exact(i), *value), (SegmentValue::Exact(i + 1), 0.0)];
            let mut bar = Rectangle::new(corners, ink.color().mix(0.85).filled());
            let gap = (f64::from(SIZE.0 - 60) / bars.len() as f64 * 0.16) as u32;
            bar.set_margin(0, 0, px(gap), px(gap));
            chart.draw_series([bar])?;
            if bars.len() <= 8 {
                let (x, y) = chart.backend_coord(&(SegmentValue::CenterOf(i), *value));
                let style = label_style(11).pos(Pos::new(HPos::Center, VPos::Bottom));
                canvas.draw(&Text::new(figure(*value), (x, y - px(2)), style))?;
            }
        }
        Ok(())
    })
}

/// Two histograms over the same bins, each as shares of its own samples, with a line at each mean. `edges` has one entry
/// more than each list of counts.
pub(super) fn histograms(title: &str, edges: &[f64], sides: [(Ink, &[f64], Option<f64>); 2]) -> Result<String> {
    let (left, right) = padded_if_flat(span(edges.iter().copied()));
    let shares = |counts: &[f64]| -> Vec<f64> {
        let total: f64 = counts.iter().filter(|count| count.is_finite()).sum();
        let share = |count: &f64| if total > 0.0 && count.is_finite() { count / total } else { 0.0 };
        counts.iter().map(share).collect()
    };
    let sides = sides.map(|(ink, counts, mean)| (ink, shares(counts), mean));
    let top = sides.iter().flat_map(|(_, shares, _)| shares).fold(1e-3, |top: f64, share| top.max(*share));
    draw(title, |canvas| {
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(px(10))
            .margin_right(px(14))
            .x_label_area_size(px(36))
            .y_label_area_size(px(50))
            .build_cartesian_2d(left..right, 0.0..1.06 * top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(stroke(Ink::Grid, 1.0))
            .axis_style(stroke(Ink::Grid, 1.0))
            .set_all_tick_mark_size(px(3))
            .label_style(label_style(12))
            .x_labels(7)
            .y_labels(5)
            .x_label_formatter(&|x| tick(*x))
            .y_label_formatter(&|y| format!("{} %", tick(100.0 * y)))
            .x_desc("goodness")
            .draw()?;
        for (ink, shares, mean) in &sides {
            let mut outline = vec![(edges.first().copied().unwrap_or(left), 0.0)];
            for (bin, share) in edges.windows(2).zip(shares) {
                outline.extend([(bin[0], *share), (bin[1], *share)]);
            }
            outline.push((edges.last().copied().unwrap_or(right), 0.0));
            chart.draw_series([Polygon::new(outline.clone(), ink.color().mix(0.28))])?;
            chart.draw_series([PathElement::new(outline, stroke(*ink, 1.5))])?;
            if let Some(mean) = mean.filter(|mean| (left..=right).contains(mean)) {
                chart.draw_series([PathElement::new([(mean, 0.0), (mean, 1.06 * top)], stroke(*ink, 1.0))])?;
            }
        }
        Ok(())
    })
}

type Drawing = DrawingAreaErrorKind<std::io::Error>;

/// Runs `paint` on a fresh canvas and turns what Plotters wrote into SVG that stands inside a page.
fn draw(title: &str, paint: impl FnOnce(&Canvas<'_>) -> Result<(), Drawing>) -> Result<String> {
    let mut svg = String::new();
    let canvas = SVGBackend::with_string(&mut svg, (SIZE.0 * UNITS, SIZE.1 * UNITS)).into_drawing_area();
    let painted = paint(&canvas).and_then(|()| canvas.present());
    drop(canvas);
    painted.map_err(|error| Error::io(format!("plot '{title}'"), std::io::Error::other(error.to_string())))?;
    // Inside HTML an svg element needs no name space, and its size is the style sheet's business.
    let (_, content) = svg.split_once('>').unwrap_or_default();
    let (width, height) = (SIZE.0 * UNITS, SIZE.1 * UNITS);
    let title = Html::text(title);
    Ok(format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">{}", content.trim_end()))
}

fn px(pixels: u32) -> i32 {
    (pixels * UNITS) as i32
}

fn stroke(ink: Ink, pixels: f64) -> ShapeStyle {
    ink.color().stroke_width((pixels * f64::from(UNITS)).round() as u32)
}

fn label_style(pixels: u32) -> TextStyle<'static> {
    // Plotters writes the size it is given divided by 1.24, the height of a line of its default font.
    ("sans-serif", f64::from(pixels * UNITS) * 1.24).into_font().color(&Ink::Label.color())
}

/// Lowest and highest of `values`; 0 and 1 where there are none.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let within = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
    let (low, high) = values.filter(|value| value.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), within);
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

fn padded(low: f64, high: f64) -> (f64, f64) {
    let (low, high) = padded_if_flat((low, high));
    let room = 0.06 * (high - low);
    (low - room, high + room)
}

/// An axis needs a length, even where all values are the same.
fn padded_if_flat((low, high): (f64, f64)) -> (f64, f64) {
    let room = if high - low > 1e-9 * high.abs().max(low.abs()) { 0.0 } else { 0.05 * high.abs().max(0.1) };
    (low - room, high + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[Option<f64>]) -> Line {
        let points = values.iter().enumerate().map(|(i, value)| (i as f64 + 1.0, *value)).collect();
        Line { ink: Ink::Network, points }
    }

    fn drawn(lines: &[Line], axis: Axis) -> String {
        curves("a <plot>", axis, lines, lines, &[]).unwrap()
    }

    #[test]
    fn svg_stands_inside_a_page() {
        let svg = drawn(&[line(&[Some(0.5), Some(0.6)])], Axis::Percent);
        assert!(svg.starts_with("<svg viewBox=\"0 0 1760 1000\" role=\"img\" aria-label=\"a &lt;plot&gt;\">"), "{svg}");
        assert!(svg.ends_with("</svg>") && !svg.contains("http:"), "{svg}");
    }

    #[test]
    fn a_missing_value_interrupts_the_curve() {
        let whole = drawn(&[line(&[Some(1.0), Some(2.0), Some(3.0), Some(4.0)])], Axis::Plain);
        let split = drawn(&[line(&[Some(1.0), Some(2.0), None, Some(4.0), Some(3.0)])], Axis::Plain);
        let curves = |svg: &str| svg.matches("stroke=\"#16202A\" stroke-width=\"10\"").count();
        assert_eq!((curves(&whole), curves(&split)), (1, 2));
    }

    #[test]
    fn awkward_values_are_drawn_without_nan() {
        for values in [&[Some(0.0)][..], &[Some(3.0), Some(3.0)], &[None], &[], &[Some(1e-8), Some(1e8)], &[Some(-1.0)]]
        {
            for axis in [Axis::Percent, Axis::Plain, Axis::FromZero] {
                let svg = drawn(&[line(values)], axis);
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{values:?} {axis:?}: {svg}");
            }
        }
        let sides = [(Ink::Positive, &[0.0][..], Some(f64::NAN)), (Ink::Negative, &[f64::NAN][..], None)];
        let svg = histograms("flat", &[2.0, 2.0], sides).unwrap();
        assert!(!svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn many_orders_of_magnitude_get_a_logarithmic_axis() {
        let svg = drawn(&[line(&[Some(100.0), Some(1.0), Some(0.01)])], Axis::Plain);
        for label in ["0.01", "1", "100"] {
            assert!(svg.contains(&format!("\n{label}\n")), "{label} is missing: {svg}");
        }
    }
}
