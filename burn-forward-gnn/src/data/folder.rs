//! Graphs in folders of CSV and TSV files, gzipped or not.
//!
//! - `edges.csv`: columns `source,target[,weight]`; edges are undirected, and nodes are counted from 0;
//! - `labels.csv`: columns `node,label`; the label -1 means none;
//! - `features.tsv`: columns `node` and `features`, separated by a tab; features are written as `index` (with value 1) or
//!   `index:value`, separated by spaces or tabs. Values with the same index are summed. Without this file, the features are
//!   one-hot: one per node;
//! - `<split>.csv`: see [`NodeSplit::read`](super::node_split::NodeSplit::read).
//!
//! With a header line, columns are identified by their names (see the tables below), and further columns are ignored; without
//! one, columns have this order.

use std::path::Path;
use std::sync::Arc;

use burn_forward::{Error, Result};

use super::features::{Features, MAX_FEATURES};
use super::graph_dataset::GraphDataset;
use super::text::{Column, Text};
use crate::graph::Graph;

const LABEL: Column = Column::new(&["label", "class", "target", "ml_target", "y"], "a class, or -1 for none");
const SOURCE: Column = Column::new(&["source", "src", "from", "id_1", "node_1", "node1"], "a node's number");
const TARGET: Column = Column::new(&["target", "dst", "to", "id_2", "node_2", "node2"], "a node's number");
const WEIGHT: Column = Column::new(&["weight", "w"], "a weight");
const FEATURES: Column = Column::new(&["features", "attributes"], "features");

/// Reads a graph.
///
/// # Errors
/// [`Error::Data`] with the file and line, [`Error::Io`].
pub(super) fn read(folder: &Path, weighted: bool) -> Result<GraphDataset> {
    let needed = |name: &str| {
        Text::open(folder, name)?.ok_or_else(|| {
            Error::data(folder, format!("neither {name} nor {name}.gz"), "a folder with edges.csv and labels.csv")
        })
    };
    let (labels, edges) = (needed("labels.csv")?, needed("edges.csv")?);
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
) -> Result<GraphDataset> {
    let classes_of = read_labels(labels)?;
    let nodes = classes_of.len();
    let graph = Arc::new(read_edges(edges, nodes, weighted)?);
    let features = match features {
        Some(text) => read_features(text, nodes)?,
        None => Features::identity(nodes),
    };
    let classes = classes_of.iter().flatten().max().map_or(0, |c| *c as usize + 1);
    GraphDataset::new(graph, features, classes_of, classes, name)
}

fn read_labels(text: &Text) -> Result<Vec<Option<u32>>> {
    let mut rows: Vec<(usize, usize, i64)> = Vec::new();
    text.rows(b',', &[Column::NODE, LABEL], |row| {
        rows.push((row.line, row.value(0)?, row.value(1)?));
        Ok(())
    })?;
    let nodes = rows.len();
    if nodes == 0 {
        return Err(Error::data(text.path(), "only a header", "one row per node"));
    }
    let mut labels = vec![None; nodes];
    let mut seen = vec![false; nodes];
    for (line, node, label) in rows {
        match seen.get_mut(node) {
            Some(seen) if !*seen => *seen = true,
            _ => {
                return Err(text.wrong(
                    line,
                    format!("node {node}"),
                    format!("every node from 0 to {} once", nodes - 1),
                ));
            }
        }
        // With more classes than nodes, some classes would be empty, and a single number in a file could require all available
        // memory.
        if !(-1..nodes as i64).contains(&label) {
            let needed = format!("a class from 0 to {} (there are {nodes} nodes), or -1 for none", nodes - 1);
            return Err(text.wrong(line, format!("class {label}"), needed));
        }
        labels[node] = u32::try_from(label).ok();
    }
    Ok(labels)
}

fn read_edges(text: &Text, nodes: usize, weighted: bool) -> Result<Graph> {
    let mut edges: Vec<(u32, u32, f32)> = Vec::new();
    let columns = [SOURCE, TARGET, WEIGHT];
    text.rows(b',', &columns[..if weighted { 3 } else { 2 }], |row| {
        let ends: [u32; 2] = [row.value(0)?, row.value(1)?];
        if let Some(node) = ends.iter().find(|n| **n as usize >= nodes) {
            return Err(
                row.wrong(format!("node {node}"), format!("nodes below {nodes}, the number of nodes in labels.csv"))
            );
        }
        let weight: f32 = if weighted { row.value(2)? } else { 1.0 };
        if !weight.is_finite() {
            return Err(row.wrong(format!("weight {weight}"), "a finite weight"));
        }
        edges.push((ends[0], ends[1], weight));
        Ok(())
    })?;
    if weighted {
        return Graph::undirected_weighted(nodes, &edges).map_err(|e| of_file(text.path(), e));
    }
    Graph::undirected(nodes, &edges.iter().map(|&(a, b, _)| (a, b)).collect::<Vec<_>>())
}

