//! Graphs in folders of CSV and TSV files, gzipped or not.
//!
//! - `edges.csv`: header, then `source,target[,weight]`, undirected, nodes from 0;
//! - `labels.csv`: header, then `node,label[,..]`; label -1: none;
//! - `features.tsv`: no header; `node`, a tab, and features as `index` (value 1) or `index:value`, separated by spaces.
//!   Without the file every node has one feature of its own;
//! - `<split>.csv`: header, then `node,train|val|test`.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use burn_forward::data::gzip::{decompressed, unreadable};
use burn_forward::{Error, Result};

use super::set::{Features, GraphSet};
use super::split::NodeSplit;
use crate::graph::Graph;

/// A text file with its lines numbered.
pub(super) struct Text {
    path: PathBuf,
    text: String,
}

impl Text {
    /// `folder/name`, or `folder/name.gz`.
    fn open(folder: &Path, name: &str) -> Result<Option<Self>> {
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
                Error::data(&path, format!("no UTF-8 at byte {}", e.utf8_error().valid_up_to()), "a text file")
            })?;
            return Ok(Some(Self { path, text }));
        }
        Ok(None)
    }

    fn needed(folder: &Path, name: &str) -> Result<Self> {
        Self::open(folder, name)?.ok_or_else(|| {
            Error::data(folder, format!("neither {name} nor {name}.gz"), "a folder with edges.csv and labels.csv")
        })
    }

    pub(super) fn embedded(name: &str, text: &str) -> Self {
        Self { path: name.into(), text: text.into() }
    }

    /// Lines that are not empty, with their numbers from 1; without the header, if there is one.
    fn lines(&self, header: bool) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(i, line)| (i + 1, line.trim_end()))
            .skip(usize::from(header))
            .filter(|(_, l)| !l.is_empty())
    }

    fn wrong(&self, line: usize, found: impl Display, needed: impl Into<String>) -> Error {
        Error::data(&self.path, format!("{found} in line {line}"), needed)
    }

    /// Field `i` of a line.
    fn field<T: FromStr>(&self, line: usize, fields: &[&str], i: usize, what: &str) -> Result<T> {
        let text = fields.get(i).copied().unwrap_or_default().trim();
        text.parse().map_err(|_| self.wrong(line, format!("{text:?}"), format!("{what} in column {}", i + 1)))
    }
}

/// Reads a graph.
///
/// # Errors
/// [`Error::Data`] with file and line, [`Error::Io`].
pub(super) fn read(folder: &Path, weighted: bool) -> Result<GraphSet> {
    let labels = Text::needed(folder, "labels.csv")?;
    let edges = Text::needed(folder, "edges.csv")?;
    let features = Text::open(folder, "features.tsv")?;
    let name = folder.file_name().map_or_else(|| folder.display().to_string(), |n| n.to_string_lossy().into_owned());
    parse(&labels, &edges, features.as_ref(), weighted, &name)
}

pub(super) fn parse(
    labels: &Text,
    edges: &Text,
    features: Option<&Text>,
    weighted: bool,
    name: &str,
) -> Result<GraphSet> {
    let classes_of = read_labels(labels)?;
    let nodes = classes_of.len();
    let graph = Arc::new(read_edges(edges, nodes, weighted)?);
    let features = match features {
        Some(text) => read_features(text, nodes)?,
        None => Features::identity(nodes),
    };
    let classes = classes_of.iter().flatten().max().map_or(0, |c| *c as usize + 1);
    GraphSet::new(graph, features, classes_of, classes, name)
}

fn read_labels(text: &Text) -> Result<Vec<Option<u32>>> {
    let mut pairs: Vec<(usize, Option<u32>)> = Vec::new();
    for (line, content) in text.lines(true) {
        let fields: Vec<&str> = content.split(',').collect();
        let node = text.field(line, &fields, 0, "a node's number")?;
        let label: i64 = text.field(line, &fields, 1, "a class, or -1 for none")?;
        if !(-1..1 << 20).contains(&label) {
            return Err(text.wrong(line, format!("class {label}"), "a class from 0 on, or -1 for none"));
        }
        pairs.push((node, (label >= 0).then_some(label as u32)));
    }
    let mut labels = vec![None; pairs.len()];
    let mut seen = vec![false; pairs.len()];
    for (i, (node, label)) in pairs.iter().enumerate() {
        match seen.get_mut(*node) {
            Some(seen) if !*seen => *seen = true,
            _ => {
                let needed = format!("every node from 0 to {} once", pairs.len() - 1);
                return Err(text.wrong(i + 2, format!("node {node}"), needed));
            }
        }
        labels[*node] = *label;
    }
    Ok(labels)
}

