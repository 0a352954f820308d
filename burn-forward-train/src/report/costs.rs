//! The cost of a training step as a function of one setting: a plot of memory, a plot of time, and a table.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::axis::Axis;
use super::figures::{bytes, exact, known, repeated, seconds, setting_label};
use super::html::{Column, Html, figure, grid, legend, table};
use super::page;
use super::palette::{Ink, SERIES};
use super::plot::{self, Line};
use crate::training::StepCost;
use burn_forward::{Error, Result};

/// The cost of one arm at one value of the setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostPoint {
    /// Name of the arm: a learning rule.
    pub arm: String,
    /// Value of the setting.
    pub value: Value,
    /// Number of blocks.
    pub blocks: usize,
    /// Cost of a step.
    pub measured: StepCost,
}

impl CostPoint {
    /// The value in words; a list that repeats one item is written as `[128x32]`.
    pub fn label(&self) -> String {
        setting_label(&self.value)
    }
}

/// The whole page.
pub(super) fn render(setting: &str, points: &[CostPoint]) -> Result<String> {
    if points.is_empty() {
        return Err(Error::argument("report::write_costs", "number of points", 0, "at least 1"));
    }
    let title = format!("Cost of a training step along {setting}");
    let mut main = Html::markup(format!("<section>\n<h1>{}</h1>\n", Html::text(&title)));
    main.push(Html::hint(
        "Every point was measured in its own process. Memory is the peak of resident memory above what the process held \
        before its first step, which includes data and weights. The peak consists of activations, workspaces, gradients \
        and optimiser state. The last two, shown as dashed lines, grow with the number of parameters under every rule.",
    ));
    main.push(plots(setting, points)?);
    main.push(Html::markup("</section>\n"));
    main.push(section("Figures", figures(setting, points)));
    Ok(page::document(&title, &Html::default(), &main))
}

fn section(title: &str, body: Html) -> Html {
    Html::markup(format!("<section>\n<h2>{title}</h2>\n{body}</section>\n"))
}

fn plots(setting: &str, points: &[CostPoint]) -> Result<Html> {
    let arms = distinct(points.iter().map(|point| &point.arm));
    let values = distinct(points.iter().map(|point| &point.value));
    let places = places(&values);
    let (setting, label): (_, fn(&Value) -> String) = match lengths(&values) {
        // Several lists would not fit side by side.
        Some(_) => (format!("length of {setting}"), |value| value.as_array().map_or(0, Vec::len).to_string()),
        None => (setting.to_owned(), setting_label),
    };
    let x = Axis::named(places.iter().map(|(at, i)| (*at, label(values[*i]))).collect());
    let line = |ink: Ink, arm: &str, of: &dyn Fn(&StepCost) -> Option<f64>| {
        let at = |(place, i): &(f64, usize)| {
            let point = points.iter().find(|point| point.arm == arm && point.value == *values[*i]);
            (*place, point.and_then(|point| of(&point.measured)))
        };
        Line { ink, points: places.iter().map(at).collect() }
    };
    let lines = |dashed: bool, of: &dyn Fn(&StepCost) -> Option<f64>| -> Vec<Line> {
        let ink = |i: usize| Ink::series(i % SERIES + if dashed { SERIES } else { 0 });
        let all = arms.iter().enumerate().map(|(i, arm)| line(ink(i), arm, of));
        all.filter(|line| !line.is_empty()).collect()
    };
    const MIB: f64 = 1024.0 * 1024.0;
    let of_parameters = |cost: &StepCost| Some((cost.gradient_bytes + cost.optimizer_bytes) as f64 / MIB);
    let peak = |cost: &StepCost| Some(cost.peak_above_base_bytes? as f64 / MIB);
    let rest = |cost: &StepCost| Some(cost.activation_bytes()? as f64 / MIB);
    let mut memory = lines(true, &of_parameters);
    memory.extend(lines(false, &peak));
    let mut drawn = Vec::new();
    let mut body = legend(arms.iter().enumerate().map(|(i, arm)| (Ink::series(i % SERIES), Html::text(arm))));
    for (title, lines) in [
        ("Peak memory above the base, MiB; dashed: gradients and optimiser state", memory),
        ("Activations and workspaces: the peak without the dashed part, MiB", lines(false, &rest)),
        ("Seconds per step", lines(false, &|cost| Some(cost.seconds_per_step))),
    ] {
        if lines.is_empty() {
            body.push(Html::missing(format!("{title}: this system does not report it.")));
        } else {
            drawn.push(figure(title, &plot::over_setting(title, (&x, &setting), &lines)?));
        }
    }
    body.push(grid(drawn));
    Ok(body)
}

fn figures(setting: &str, points: &[CostPoint]) -> Html {
    let columns = [
        Column::Words("Arm"),
        Column::Words("Value"),
        Column::Figures("Blocks"),
        Column::Figures("Peak"),
        Column::Figures("Gradients"),
        Column::Figures("Optimiser state"),
        Column::Figures("Activations and workspaces"),
        Column::Figures("Of the first"),
        Column::Figures("Weights"),
        Column::Figures("Per step"),
    ];
    let rows = points.iter().map(|point| {
        let cost = &point.measured;
        let first =
            points.iter().find(|other| other.arm == point.arm).and_then(|first| first.measured.activation_bytes());
        let growth = cost.activation_bytes().zip(first.filter(|first| *first > 0));
        let cells = [
            point.arm.clone(),
            point.label(),
            exact(point.blocks as u64),
            known(cost.peak_above_base_bytes, bytes),
            bytes(cost.gradient_bytes as u64),
            bytes(cost.optimizer_bytes as u64),
            known(cost.activation_bytes(), bytes),
            known(growth, |(now, first)| format!("{:.2}", now as f64 / first as f64)),
            bytes(cost.weight_bytes as u64),
            seconds(cost.seconds_per_step),
        ];
        cells.map(Html::text).to_vec()
    });
    let mut body = Html::hint(format!(
        "Value is that of {setting}. Weights are part of the base, not of the peak. Of the first: activations and workspaces \
        relative to those at the arm's first value."
    ));
    body.push(Html::markup(format!("<div class=\"ranking\">{}</div>\n", table(&columns, rows))));
    body
}