fn read_features(text: &Text, nodes: usize) -> Result<Features> {
    let mut rows: Vec<Vec<(u32, f32)>> = vec![Vec::new(); nodes];
    let mut width = 0;
    text.rows(b'\t', &[Column::NODE, FEATURES], |line| {
        let node: usize = line.value(0)?;
        let Some(row) = rows.get_mut(node) else {
            return Err(
                line.wrong(format!("node {node}"), format!("nodes below {nodes}, the number of nodes in labels.csv"))
            );
        };
        for entry in line.from(1).flat_map(str::split_ascii_whitespace) {
            let (index, value) = entry.split_once(':').unwrap_or((entry, "1"));
            let (Ok(index), Ok(value)) = (index.parse::<u32>(), value.parse::<f32>()) else {
                return Err(line.wrong(format!("{entry:?}"), "a feature's number, or number:value"));
            };
            if !value.is_finite() {
                return Err(line.wrong(format!("value {value} of feature {index}"), "finite values"));
            }
            if index as usize >= MAX_FEATURES {
                return Err(line.wrong(format!("feature {index}"), format!("features below {MAX_FEATURES}")));
            }
            width = width.max(index as usize + 1);
            row.push((index, value));
        }
        Ok(())
    })?;
    if width == 0 {
        return Err(Error::data(text.path(), "no features for any node", "features, or leave out the file"));
    }
    Features::sparse(rows, width).map_err(|e| of_file(text.path(), e))
}