fn read_edges(text: &Text, nodes: usize, weighted: bool) -> Result<Graph> {
    let mut edges: Vec<(u32, u32, f32)> = Vec::new();
    for (line, content) in text.lines(true) {
        let fields: Vec<&str> = content.split(',').collect();
        let ends: [u32; 2] =
            [text.field(line, &fields, 0, "a node's number")?, text.field(line, &fields, 1, "a node's number")?];
        if let Some(node) = ends.iter().find(|n| **n as usize >= nodes) {
            return Err(text.wrong(line, format!("node {node}"), format!("nodes below {nodes}, as labels.csv has")));
        }
        let weight: f32 = if weighted { text.field(line, &fields, 2, "a weight")? } else { 1.0 };
        if !weight.is_finite() {
            return Err(text.wrong(line, format!("weight {weight}"), "a finite weight"));
        }
        edges.push((ends[0], ends[1], weight));
    }
    if weighted {
        let both: Vec<_> =
            edges.iter().filter(|(a, b, _)| a != b).flat_map(|&(a, b, w)| [(a, b, w), (b, a, w)]).collect();
        return Graph::weighted(nodes, &both);
    }
    Graph::undirected(nodes, &edges.iter().map(|&(a, b, _)| (a, b)).collect::<Vec<_>>())
}

fn read_features(text: &Text, nodes: usize) -> Result<Features> {
    let mut rows: Vec<Vec<(u32, f32)>> = vec![Vec::new(); nodes];
    let mut width = 0;
    for (line, content) in text.lines(false) {
        let (node, list) = content.split_once('\t').unwrap_or((content, ""));
        let node: usize = text.field(line, &[node], 0, "a node's number")?;
        let Some(row) = rows.get_mut(node) else {
            return Err(text.wrong(line, format!("node {node}"), format!("nodes below {nodes}, as labels.csv has")));
        };
        for entry in list.split_ascii_whitespace() {
            let (index, value) = entry.split_once(':').unwrap_or((entry, "1"));
            let index: u32 = text.field(line, &[index], 0, "a feature's number")?;
            let value: f32 = text.field(line, &[value], 0, "a feature's value")?;
            if !value.is_finite() {
                return Err(text.wrong(line, format!("value {value} of feature {index}"), "finite values"));
            }
            width = width.max(index as usize + 1);
            row.push((index, value));
        }
    }
    Features::sparse(rows, width)
}

