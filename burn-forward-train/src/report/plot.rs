//! Every plot of the report, as inline SVG. Titles and legends are HTML outside the SVG, where they can wrap and scale.

use plotters::coord::Shift;
use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, Kind};
use super::html::Html;
use super::palette::Ink;
use burn_forward::{Error, Result};

/// Size of a plot in CSS pixels: about the width of a phone, so that text stays readable there.
const SIZE: (u32, u32) = (440, 250);
/// Size of the picture of a graph.
const GRAPH: (u32, u32) = (640, 400);
/// Plotters rounds coordinates to whole units; drawing on a finer grid keeps the curves smooth.
const UNITS: u32 = 4;

/// A curve over epochs.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Colour.
    pub(super) ink: Ink,
    /// Epoch (or second) and value, in order. A missing value interrupts the curve.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Line {
    fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(|(_, value)| *value)
    }

    /// Whether there is nothing to draw.
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

/// Curves over epochs, or over seconds if `time` is [`Kind::Seconds`]. The vertical axis covers the values of the
/// curves in `alike`: those of this plot and of the plots it is to be compared with.
pub(super) fn curves(
    title: &str,
    (time, kind): (Kind, Kind),
    lines: &[Line],
    alike: &[Line],
    phases: &[Phase],
) -> Result<String> {
    let epochs = alike.iter().flat_map(|line| line.points.iter().map(|(epoch, _)| *epoch));
    let words = if time == Kind::Seconds { "seconds of training" } else { "epoch" };
    let y = Axis::over(kind, alike.iter().flat_map(Line::values), 7);
    draw_lines(title, (&Axis::over(time, epochs, 8), words), &y, lines, phases)
}

/// Curves over the values of a setting, with a vertical axis from 0.
pub(super) fn over_setting(title: &str, (x, setting): (&Axis, &str), lines: &[Line]) -> Result<String> {
    along(title, (x, setting), Kind::FromZero, lines)
}

/// Curves over a given axis with the title `words`.
pub(super) fn along(title: &str, (x, words): (&Axis, &str), kind: Kind, lines: &[Line]) -> Result<String> {
    let y = Axis::over(kind, lines.iter().flat_map(Line::values), 7);
    draw_lines(title, (x, words), &y, lines, &[])
}

fn draw_lines(title: &str, (x, words): (&Axis, &str), y: &Axis, lines: &[Line], phases: &[Phase]) -> Result<String> {
    draw(title, |canvas| {
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(px(if phases.is_empty() { 10 } else { 22 }))
            .margin_right(px(14))
            .x_label_area_size(px(36))
            .y_label_area_size(px(50))
            .build_cartesian_2d(x.clone(), y.clone())?;
        let (left, right, low, high) = (x.low(), x.high(), y.low(), y.high());
        for phase in phases {
            // A phase extends half an epoch beyond its first and last one, so that adjacent phases touch.
            let (from, to) = ((phase.first - 0.5).max(left), (phase.last + 0.5).min(right));
            if from >= to {
                continue;
            }
            if phase.block % 2 == 0 {
                chart.draw_series([Rectangle::new([(from, low), (to, high)], Ink::Band.color().filled())])?;
            }
            let words = format!("block {}", phase.block);
            let room = (to - from) / (right - left) * f64::from(SIZE.0 - 64);
            let fits = |text: &str| room > 6.5 * text.len() as f64 + 4.0;
            let text = if fits(&words) { words } else { phase.block.to_string() };
            if !fits(&text) && phase.block % 5 != 0 {
                continue;
            }
            let style = label_style(11).pos(Pos::new(HPos::Center, VPos::Bottom));
            let (middle, top) = chart.backend_coord(&(0.5 * (from + to), high));
            canvas.draw(&Text::new(text, (middle, top - px(3)), style))?;
        }
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(stroke(Ink::Grid, 1.0))
            .axis_style(stroke(Ink::Grid, 1.0))
            .set_all_tick_mark_size(px(3))
            .label_style(label_style(12))
            .x_label_formatter(&|at| x.label(*at))
            .y_label_formatter(&|at| y.label(*at))
            .x_desc(words)
            .draw()?;
        for line in lines {
            let style = stroke(line.ink, if line.ink == Ink::Network { 2.5 } else { 1.75 });
            let points: Vec<_> = line.points.iter().map(|(epoch, value)| (*epoch, y.place(*value))).collect();
            for part in points.split(|(_, place)| place.is_none()) {
                let part: Vec<_> = part.iter().filter_map(|(epoch, place)| Some((*epoch, (*place)?))).collect();
                // With few epochs, dots show where they are; a single epoch is nothing but a dot.
                if part.len() <= 12 {
                    chart.draw_series(part.iter().map(|at| Circle::new(*at, px(2), style.filled())))?;
                }
                chart.draw_series(LineSeries::new(part, style))?;
            }
        }
        Ok(())
    })
}

