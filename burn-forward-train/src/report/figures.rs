//! Formatting of numbers, with units and no more digits than a reader can use, and of settings.

use serde_json::Value;

/// Shown in place of an unknown figure.
pub(super) const UNKNOWN: &str = "–";

/// A fraction as `98.43 %`.
pub(super) fn percent(fraction: f64) -> String {
    if fraction.is_finite() { format!("{:.2} %", 100.0 * fraction) } else { UNKNOWN.to_owned() }
}

/// A count as `1.24 M`; below 10,000 exactly.
pub(super) fn count(n: u64) -> String {
    let scaled = |unit: f64, name: &str| format!("{} {name}", three_digits(n as f64 / unit));
    match n {
        0..10_000 => exact(n),
        // If rounding to three digits would give 1000 k, use the next unit.
        10_000..999_500 => scaled(1e3, "k"),
        999_500..999_500_000 => scaled(1e6, "M"),
        _ => scaled(1e9, "G"),
    }
}

/// A count with all its digits, `1,238,010`.
pub(super) fn exact(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes as `345 MiB`.
pub(super) fn bytes(n: u64) -> String {
    let scaled = |power: i32, name: &str| format!("{} {name}", three_digits(n as f64 / 1024f64.powi(power)));
    match n {
        0..1024 => format!("{n} B"),
        1024..1_048_576 => scaled(1, "KiB"),
        1_048_576..10_737_418_240 => scaled(2, "MiB"),
        _ => scaled(3, "GiB"),
    }
}

/// A duration as `12.3 s`, `4 min 05 s` or `2 h 07 min`.
pub(super) fn seconds(seconds: f64) -> String {
    if !seconds.is_finite() {
        return UNKNOWN.to_owned();
    }
    let whole = seconds.round().max(0.0) as u64;
    match seconds {
        s if s < 0.9995 => format!("{:.0} ms", 1000.0 * s),
        s if s < 9.995 => format!("{s:.2} s"),
        s if s < 119.95 => format!("{s:.1} s"),
        s if s < 7199.5 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Any other number, with four significant digits.
pub(super) fn number(x: f64) -> String {
    let size = x.abs();
    if !x.is_finite() {
        UNKNOWN.to_owned()
    } else if size == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e6).contains(&size) {
        format!("{x:.2e}")
    } else {
        let decimals = (3 - size.log10().floor() as i32).clamp(0, 4) as usize;
        format!("{x:.decimals$}")
    }
}

/// Formats a value with `figure`, or gives the sign for an unknown one.
pub(super) fn known<T>(value: Option<T>, figure: impl Fn(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), figure)
}

fn three_digits(x: f64) -> String {
    let decimals = match x {
        x if x < 9.995 => 2,
        x if x < 99.95 => 1,
        _ => 0,
    };
    format!("{x:.decimals$}")
}

/// The value of a setting in words; a list that repeats one item is written as `[128x32]`.
pub fn setting_label(value: &Value) -> String {
    match (value, repeated(value)) {
        (Value::String(text), _) => text.clone(),
        (_, Some((item, times))) if times > 2 => format!("[{item}x{times}]"),
        _ => value.to_string(),
    }
}

/// The item that a list repeats, and how often; `None` if its items differ.
pub(super) fn repeated(value: &Value) -> Option<(&Value, usize)> {
    let (first, others) = value.as_array()?.split_first()?;
    others.iter().all(|item| item == first).then_some((first, others.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(percent(0.98431), "98.43 %");
        assert_eq!(percent(1.0), "100.00 %");
        assert_eq!(
            [0, 9_999, 10_000, 345_678, 999_499, 999_500, 1_238_010, 25_557_032].map(count),
            ["0", "9,999", "10.0 k", "346 k", "999 k", "1.00 M", "1.24 M", "25.6 M"]
        );
        assert_eq!([0, 999, 1_000, 12_345_678].map(exact), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!(
            [12, 2_048, 345 << 20, 2_000 << 20, 12 << 30].map(bytes),
            ["12 B", "2.00 KiB", "345 MiB", "2000 MiB", "12.0 GiB"]
        );
        assert_eq!(
            [0.0123, 1.5, 12.34, 119.96, 245.0, 7620.0].map(seconds),
            ["12 ms", "1.50 s", "12.3 s", "2 min 00 s", "4 min 05 s", "2 h 07 min"]
        );
        assert_eq!(
            [0.0, 0.04321, 1.23456, 98.7654, 123_456.7, 1.5e-7].map(number),
            ["0", "0.0432", "1.235", "98.77", "123457", "1.50e-7"]
        );
        assert_eq!([number(f64::NAN), percent(f64::NAN)], [UNKNOWN; 2]);
        assert_eq!(seconds(f64::INFINITY), UNKNOWN);
    }
}