/// Converts an argument error into an error about the file that the argument came from.
pub(super) fn of_file(path: &Path, error: Error) -> Error {
    match error {
        Error::Argument { what, given, needed, .. } => Error::data(path, format!("{what} {given}"), needed),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn parsed(labels: &str, edges: &str, features: Option<&str>) -> Result<GraphDataset> {
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

    /// However the files are written, the graph is the same, so no row is lost.
    #[rstest]
    #[case("node,label\n0,1\n1,0\n2,-1\n", "source,target\n0,1\n1,2\n", "0\t1 3:0.5\n2\t0\n")]
    #[case("0,1\n1,0\n2,-1\n", "0,1\n1,2\n", "0\t1 3:0.5\n2\t0\n")]
    #[case("0,1\n1,0\n2,-1", "0,1\n1,2", "0\t1\t3:0.5\n2\t0")]
    #[case(
        "\u{feff}node,label\r\n0,1\r\n\r\n1,0\r\n2,-1\r\n",
        "\u{feff}0,1\r\n1,2\r\n",
        "\u{feff}node\tfeatures\r\n0\t1 3:0.5\r\n2\t0\r\n"
    )]
    #[case(
        "id,days,mature,label\n2,7,x,-1\n1,8,y,0\n0,9,z,1\n",
        "weight,to,from\n5,1,0\n6,2,1\n",
        "0\t1 3:0.25 3:0.25\n1\n2\t0\n"
    )]
    fn every_row_is_read(#[case] labels: &str, #[case] edges: &str, #[case] features: &str) {
        let set = parsed(labels, edges, Some(features)).unwrap();
        assert_eq!(set.labels, [Some(1), Some(0), None]);
        assert_eq!(set.graph.iter().collect::<Vec<_>>(), [(1, 0), (0, 1), (2, 1), (1, 2)]);
        assert_eq!(set.features.dense(), [0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn weights_of_edges() {
        let weights = |edges: &str| {
            let text = Text::embedded("edges.csv", edges);
            read_edges(&text, 3, true).map(|graph| graph.weights().unwrap().to_vec()).map_err(|e| e.to_string())
        };
        assert_eq!(weights("0,1,2\n2,1,3\n").unwrap(), [2.0, 2.0, 3.0, 3.0]);
        assert_eq!(weights("weight,source,target\n2,0,1\n2,1,0\n3,1,2\n3,2,1\n").unwrap(), [2.0, 2.0, 3.0, 3.0]);
        assert_eq!(
            weights("0,1,2\n1,0,3\n").unwrap_err(),
            "edges.csv: found edge 0 - 1 given with weights 2 and 3 for its two directions; needed given with the same weight for both"
        );
        assert_eq!(
            weights("source,target,time\n0,1,2\n").unwrap_err(),
            "edges.csv: found columns source, target, time in line 1; needed a column named weight or w"
        );
        assert_eq!(weights("0,1\n").unwrap_err(), "edges.csv: found \"\" in line 1; needed a weight in column 3");
    }

    #[rstest]
    #[case(
        "id,days,mature,views,partner,new_id\n73045350,1459,False,9528,False,2299\n",
        "s,d\n0,1\n",
        None,
        "labels.csv: found columns id and new_id in line 1; needed one column for a node's number"
    )]
    #[case(
        "id,days,views\n0,1459,9528\n",
        "s,d\n0,1\n",
        None,
        "labels.csv: found columns id, days, views in line 1; needed a column named label or class or target or ml_target or y"
    )]
    #[case("", "s,d\n0,1\n", None, "labels.csv: found no line; needed rows of node, label")]
    #[case("n,l\n", "s,d\n0,1\n", None, "labels.csv: found only a header; needed one row per node")]
    #[case("0,0\n1,1\n", "\n", None, "edges.csv: found no line; needed rows of source, target")]
    #[case("0,0\n1,1\n", "0,1\n", Some(""), "features.tsv: found no line; needed rows of node, features")]
    #[case(
        "0,0\n1,1\n",
        "0,1\n",
        Some("0\t\n"),
        "features.tsv: found no features for any node; needed features, or leave out the file"
    )]
    #[case(
        "0,0\n1,1\n",
        "0,1\n",
        Some("x\t1\n"),
        "features.tsv: found \"x\" in line 1; needed a node's number in column 1"
    )]
    #[case(
        "0,0\n1,1\n",
        "0,1\n",
        Some("0\t4000000000\n"),
        "features.tsv: found feature 4000000000 in line 1; needed features below 1048576"
    )]
    #[case(
        "0,0\n1,1\n",
        "0,1\n",
        Some("0\t1 2=3\n"),
        "features.tsv: found \"2=3\" in line 1; needed a feature's number, or number:value"
    )]
    #[case(
        "0,0\n1,1000000000\n",
        "0,1\n",
        None,
        "labels.csv: found class 1000000000 in line 2; needed a class from 0 to 1 (there are 2 nodes), or -1 for none"
    )]
    #[case(
        "\n\n0,0\n\n1,0.6\n",
        "0,1\n",
        None,
        "labels.csv: found \"0.6\" in line 5; needed a class, or -1 for none in column 2"
    )]
    #[case(
        "n,l\n\n\n0,0\n0,1\n",
        "0,1\n",
        None,
        "labels.csv: found node 0 in line 5; needed every node from 0 to 1 once"
    )]
    #[case(
        "0,0\n1,1\n",
        "s,d\r\n\r\n0,1\r\n0,7\r\n",
        None,
        "edges.csv: found node 7 in line 4; needed nodes below 2, the number of nodes in labels.csv"
    )]
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
        "edges.csv: found node 2 in line 3; needed nodes below 2, the number of nodes in labels.csv"
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
        "features.tsv: found node 7 in line 1; needed nodes below 2, the number of nodes in labels.csv"
    )]
    fn mistakes_have_a_place(
        #[case] labels: &str,
        #[case] edges: &str,
        #[case] features: Option<&str>,
        #[case] expected: &str,
    ) {
        assert_eq!(parsed(labels, edges, features).unwrap_err().to_string(), expected);
    }

    proptest! {
        /// However the files are damaged, they are either read or rejected with an error that names one of them.
        #[test]
        fn damage_never_panics(
            flips in prop::collection::vec((0usize..3, any::<prop::sample::Index>(), 0u8..128), 0..6),
            cuts in prop::collection::vec(prop::option::of(any::<prop::sample::Index>()), 3), weighted: bool,
        ) {
            let mut files = [
                ("labels.csv", b"node,label\n0,1\n1,0\n2,-1\n".to_vec()),
                ("edges.csv", b"source,target,weight\n0,1,2\n1,2,1\n2,1,1\n".to_vec()),
                ("features.tsv", b"0\t1 3:0.5\n2\t0\n".to_vec()),
            ];
            for (file, at, byte) in flips {
                let text = &mut files[file].1;
                let at = at.index(text.len());
                text[at] = byte;
            }
            for ((_, text), cut) in files.iter_mut().zip(cuts) {
                let length = cut.map_or(text.len(), |cut| cut.index(text.len()));
                text.truncate(length);
            }
            let [labels, edges, features] =
                files.map(|(name, text)| Text::embedded(name, std::str::from_utf8(&text).unwrap()));
            match parse(&labels, &edges, Some(&features), weighted, "t") {
                Ok(set) => prop_assert!(set.classes <= set.graph.nodes()),
                Err(error) => {
                    let said = error.to_string();
                    prop_assert!(["labels.csv: ", "edges.csv: ", "features.tsv: "].iter().any(|f| said.starts_with(f)), "{said}");
                }
            }
        }
    }
}