/// Reads a split file.
///
/// # Errors
/// [`Error::Data`] with file and line for a node without label, one that is named twice, or a part of another name.
pub(super) fn read_split(folder: &Path, name: &str, set: &GraphSet) -> Result<NodeSplit> {
    let name = format!("{name}.csv");
    let text = Text::open(folder, &name)?.ok_or_else(|| {
        Error::data(folder, format!("neither {name} nor {name}.gz"), "the split file of $.data.split")
    })?;
    let mut split = NodeSplit::default();
    let mut seen = vec![false; set.labels.len()];
    for (line, content) in text.lines(true) {
        let fields: Vec<&str> = content.split(',').collect();
        let node: u32 = text.field(line, &fields, 0, "a node's number")?;
        match seen.get_mut(node as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(text.wrong(line, format!("node {node}"), format!("nodes below {} once", seen.len()))),
        }
        let part = match fields.get(1).copied().map(str::trim) {
            Some("train") => &mut split.train,
            Some("val" | "validation") => &mut split.validation,
            Some("test") => &mut split.test,
            Some("none" | "") => continue,
            other => {
                let found = format!("part {:?}", other.unwrap_or_default());
                return Err(text.wrong(line, found, "train, val, test or none"));
            }
        };
        if set.labels[node as usize].is_none() {
            return Err(text.wrong(line, format!("node {node}, which has no label,"), "nodes with a label"));
        }
        part.push(node);
    }
    Ok(split)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn parsed(labels: &str, edges: &str, features: Option<&str>) -> Result<GraphSet> {
        let text = |name: &str, t: &str| Text::embedded(name, t);
        let features = features.map(|f| text("features.tsv", f));
        parse(&text("labels.csv", labels), &text("edges.csv", edges), features.as_ref(), false, "t")
    }

    #[test]
    fn a_small_graph() {
        let set = parsed("node,label\n0,1\n2,-1\n1,0\n", "src,dst\n0,1\n1,2\n", Some("0\t1 3:0.5\n2\t0\n")).unwrap();
        assert_eq!(set.labels, [Some(1), Some(0), None]);
        assert_eq!((set.classes, set.graph.edges(), set.features.width()), (2, 4, 4));
        assert_eq!(set.features.dense(), [0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[rstest]
    #[case(
        "n,l\n0,0\n1,x\n",
        "s,d\n0,1\n",
        None,
        "labels.csv: found \"x\" in line 3; needed a class, or -1 for none in column 2"
    )]
    #[case(
        "n,l\n0,0\n2,1\n",
        "s,d\n0,1\n",
        None,
        "labels.csv: found node 2 in line 3; needed every node from 0 to 1 once"
    )]
    #[case(
        "n,l\n0,0\n1,1\n",
        "s,d\n0,1\n0,2\n",
        None,
        "edges.csv: found node 2 in line 3; needed nodes below 2, as labels.csv has"
    )]
    #[case("n,l\n0,0\n1,1\n", "s,d\n0\n", None, "edges.csv: found \"\" in line 2; needed a node's number in column 2")]
    #[case(
        "n,l\n0,0\n1,1\n",
        "s,d\n0,1\n",
        Some("0\t1:nan\n"),
        "features.tsv: found value NaN of feature 1 in line 1; needed finite values"
    )]
    #[case(
        "n,l\n0,0\n1,1\n",
        "s,d\n0,1\n",
        Some("7\t1\n"),
        "features.tsv: found node 7 in line 1; needed nodes below 2, as labels.csv has"
    )]
    fn mistakes_have_a_place(
        #[case] labels: &str,
        #[case] edges: &str,
        #[case] features: Option<&str>,
        #[case] expected: &str,
    ) {
        assert_eq!(parsed(labels, edges, features).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_file_that_is_no_whole_text_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let error = Text::open(folder.path(), "labels.csv").err().unwrap().to_string();
            std::fs::remove_file(folder.path().join(name)).unwrap();
            error
        };
        let mut whole = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut whole, b"node,label\n0,1\n").unwrap();
        let whole = whole.finish().unwrap();
        let broken = error("labels.csv.gz", &whole[..whole.len() / 2]);
        assert!(broken.ends_with("labels.csv.gz: found a gzip stream that breaks off; needed a whole one"), "{broken}");
        let binary = error("labels.csv", b"node\xff");
        assert!(binary.ends_with("labels.csv: found no UTF-8 at byte 4; needed a text file"), "{binary}");
    }

    #[test]
    fn split_files() {
        let folder = tempfile::tempdir().unwrap();
        let set = parsed("node,label\n0,1\n1,0\n2,-1\n", "src,dst\n0,1\n", None).unwrap();
        let read = |text: &str| {
            std::fs::write(folder.path().join("s.csv"), text).unwrap();
            read_split(folder.path(), "s", &set)
        };
        let split = read("node,split\n0,train\n1,test\n").unwrap();
        assert_eq!((split.train, split.validation, split.test), (vec![0], vec![], vec![1]));
        assert!(
            read("node,split\n2,train\n")
                .unwrap_err()
                .to_string()
                .ends_with("s.csv: found node 2, which has no label, in line 2; needed nodes with a label")
        );
        assert!(read("node,split\n0,dev\n").unwrap_err().to_string().contains("part \"dev\" in line 2"));
        assert!(read("node,split\n0,val\n0,test\n").unwrap_err().to_string().contains("node 0 in line 3"));
    }
}
