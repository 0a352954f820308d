//! Vertical and horizontal axes: their ranges and the places of their labels.
//!
//! Plotters can choose ticks itself, but its search does not terminate on ranges far below 1 and asserts on NaN. A
//! diverged run leaves both behind, so an [`Axis`] brings its own ticks.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// The kind of numbers along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Fractions, labelled in percent.
    Percent,
    /// Plain numbers; logarithmic if they are positive and span more than two orders of magnitude.
    Plain,
    /// Plain numbers on an axis that includes 0.
    FromZero,
    /// Angles, with a label every 30 degrees.
    Degrees,
    /// Whole numbers from the first to the last, without a margin.
    Epochs,
    /// Seconds from 0 to the last, without a margin.
    Seconds,
    /// Named places from the first to the last, without a margin.
    Named,
}

/// An axis over the values to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    kind: Kind,
    log: bool,
    low: f64,
    high: f64,
    step: f64,
    ticks: Vec<f64>,
    /// Names of the ticks, if they have any.
    names: Vec<String>,
}

impl Axis {
    /// An axis with the given `names` at increasing places.
    pub(super) fn named(names: Vec<(f64, String)>) -> Self {
        let over = Self::over(Kind::Named, names.iter().map(|(at, _)| *at), names.len().max(1));
        let (ticks, names) = names.into_iter().unzip();
        Self { ticks, names, ..over }
    }

    /// An axis that covers all `values`, with about `labels` labels.
    pub(super) fn over(kind: Kind, values: impl Iterator<Item = f64>, labels: usize) -> Self {
        let within = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
        let (low, high) = values.filter(|value| drawable(*value)).fold((f64::INFINITY, f64::NEG_INFINITY), within);
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let log = kind == Kind::Plain && low > 0.0 && high / low > 100.0;
        let (low, high) = if log { (low.log10(), high.log10()) } else { (low, high) };
        let (low, high) = match kind {
            Kind::Percent => {
                let (bottom, top) = padded(low, high);
                // Nothing lies below 0 or above 100 %; at the top there must be a little room for the width of a line.
                (if low < 0.0 { bottom } else { bottom.max(0.0) }, if high > 1.0 { top } else { top.min(1.002) })
            }
            Kind::Plain | Kind::Degrees => padded(low, high),
            Kind::FromZero => {
                let (bottom, top) = padded(low.min(0.0), high.max(0.0));
                (if low < 0.0 { bottom } else { 0.0 }, if high > 0.0 || low == high { top } else { 0.0 })
            }
            Kind::Seconds => (0.0, if high > 0.0 { high } else { 1.0 }),
            Kind::Epochs | Kind::Named if low < high => (low, high),
            Kind::Epochs | Kind::Named => (low - 0.5, high + 0.5),
        };
        Self::between(kind, log, low, high, labels)
    }

    /// An axis of plain numbers that ranges exactly from `low` to `high`.
    pub(super) fn exactly(kind: Kind, low: f64, high: f64, labels: usize) -> Self {
        Self::between(kind, false, low, high, labels)
    }

    fn between(kind: Kind, log: bool, low: f64, high: f64, labels: usize) -> Self {
        // Ticks lie on whole numbers: epochs, or exponents of powers of ten.
        let whole = log || kind == Kind::Epochs;
        let step = match kind {
            Kind::Degrees => 30.0,
            _ => round_step((high - low) / labels as f64).max(if whole { 1.0 } else { 0.0 }),
        };
        let first = (low / step - 1e-9).ceil();
        let ticks = (0..=2 * labels).map(|i| (first + i as f64) * step).take_while(|at| *at <= high + 1e-9 * step);
        Self { kind, log, low, high, step, ticks: ticks.collect(), names: Vec::new() }
    }

    /// Lower end, as a place on the axis.
    pub(super) fn low(&self) -> f64 {
        self.low
    }

    /// Upper end, as a place on the axis.
    pub(super) fn high(&self) -> f64 {
        self.high
    }

    /// The place of a value on the axis; `None` if the value cannot be drawn.
    pub(super) fn place(&self, value: Option<f64>) -> Option<f64> {
        let value = value.filter(|value| drawable(*value))?;
        Some(if self.log { value.log10() } else { value })
    }

