//! Text files with rows of fields: CSV and TSV, gzipped or not, with or without a header line.
//!
//! A header assigns names to columns; without one, the columns have the order of the caller's list. The first line is a header
//! if none of its fields could be data, so that no row is lost. Blank lines, a byte-order mark, Windows line breaks and quoted
//! fields are accepted. Messages give line numbers as in an editor.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use burn_forward::data::gzip::{decompressed, unreadable};
use burn_forward::{Error, Result};
use csv::{ReaderBuilder, StringRecord, Trim};

/// A column that a reader needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Names that a header may have for it; the first appears in messages.
    pub(super) names: &'static [&'static str],
    /// Description of its fields, for messages.
    pub(super) holds: &'static str,
    /// Words that are data in this column, so that a line with them is not a header.
    pub(super) words: &'static [&'static str],
}

impl Column {
    /// The column with nodes, which exists in every file of a graph.
    pub(super) const NODE: Self = Self::new(&["node", "node_id", "id", "new_id"], "a node's number");

    pub(super) const fn new(names: &'static [&'static str], holds: &'static str) -> Self {
        Self { names, holds, words: &[] }
    }

    fn is_named(&self, title: &str) -> bool {
        let title = title.to_lowercase().replace([' ', '-'], "_");
        self.names.contains(&title.as_str())
    }

    /// Whether a field could be data of some column: a number, a list of numbers, or one of the words.
    fn could_hold(&self, field: &str) -> bool {
        field.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            || field.parse::<f64>().is_ok()
            || self.words.contains(&field)
    }
}

/// A text file.
#[derive(Debug)]
pub(super) struct Text {
    path: PathBuf,
    text: String,
}

impl Text {
    /// Opens `folder/name` or `folder/name.gz`; `None` if neither exists.
    pub(super) fn open(folder: &Path, name: &str) -> Result<Option<Self>> {
        for name in [name.to_string(), format!("{name}.gz")] {
            let path = folder.join(name);
            if !path.is_file() {
                continue;
            }
            let file = BufReader::new(File::open(&path).map_err(|e| Error::io(&path, e))?);
            let mut bytes = Vec::new();
            let read = decompressed(file).and_then(|mut reader| reader.read_to_end(&mut bytes));
            read.map_err(|e| unreadable(&path, e))?;
            let text = String::from_utf8(bytes).map_err(|e| {
                Error::data(&path, format!("invalid UTF-8 at byte {}", e.utf8_error().valid_up_to()), "a text file")
            })?;
            return Ok(Some(Self { path, text }));
        }
        Ok(None)
    }

    pub(super) fn embedded(name: &str, text: &str) -> Self {
        Self { path: name.into(), text: text.into() }
    }

    /// The origin of the text.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn wrong(&self, line: usize, found: impl Display, needed: impl Into<String>) -> Error {
        Error::data(&self.path, format!("{found} in line {line}"), needed)
    }

    /// Calls `read` for every row of data, with fields separated by `separator`. Returns the number of rows.
    ///
    /// # Errors
    /// [`Error::Data`] for a file without lines, for a header without one of the columns, and any error that `read` returns.
    pub(super) fn rows(
        &self,
        separator: u8,
        columns: &[Column],
        mut read: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<usize> {
        // Spreadsheets write a byte-order mark at the beginning.
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let mut reader = ReaderBuilder::new()
            .delimiter(separator)
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(text.as_bytes());
        let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
        let mut places: Option<Vec<usize>> = None;
        let mut fields = StringRecord::new();
        let mut rows = 0;
        while reader.read_record(&mut fields).map_err(|e| Error::data(&self.path, e.to_string(), "rows of fields"))? {
            if fields.len() == 1 && fields[0].is_empty() {
                continue;
            }
            let line = lines.of_record(fields.position().map_or(0, |p| p.byte() as usize));
            let places = match &places {
                Some(places) => places,
                None => {
                    let header = !fields.iter().any(|field| columns.iter().any(|c| c.could_hold(field)));
                    let found = if header { self.named(line, &fields, columns)? } else { (0..columns.len()).collect() };
                    let found = &*places.insert(found);
                    if header {
                        continue;
                    }
                    found
                }
            };
            rows += 1;
            read(&Row { text: self, line, fields: &fields, columns, places })?;
        }
        if places.is_none() {
            let names: Vec<&str> = columns.iter().map(|c| c.names[0]).collect();
            return Err(Error::data(&self.path, "no line", format!("rows of {}", names.join(", "))));
        }
        Ok(rows)
    }

    /// The positions of the columns according to a header.
    fn named(&self, line: usize, header: &StringRecord, columns: &[Column]) -> Result<Vec<usize>> {
        let given = || format!("columns {}", header.iter().collect::<Vec<_>>().join(", "));
        let mut found = Vec::with_capacity(columns.len());
        for column in columns {
            let mut named =
                header.iter().enumerate().filter(|(_, title)| column.is_named(title)).map(|(place, _)| place);
            found.push(named.next());
            if let (Some(place), Some(other)) = (found.last().copied().flatten(), named.next()) {
                let titles = format!("columns {} and {}", &header[place], &header[other]);
                return Err(self.wrong(line, titles, format!("one column for {}", column.holds)));
            }
        }
        // If no name is known, the order determines the columns, provided that their number is right.
        if found.iter().all(Option::is_none) && header.len() == columns.len() {
            return Ok((0..columns.len()).collect());
        }
        let place = |(place, column): (Option<usize>, &Column)| {
            place.ok_or_else(|| self.wrong(line, given(), format!("a column named {}", column.names.join(" or "))))
        };
        found.into_iter().zip(columns).map(place).collect()
    }
}

