//! Number ranges, from the keywords of a schema and from the Rust type that its `format` names.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Number, Value};

use super::view::View;

/// One end of a range.
#[derive(Debug, Clone)]
struct Border {
    value: Number,
    /// Whether the end itself is excluded.
    exclusive: bool,
}

/// The range of a number. Displays as `>= 0 and < 1`, or as nothing if every number is valid.
#[derive(Debug, Clone, Default)]
pub(super) struct Bounds {
    lower: Option<Border>,
    upper: Option<Border>,
}

impl Bounds {
    /// The range that the schema states.
    pub(super) fn stated(view: &View<'_>) -> Self {
        let mut bounds = Self::default();
        for (keyword, exclusive) in [("minimum", false), ("exclusiveMinimum", true)] {
            view.all(keyword).filter_map(Value::as_number).for_each(|n| bounds.raise(n.clone(), exclusive));
        }
        for (keyword, exclusive) in [("maximum", false), ("exclusiveMaximum", true)] {
            view.all(keyword).filter_map(Value::as_number).for_each(|n| bounds.lower(n.clone(), exclusive));
        }
        if formats(view).any(|format| format.starts_with("uint")) {
            bounds.raise(Number::from(0), false);
        }
        bounds
    }

    /// The stated range, narrowed to what the Rust type can hold. Users need to know about the narrower range only when
    /// they exceed it.
    pub(super) fn full(view: &View<'_>) -> Self {
        let mut bounds = Self::stated(view);
        for format in formats(view) {
            if let Some((low, high)) = range_of_format(format) {
                bounds.raise(low, false);
                bounds.lower(high, false);
            }
        }
        bounds
    }

    /// `Less` if `number` is below the range, `Greater` if above, `Equal` if inside.
    pub(super) fn position(&self, number: &Number) -> Ordering {
        let outside = |border: &Border, side| {
            let position = compare(number, &border.value);
            position == side || (border.exclusive && position == Ordering::Equal)
        };
        if self.lower.as_ref().is_some_and(|border| outside(border, Ordering::Less)) {
            Ordering::Less
        } else if self.upper.as_ref().is_some_and(|border| outside(border, Ordering::Greater)) {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }

    fn raise(&mut self, value: Number, exclusive: bool) {
        let tighter = self.lower.as_ref().is_none_or(|old| match compare(&value, &old.value) {
            Ordering::Greater => true,
            Ordering::Equal => exclusive,
            Ordering::Less => false,
        });
        if tighter {
            self.lower = Some(Border { value, exclusive });
        }
    }

    fn lower(&mut self, value: Number, exclusive: bool) {
        let tighter = self.upper.as_ref().is_none_or(|old| match compare(&value, &old.value) {
            Ordering::Less => true,
            Ordering::Equal => exclusive,
            Ordering::Greater => false,
        });
        if tighter {
            self.upper = Some(Border { value, exclusive });
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = |f: &mut fmt::Formatter<'_>, sign: &str, border: &Border| {
            let equal = if border.exclusive { "" } else { "=" };
            write!(f, "{sign}{equal} {}", plain(&border.value))
        };
        if let Some(border) = &self.lower {
            write(f, ">", border)?;
        }
        if self.lower.is_some() && self.upper.is_some() {
            f.write_str(" and ")?;
        }
        if let Some(border) = &self.upper {
            write(f, "<", border)?;
        }
        Ok(())
    }
}

/// The number without a superfluous `.0`.
pub(super) fn plain(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.0}"),
        _ => number.to_string(),
    }
}

/// Order of two numbers, exact where both are integers.
fn compare(a: &Number, b: &Number) -> Ordering {
    let integer = |n: &Number| n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from));
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

fn formats<'a>(view: &View<'a>) -> impl Iterator<Item = &'a str> {
    view.all("format").filter_map(Value::as_str)
}

/// The range of the Rust number type that `format` names.
fn range_of_format(format: &str) -> Option<(Number, Number)> {
    let integers = |low: i64, high: u64| Some((Number::from(low), Number::from(high)));
    match format {
        "uint8" => integers(0, u8::MAX.into()),
        "uint16" => integers(0, u16::MAX.into()),
        "uint32" => integers(0, u32::MAX.into()),
        "uint" | "uint64" => integers(0, u64::MAX),
        "int8" => integers(i8::MIN.into(), i8::MAX as u64),
        "int16" => integers(i16::MIN.into(), i16::MAX as u64),
        "int32" => integers(i32::MIN.into(), i32::MAX as u64),
        "int" | "int64" => integers(i64::MIN, i64::MAX as u64),
        "float" => Some((Number::from_f64(f32::MIN.into())?, Number::from_f64(f32::MAX.into())?)),
        _ => None,
    }
}
