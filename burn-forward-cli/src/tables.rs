//! Tables and numbers for the terminal.

/// Columns aligned with spaces, the first to the left and the others to the right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let mut out = String::new();
        for (i, (cell, &w)) in cells.iter().zip(&widths).enumerate() {
            if i == 0 {
                out += &format!("{cell:<w$}");
            } else {
                out += &format!("  {cell:>w$}");
            }
        }
        out.trim_end().to_string() + "\n"
    };
    let head: Vec<String> = head.iter().map(|h| (*h).to_string()).collect();
    let rule: Vec<String> = widths.iter().map(|&w| "-".repeat(w)).collect();
    let mut out = line(&head) + &line(&rule);
    for row in rows {
        out += &line(row);
    }
    out
}

/// `text` in lines of at most `columns` characters, the first indented by `first` and the others by `rest`, each with a line
/// break.
pub(crate) fn wrapped(text: &str, first: usize, rest: usize, columns: usize) -> String {
    let mut out = String::new();
    let mut line = " ".repeat(first);
    let mut words = 0;
    // Spaces within a line are kept, so that text after a column stays aligned.
    for word in text.split(' ') {
        let space = usize::from(words > 0);
        if words > 0 && line.chars().count() + space + word.chars().count() > columns {
            out += line.trim_end();
            out.push('\n');
            line = " ".repeat(rest);
            words = 0;
        }
        if words > 0 {
            line.push(' ');
        }
        line += word;
        words += 1;
    }
    out + line.trim_end() + "\n"
}

/// `1,234,567`.
pub(crate) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `345 MiB`, `12 KiB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Seconds with three significant digits: `0.00712 s`, `1.23 s`, `124 s`.
pub(crate) fn seconds(s: f64) -> String {
    // Round first: 0.9996 becomes 1.00, not 1.000.
    let rounded: f64 = format!("{s:.2e}").parse().unwrap_or(s);
    let digits = if rounded > 0.0 { 2 - rounded.log10().floor() as i32 } else { 0 };
    format!("{rounded:.*} s", digits.clamp(0, 12) as usize)
}

/// `98.43 %`.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(3 << 20), "3.0 MiB");
        assert_eq!(percent(0.98431), "98.43 %");
        let timed = [0.007_123, 0.000_712_3, 0.9996, 1.2345, 12.345, 123.5, 1234.0, 0.0];
        let words = ["0.00712 s", "0.000712 s", "1.00 s", "1.23 s", "12.3 s", "124 s", "1230 s", "0 s"];
        assert_eq!(timed.map(seconds), words);
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three four", 2, 4, 10), "  one two\n    three\n    four\n");
        assert_eq!(wrapped("a    b", 0, 4, 10), "a    b\n");
        assert_eq!(wrapped("incomprehensibilities yes", 0, 2, 8), "incomprehensibilities\n  yes\n");
        assert_eq!(wrapped("", 0, 0, 8), "\n");
    }

    #[test]
    fn columns_line_up() {
        let t = table(&["a", "n"], &[vec!["long name".into(), "1".into()], vec!["x".into(), "100".into()]]);
        assert_eq!(t, "a            n\n---------  ---\nlong name    1\nx          100\n");
    }
}