/// A row of data.
#[derive(Debug)]
pub(super) struct Row<'a> {
    text: &'a Text,
    /// Line number in the file, from 1.
    pub(super) line: usize,
    fields: &'a StringRecord,
    columns: &'a [Column],
    places: &'a [usize],
}

impl Row<'_> {
    /// The text of the `i`th requested column; empty if the row has no such field.
    pub(super) fn text(&self, i: usize) -> &str {
        self.fields.get(self.places[i]).unwrap_or_default()
    }

    /// The fields of a row from the `i`th requested column on.
    pub(super) fn from(&self, i: usize) -> impl Iterator<Item = &str> {
        self.fields.iter().skip(self.places[i])
    }

    /// The value of the `i`th requested column.
    ///
    /// # Errors
    /// [`Error::Data`] with the file, line and column.
    pub(super) fn value<T: FromStr>(&self, i: usize) -> Result<T> {
        let text = self.text(i);
        text.parse().map_err(|_| {
            self.wrong(format!("{text:?}"), format!("{} in column {}", self.columns[i].holds, self.places[i] + 1))
        })
    }

    /// An [`Error::Data`] for this row.
    pub(super) fn wrong(&self, found: impl Display, needed: impl Into<String>) -> Error {
        self.text.wrong(self.line, found, needed)
    }
}