/// The places of the values, with their indices, in increasing order. Numbers are placed at their values. Lists that
/// all repeat the same item (widths of networks of different depth) are placed at their lengths. Other values are
/// placed side by side in the given order.
fn places(values: &[&Value]) -> Vec<(f64, usize)> {
    let numbers: Option<Vec<f64>> = values.iter().map(|value| value.as_f64()).collect();
    let places = numbers.or_else(|| lengths(values)).unwrap_or_else(|| (1..=values.len()).map(|i| i as f64).collect());
    let mut places: Vec<(f64, usize)> = places.into_iter().enumerate().map(|(i, at)| (at, i)).collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places
}

/// Lengths of lists that repeat one common item and all differ in length; `None` for other values.
fn lengths(values: &[&Value]) -> Option<Vec<f64>> {
    let lists: Vec<(&Value, usize)> = values.iter().map(|value| repeated(value)).collect::<Option<_>>()?;
    let same = lists.windows(2).all(|pair| pair[0].0 == pair[1].0);
    let different = distinct(lists.iter().map(|(_, length)| length)).len() == lists.len();
    (same && different).then(|| lists.iter().map(|(_, length)| *length as f64).collect())
}

fn distinct<'a, T: PartialEq>(all: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    let mut distinct = Vec::new();
    for one in all {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn point(arm: &str, value: Value, peak: Option<u64>) -> CostPoint {
        let measured = StepCost {
            steps: 3,
            seconds_per_step: 0.25,
            fastest_step: 0.2,
            base_bytes: Some(100 << 20),
            peak_above_base_bytes: peak.map(|mib| mib << 20),
            weight_bytes: 5 << 20,
            gradient_bytes: 5 << 20,
            optimizer_bytes: 10 << 20,
            last_loss: None,
        };
        CostPoint { arm: arm.into(), value, blocks: 2, measured }
    }

    #[test]
    fn the_page_has_a_line_per_arm_and_the_parameters_part_apart() {
        let points = [(20, 115), (56, 215)].map(|(depth, peak)| point("a <rule>", json!(depth), Some(peak)));
        let page = render("network.depth", &points).unwrap();
        for text in
            ["a &lt;rule&gt;", ">56</td>", "215 MiB", "200 MiB", ">2.00</td>", "10.0 MiB", "250 ms", "network.depth"]
        {
            assert!(page.contains(text), "the page lacks {text:?}");
        }
        assert!(!page.contains("<nav"), "there are no contents to list");
        assert_eq!(page.matches("<svg ").count(), 3);
        // The dashed line of the first series, and the solid lines of three plots.
        let lines = |ink: Ink| {
            page.matches(&format!("stroke=\"#{}\" stroke-width=\"7\"", ink.class()[4..10].to_owned())).count()
        };
        assert_eq!((lines(Ink::series(0)), lines(Ink::series(SERIES))), (3, 1));
    }

    #[test]
    fn values_that_are_no_numbers_stand_side_by_side() {
        assert_eq!(places(&[&json!(110), &json!(20)]), [(20.0, 1), (110.0, 0)]);
        assert_eq!(places(&[&json!([64]), &json!("all")]), [(1.0, 0), (2.0, 1)]);
        assert_eq!(places(&[&json!([64, 64]), &json!([64, 32])]), [(1.0, 0), (2.0, 1)]);
        assert_eq!(places(&[&json!([64]), &json!([32])]), [(1.0, 0), (2.0, 1)]);
    }

    #[test]
    fn widths_of_equal_layers_stand_at_their_depth() {
        assert_eq!(places(&[&json!([64, 64, 64]), &json!([64])]), [(1.0, 1), (3.0, 0)]);
        assert_eq!(setting_label(&json!([64, 64, 64])), "[64x3]");
        assert_eq!(setting_label(&json!([64, 64])), "[64,64]");
        assert_eq!(setting_label(&json!([64, 32, 64])), "[64,32,64]");
        assert_eq!((setting_label(&json!("stage")), setting_label(&json!(56))), ("stage".into(), "56".into()));
    }

    #[test]
    fn depths_are_written_as_numbers_below_a_plot() {
        let points = [1, 2, 32].map(|depth| point("a", json!(vec![64; depth]), Some(100)));
        let page = render("network.widths", &points).unwrap();
        assert!(page.contains("length of network.widths") && page.contains("\n32\n</text>"), "{page}");
        assert!(page.contains("[64x32]</td>"));
    }

    #[test]
    fn a_system_that_does_not_tell_its_memory_has_its_times() {
        let page = render("network.depth", &[point("a", json!(20), None)]).unwrap();
        assert!(page.contains("this system does not report it") && page.contains("250 ms"));
        assert!(render("network.depth", &[]).is_err());
    }
}