    /// The label at a place, with just enough decimals to distinguish it from the next one.
    pub(super) fn label(&self, place: f64) -> String {
        if let Some(i) = self.ticks.iter().position(|at| *at == place)
            && let Some(name) = self.names.get(i)
        {
            return name.clone();
        }
        match self.kind {
            Kind::Percent => format!("{} %", tick(100.0 * place, 100.0 * self.step)),
            Kind::Degrees => format!("{place:.0}°"),
            _ if self.log => {
                let value = 10f64.powf(place.round());
                tick(value, value)
            }
            _ => tick(place, self.step),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (from, to): (i32, i32)) -> i32 {
        from + (f64::from(to - from) * (place - self.low) / (self.high - self.low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// Whether a value can be drawn: it must be finite, and small enough for differences of values to be finite.
fn drawable(value: f64) -> bool {
    value.abs() < 1e100
}

/// The smallest number that is 1, 2 or 5 times a power of ten and at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

fn padded(low: f64, high: f64) -> (f64, f64) {
    let room = 0.06 * (high - low);
    // An axis needs a length, even if all values are equal.
    let flat = 0.05 * high.abs().max(low.abs());
    let room = if high - low > 1e-9 * high.abs().max(low.abs()) { room } else { flat };
    let room = if room > 0.0 { room } else { 0.01 };
    (low - room, high + room)
}

fn tick(x: f64, step: f64) -> String {
    if x.abs() < 1e-9 * step {
        "0".to_owned()
    } else if x.abs() >= 1e5 || step < 9e-5 {
        let text = format!("{x:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
    } else {
        let decimals = (-(step * 1.0001).log10().floor()).max(0.0) as usize;
        format!("{x:.decimals$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(kind: Kind, values: &[f64]) -> Vec<String> {
        let axis = Axis::over(kind, values.iter().copied(), 5);
        axis.ticks.iter().map(|at| axis.label(*at)).collect()
    }

    #[test]
    fn labels_are_round_and_tell_ticks_apart() {
        assert_eq!(labels(Kind::Percent, &[0.9712, 0.9843]), ["97.5 %", "98.0 %", "98.5 %"]);
        assert_eq!(labels(Kind::FromZero, &[0.3, 12.0]), ["0", "5", "10"]);
        assert_eq!(labels(Kind::FromZero, &[0.001]), ["0", "0.0005", "0.0010"]);
        assert_eq!(labels(Kind::Epochs, &[1.0, 2.0, 3.0]), ["1", "2", "3"]);
        assert_eq!(labels(Kind::Epochs, &[1.0, 100.0]), ["20", "40", "60", "80", "100"]);
        assert_eq!(labels(Kind::Epochs, &[7.0]), ["7"]);
    }

    #[test]
    fn names_stand_at_their_places() {
        let axis = Axis::named([20.0, 56.0, 110.0].map(|depth| (depth, format!("{depth} deep"))).to_vec());
        assert_eq!((axis.low, axis.high), (20.0, 110.0));
        assert_eq!(axis.ticks.iter().map(|at| axis.label(*at)).collect::<Vec<_>>(), ["20 deep", "56 deep", "110 deep"]);
        assert!(Axis::named(vec![(1.0, "only".into())]).low < 1.0);
    }

    #[test]
    fn many_orders_of_magnitude_get_powers_of_ten() {
        assert_eq!(labels(Kind::Plain, &[100.0, 1.0, 0.01]), ["0.01", "0.1", "1", "10", "100"][..].to_vec());
        let axis = Axis::over(Kind::Plain, [0.01, 100.0].into_iter(), 5);
        assert_eq!(axis.place(Some(10.0)), Some(1.0));
    }

    #[test]
    fn awkward_values_give_an_axis_with_a_length_and_labels() {
        let sets: [&[f64]; 9] = [
            &[],
            &[0.0],
            &[3.0, 3.0],
            &[-1.0],
            &[1e-20, 2e-20],
            &[1e99, -1e99],
            &[f64::NAN, f64::INFINITY],
            &[1.0],
            &[1e16, 1e16 + 2.0],
        ];
        for values in sets {
            for kind in [Kind::Percent, Kind::Plain, Kind::FromZero, Kind::Epochs, Kind::Seconds] {
                let axis = Axis::over(kind, values.iter().copied(), 5);
                assert!(axis.low < axis.high && axis.high - axis.low < f64::INFINITY, "{values:?} {axis:?}");
                assert!(axis.ticks.len() <= 11 && axis.ticks.iter().all(|at| at.is_finite()), "{values:?} {axis:?}");
            }
        }
    }
}