/// Counts the lines of a text.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of the record that the CSV reader started to read at `start`, which may be preceded by blank lines.
    fn of_record(&mut self, start: usize) -> usize {
        let byte = |i: usize| self.text.get(i).copied();
        let mut start = start;
        while matches!(byte(start), Some(b'\n' | b'\r')) {
            start += 1;
        }
        let ends = |i: &usize| byte(*i) == Some(b'\n') || byte(*i) == Some(b'\r') && byte(i + 1) != Some(b'\n');
        self.line += (self.at..start).filter(ends).count();
        self.at = start.max(self.at);
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const PAIR: [Column; 2] = [
        Column::new(&["node", "id"], "a node's number"),
        Column { words: &["none"], ..Column::new(&["label", "class"], "a class") },
    ];

    /// The line number and fields of every row.
    fn read(text: &str) -> Result<Vec<(usize, String, String)>> {
        let mut all = Vec::new();
        Text::embedded("f.csv", text).rows(b',', &PAIR, |row| {
            all.push((row.line, row.text(0).to_string(), row.text(1).to_string()));
            Ok(())
        })?;
        Ok(all)
    }

    #[rstest]
    #[case("node,label\n0,1\n2,3\n", 2)]
    #[case("0,1\n2,3\n", 1)]
    #[case("0,1\n2,3", 1)]
    #[case("\u{feff}0,1\n2,3\n", 1)]
    #[case("\u{feff}Node,Label\r\n0,1\r\n2,3\r\n", 2)]
    #[case("node,label\r0,1\r2,3\r", 2)]
    #[case("\n \nnode, label\n0 ,1\n 2, 3\n\n", 4)]
    #[case("class,node\n1,0\n3,2\n", 2)]
    #[case("name,id,class\n\"a, b\",0,1\nc,2,3\n", 2)]
    #[case(",node,label\n9,0,1\n9,2,3\n", 2)]
    #[case("0,1,x\n2,3,y\n", 1)]
    #[case("what,ever\n0,1\n2,3\n", 2)]
    #[case("\"0\",\"1\"\n\"2\",\"3\"\n", 1)]
    fn every_row_is_read(#[case] text: &str, #[case] first: usize) {
        let expected = [(first, "0", "1"), (first + 1, "2", "3")].map(|(l, a, b)| (l, a.to_string(), b.to_string()));
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn lines_are_counted_as_an_editor_does() {
        let lines = |text: &str| read(text).unwrap().into_iter().map(|row| row.0).collect::<Vec<_>>();
        assert_eq!(lines("node,label\n\n\n0,1\n   \n2,3\n"), [4, 6]);
        assert_eq!(lines("node,label\r\n\r\n0,1\r\n\r\n2,3\r\n"), [3, 5]);
        assert_eq!(lines("name,node,label\n\"two\nlines\",0,1\n,2,3\n"), [2, 4]);
    }

    #[rstest]
    #[case("", "f.csv: found no line; needed rows of node, label")]
    #[case("\u{feff}\r\n \n", "f.csv: found no line; needed rows of node, label")]
    #[case(
        "id,days,views\n0,1,2\n",
        "f.csv: found columns id, days, views in line 1; needed a column named label or class"
    )]
    #[case("node,days\n0,1\n", "f.csv: found columns node, days in line 1; needed a column named label or class")]
    #[case("node;label\n0;1\n", "f.csv: found columns node;label in line 1; needed a column named node or id")]
    #[case(
        "node,id,label\n0,1,2\n",
        "f.csv: found columns node and id in line 1; needed one column for a node's number"
    )]
    fn what_cannot_be_read_is_named(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(read(text).unwrap_err().to_string(), expected);
    }

    #[rstest]
    #[case("x,1\n0,1\n")]
    #[case("node,2\n0,1\n")]
    #[case("nan,nan\n0,1\n")]
    #[case("x,none\n0,1\n")]
    fn a_first_line_that_could_be_data_is_data(#[case] text: &str) {
        assert_eq!(read(text).unwrap().len(), 2);
    }

    #[test]
    fn a_file_that_is_no_whole_text_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let error = Text::open(folder.path(), "labels.csv").unwrap_err().to_string();
            std::fs::remove_file(folder.path().join(name)).unwrap();
            error
        };
        let mut whole = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut whole, b"node,label\n0,1\n").unwrap();
        let whole = whole.finish().unwrap();
        let broken = error("labels.csv.gz", &whole[..whole.len() / 2]);
        assert!(broken.ends_with("labels.csv.gz: found a truncated gzip stream; needed a complete one"), "{broken}");
        let binary = error("labels.csv", b"node\xff");
        assert!(binary.ends_with("labels.csv: found invalid UTF-8 at byte 4; needed a text file"), "{binary}");
    }

    proptest! {
        /// Rows between blank lines, with any line breaks: none is lost, and each has the number of its own line.
        #[test]
        fn no_row_is_lost(
            rows in prop::collection::vec((0u32..99, 0u32..99, 0usize..3), 1..20),
            header: bool, mark: bool, end in prop::sample::select(vec!["\n", "\r\n", "\r"]), last: bool,
        ) {
            let mut text = String::from(if mark { "\u{feff}" } else { "" });
            let (mut line, mut expected) = (1, Vec::new());
            if header {
                text += &format!("node,label{end}");
                line += 1;
            }
            for (a, b, blank) in rows {
                text += &end.repeat(blank);
                text += &format!("{a},{b}{end}");
                line += blank;
                expected.push((line, a.to_string(), b.to_string()));
                line += 1;
            }
            if last {
                text.truncate(text.len() - end.len());
            }
            prop_assert_eq!(read(&text).unwrap(), expected);
        }
    }
}