/// Bars from 0 to at most `top`, one per label, with their values above if there is room.
pub(super) fn bars(
    title: &str,
    kind: Kind,
    bars: &[(String, f64, Ink)],
    top: f64,
    figure: impl Fn(f64) -> String,
) -> Result<String> {
    let y = Axis::exactly(kind, 0.0, top, 6);
    draw(title, |canvas| {
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(px(20))
            .margin_right(px(10))
            .x_label_area_size(px(24))
            .y_label_area_size(px(50))
            .build_cartesian_2d((0..bars.len().saturating_sub(1)).into_segmented(), y.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(stroke(Ink::Grid, 1.0))
            .axis_style(stroke(Ink::Grid, 1.0))
            .set_all_tick_mark_size(px(3))
            .label_style(label_style(12))
            .x_labels(bars.len().min(16))
            .x_label_formatter(&|at| match at {
                SegmentValue::CenterOf(i) => bars.get(*i).map_or_else(String::new, |(label, ..)| label.clone()),
                _ => String::new(),
            })
            .y_label_formatter(&|at| y.label(*at))
            .draw()?;
        for (i, (_, value, ink)) in bars.iter().enumerate() {
            let corners = [(SegmentValue::Exact(i), *value), (SegmentValue::Exact(i + 1), 0.0)];
            let mut bar = Rectangle::new(corners, ink.color().mix(0.85).filled());
            let gap = (f64::from(SIZE.0 - 60) / bars.len() as f64 * 0.16) as u32 * UNITS;
            bar.set_margin(0, 0, gap, gap);
            chart.draw_series([bar])?;
            if bars.len() <= 8 {
                let (middle, top) = chart.backend_coord(&(SegmentValue::CenterOf(i), *value));
                let style = label_style(11).pos(Pos::new(HPos::Center, VPos::Bottom));
                canvas.draw(&Text::new(figure(*value), (middle, top - px(2)), style))?;
            }
        }
        Ok(())
    })
}

/// Two histograms over the same bins, each normalised by its own number of samples, with a line at each mean. `edges`
/// has one entry more than each list of counts.
pub(super) fn histograms(title: &str, edges: &[f64], sides: [(Ink, &[f64], Option<f64>); 2]) -> Result<String> {
    let shares = |counts: &[f64]| -> Vec<f64> {
        let total: f64 = counts.iter().filter(|count| count.is_finite()).sum();
        let share = |count: &f64| if total > 0.0 && count.is_finite() { 100.0 * count / total } else { 0.0 };
        counts.iter().map(share).collect()
    };
    let sides = sides.map(|(ink, counts, mean)| (ink, shares(counts), mean));
    let (left, right) = (edges.first().copied().unwrap_or(0.0), edges.last().copied().unwrap_or(1.0));
    let x = Axis::exactly(Kind::Plain, left, right, 7);
    let y = Axis::over(Kind::FromZero, sides.iter().flat_map(|(_, shares, _)| shares.iter().copied()), 7);
    draw(title, |canvas| {
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(px(10))
            .margin_right(px(14))
            .x_label_area_size(px(36))
            .y_label_area_size(px(50))
            .build_cartesian_2d(x.clone(), y.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(stroke(Ink::Grid, 1.0))
            .axis_style(stroke(Ink::Grid, 1.0))
            .set_all_tick_mark_size(px(3))
            .label_style(label_style(12))
            .x_label_formatter(&|at| x.label(*at))
            .y_label_formatter(&|at| format!("{} %", y.label(*at)))
            .x_desc("goodness")
            .draw()?;
        for (ink, shares, mean) in &sides {
            let mut outline = vec![(left, 0.0)];
            for (bin, share) in edges.windows(2).zip(shares) {
                outline.extend([(bin[0], *share), (bin[1], *share)]);
            }
            outline.push((right, 0.0));
            chart.draw_series([Polygon::new(outline.clone(), ink.color().mix(0.28))])?;
            chart.draw_series([PathElement::new(outline, stroke(*ink, 1.5))])?;
            if let Some(mean) = mean.filter(|mean| (left..=right).contains(mean)) {
                chart.draw_series([PathElement::new([(mean, 0.0), (mean, y.high())], stroke(*ink, 1.0))])?;
            }
        }
        Ok(())
    })
}

/// A node of a graph.
#[derive(Debug, Clone)]
pub(super) struct Dot {
    /// Place in `[0, 1] x [0, 1]`.
    pub(super) at: (f64, f64),
    /// Text of the label.
    pub(super) label: String,
    /// Fill colour; `None` draws an outline only.
    pub(super) fill: Option<Ink>,
    /// Colour of a ring around the node.
    pub(super) ring: Option<Ink>,
    /// Whether to draw a square instead of a circle.
    pub(super) square: bool,
}

/// Draws nodes and the edges between them.
pub(super) fn graph(title: &str, dots: &[Dot], edges: &[(usize, usize)]) -> Result<String> {
    // There is room for 100 nodes with labels; if there are more, they are smaller and have no labels.
    let radius = (90.0 / (dots.len().max(1) as f64).sqrt()).clamp(2.0, 8.0);
    let labelled = radius >= 6.5;
    let margin = 16.0;
    let place = |(x, y): (f64, f64)| {
        let across =
            |part: f64, size: u32| ((margin + part * (f64::from(size) - 2.0 * margin)) * f64::from(UNITS)) as i32;
        (across(x, GRAPH.0), across(y, GRAPH.1))
    };
    let units = |pixels: f64| (pixels * f64::from(UNITS)).round() as i32;
    draw_sized(title, GRAPH, |canvas| {
        for (a, b) in edges {
            let (Some(a), Some(b)) = (dots.get(*a), dots.get(*b)) else { continue };
            canvas.draw(&PathElement::new([place(a.at), place(b.at)], stroke(Ink::Edge, 1.0)))?;
        }
        for dot in dots {
            let at = place(dot.at);
            let mark = |radius: f64, style: ShapeStyle| {
                let r = units(radius);
                let corners = [(at.0 - r, at.1 - r), (at.0 + r, at.1 + r)];
                if dot.square {
                    canvas.draw(&Rectangle::new(corners, style))
                } else {
                    canvas.draw(&Circle::new(at, r, style))
                }
            };
            // A border in the background colour separates the mark from the edges behind it.
            if let Some(ring) = dot.ring {
                mark(radius + 4.0, Ink::Card.color().filled())?;
                mark(radius + 3.0, ring.color().filled())?;
            }
            mark(radius + 1.0, Ink::Card.color().filled())?;
            match dot.fill {
                Some(ink) => mark(radius, ink.color().filled())?,
                None => mark(radius - 1.0, stroke(Ink::Label, 1.5))?,
            }
            if labelled {
                let ink = if dot.fill.is_some() { Ink::Card } else { Ink::Label };
                let color = ink.color();
                let style = label_style(9).color(&color).pos(Pos::new(HPos::Center, VPos::Center));
                canvas.draw(&Text::new(dot.label.clone(), at, style))?;
            }
        }
        Ok(())
    })
}

type Drawing = DrawingAreaErrorKind<std::io::Error>;

/// Runs `paint` on a new canvas and turns the output of Plotters into SVG that can be placed in a page.
fn draw(title: &str, paint: impl FnOnce(&Canvas<'_>) -> Result<(), Drawing>) -> Result<String> {
    draw_sized(title, SIZE, paint)
}

fn draw_sized(title: &str, size: (u32, u32), paint: impl FnOnce(&Canvas<'_>) -> Result<(), Drawing>) -> Result<String> {
    let mut svg = String::new();
    let canvas = SVGBackend::with_string(&mut svg, (size.0 * UNITS, size.1 * UNITS)).into_drawing_area();
    let painted = paint(&canvas).and_then(|()| canvas.present());
    drop(canvas);
    painted.map_err(|error| Error::io(format!("plot '{title}'"), std::io::Error::other(error.to_string())))?;
    // Inside HTML an `svg` element needs no namespace, and the style sheet sets its size.
    let (_, content) = svg.split_once('>').unwrap_or_default();
    let (width, height) = (size.0 * UNITS, size.1 * UNITS);
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
    // Plotters divides the given font size by 1.24, the line height of its default font.
    ("sans-serif", f64::from(pixels * UNITS) * 1.24).into_font().color(&Ink::Label.color())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[Option<f64>]) -> Line {
        let points = values.iter().enumerate().map(|(i, value)| (i as f64 + 1.0, *value)).collect();
        Line { ink: Ink::Network, points }
    }

    fn drawn(lines: &[Line], kind: Kind) -> String {
        curves("a <plot>", (Kind::Epochs, kind), lines, lines, &[]).unwrap()
    }

    #[test]
    fn svg_stands_inside_a_page() {
        let svg = drawn(&[line(&[Some(0.5), Some(0.6)])], Kind::Percent);
        assert!(svg.starts_with("<svg viewBox=\"0 0 1760 1000\" role=\"img\" aria-label=\"a &lt;plot&gt;\">"), "{svg}");
        assert!(svg.ends_with("</svg>") && !svg.contains("http:"), "{svg}");
    }

    #[test]
    fn a_missing_value_interrupts_the_curve() {
        let whole = drawn(&[line(&[Some(1.0), Some(2.0), Some(3.0), Some(4.0)])], Kind::Plain);
        let split = drawn(&[line(&[Some(1.0), Some(2.0), None, Some(4.0), Some(3.0)])], Kind::Plain);
        let curves = |svg: &str| svg.matches("stroke=\"#16202A\" stroke-width=\"10\"").count();
        assert_eq!((curves(&whole), curves(&split)), (1, 2));
    }

    #[test]
    fn what_a_diverged_run_leaves_is_drawn() {
        let sets = [&[Some(0.0)][..], &[None], &[], &[Some(1e-8), Some(1e8)], &[Some(f64::NAN), Some(f64::MAX)]];
        for values in sets {
            for kind in [Kind::Percent, Kind::Plain, Kind::FromZero] {
                let svg = drawn(&[line(values)], kind);
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{values:?} {kind:?}: {svg}");
            }
        }
        let sides = [(Ink::Positive, &[0.0][..], Some(f64::NAN)), (Ink::Negative, &[f64::NAN][..], None)];
        let svg = histograms("empty", &[2.0, 3.0], sides).unwrap();
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
