//! Graphs in the `.npz` formats of the public benchmarks.
//!
//! | array | meaning |
//! |---|---|
//! | `adj_matrix.{data,indices,indptr,shape}` or `adj_{data,indices,indptr,shape}` | the adjacency matrix, as sparse rows |
//! | `attr_matrix.{..}` or `attr_{..}` | the features, as sparse rows; without it, the features are one-hot: one per node |
//! | `labels` | the class of every node; -1 means none |
//!
//! Either matrix may be a dense array `adj_matrix` or `attr_matrix` instead. If `data` is missing, all entries are 1. Entries
//! at the same position are summed. Edges are undirected: a nonzero entry connects its row and its column.

use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

use burn_forward::{Error, Result};
use burn_forward_kernels::sparse::sum_repeated;
use zip::ZipArchive;
use zip::result::ZipError;

use super::features::{Features, MAX_FEATURES};
use super::folder::of_file;
use super::graph_dataset::GraphDataset;
use super::npy::{self, Numbers};
use crate::graph::Graph;

/// The required form of the file.
const WHOLE: &str = "a complete .npz file, as written by numpy.savez";

struct Archive<'a, R> {
    path: &'a Path,
    zip: ZipArchive<R>,
    /// The names of the arrays.
    names: Vec<String>,
}

/// A sparse matrix; the entries of row `i` are `offsets[i]..offsets[i + 1]`.
struct Matrix {
    width: usize,
    offsets: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
}

impl Matrix {
    fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The row, column and value of every entry.
    fn entries(&self) -> impl Iterator<Item = (u32, u32, f32)> + '_ {
        let rows = self.offsets.windows(2).zip(0u32..);
        rows.flat_map(move |(ends, i)| (ends[0]..ends[1]).map(move |k| (i, self.columns[k], self.values[k])))
    }

    /// Converts a dense array.
    fn dense(numbers: Numbers) -> Option<Self> {
        let [_, width] = numbers.shape[..] else { return None };
        u32::try_from(width).ok().filter(|width| *width > 0)?;
        let mut matrix = Self { width, offsets: vec![0], columns: Vec::new(), values: Vec::new() };
        for row in numbers.values.chunks_exact(width) {
            let entries = row.iter().zip(0u32..).filter(|(value, _)| **value != 0.0);
            for (value, column) in entries {
                matrix.columns.push(column);
                matrix.values.push(*value as f32);
            }
            matrix.offsets.push(matrix.columns.len());
        }
        Some(matrix)
    }
}

impl<'a, R: Read + Seek> Archive<'a, R> {
    fn new(path: &'a Path, reader: R) -> Result<Self> {
        let zip = ZipArchive::new(reader).map_err(|e| Error::data(path, damaged(e), WHOLE))?;
        let names = zip.file_names_raw().map(|name| String::from_utf8_lossy(name).trim_end_matches(".npy").to_string());
        let names = names.collect();
        Ok(Self { path, zip, names })
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }

    /// The error for a missing array, with a list of the existing ones.
    fn without(&self, needed: &str) -> Error {
        const SHOWN: usize = 30;
        let mut found = match self.names.len() {
            0 => "no arrays".into(),
            n => format!("arrays {}", self.names[..n.min(SHOWN)].join(", ")),
        };
        if let Some(more) = self.names.len().checked_sub(SHOWN + 1) {
            found += &format!(" and {} more", more + 1);
        }
        Error::data(self.path, found, needed)
    }

    /// The numbers of an array, whatever their type in the file.
    fn numbers(&mut self, name: &str) -> Result<Numbers> {
        if !self.has(name) {
            return Err(self.without(&format!("an array {name}")));
        }
        let path = self.path;
        let entry = self.zip.by_name(&format!("{name}.npy"));
        let entry = entry.map_err(|e| Error::data(path, format!("{} at array {name}", damaged(e)), WHOLE))?;
        npy::numbers(entry).map_err(|found| {
            Error::data(path, format!("{found} in array {name}"), "a complete array of integers or floats")
        })
    }

    fn indices(&mut self, name: &str) -> Result<Vec<usize>> {
        let numbers = self.numbers(name)?.values;
        // Every whole number up to this limit is representable as f64.
        let whole = |n: &f64| *n >= 0.0 && n.fract() == 0.0 && *n <= (1u64 << 53) as f64;
        if let Some(n) = numbers.iter().find(|n| !whole(n)) {
            return Err(Error::data(self.path, format!("{n} in array {name}"), "whole numbers from 0 on"));
        }
        Ok(numbers.into_iter().map(|n| n as usize).collect())
    }

    /// The matrix with this name, in any of the supported forms.
    fn matrix(&mut self, name: &str) -> Result<Option<Matrix>> {
        let dense = format!("{name}_matrix");
        for start in [format!("{dense}."), format!("{name}_")] {
            if ["indices", "indptr", "shape"].iter().any(|part| self.has(&format!("{start}{part}"))) {
                return self.sparse(&start).map(Some);
            }
        }
        if !self.has(&dense) {
            return Ok(None);
        }
        let numbers = self.numbers(&dense)?;
        let shape = numbers.shape.clone();
        match Matrix::dense(numbers) {
            Some(matrix) => Ok(Some(matrix)),
            None => Err(Error::data(self.path, format!("array {dense} of shape {shape:?}"), "a matrix")),
        }
    }

    /// A sparse matrix whose array names start with `start`.
    fn sparse(&mut self, start: &str) -> Result<Matrix> {
        let shape = self.indices(&format!("{start}shape"))?;
        let offsets = self.indices(&format!("{start}indptr"))?;
        let columns = self.indices(&format!("{start}indices"))?;
        let data = format!("{start}data");
        let values = if self.has(&data) { self.numbers(&data)?.values } else { vec![1.0; columns.len()] };
        let [rows, width] = shape[..] else {
            return Err(Error::data(self.path, format!("{start}shape {shape:?}"), "two numbers"));
        };
        // All sizes are compared here, before memory is allocated for them.
        let ends = offsets.first() == Some(&0) && offsets.last() == Some(&columns.len()) && offsets.is_sorted();
        let lengths = offsets.len() == rows.saturating_add(1) && values.len() == columns.len();
        if !ends || !lengths {
            let found =
                format!("{} {start}indptr, {} {start}indices, {} values", offsets.len(), columns.len(), values.len());
            return Err(Error::data(self.path, found, format!("sparse rows of a {rows} x {width} matrix")));
        }
        if let Some(column) = columns.iter().find(|c| **c >= width || u32::try_from(**c).is_err()) {
            let needed = format!("columns below {width}, according to {start}shape");
            return Err(Error::data(self.path, format!("column {column} in {start}indices"), needed));
        }
        let columns = columns.into_iter().map(|c| c as u32).collect();
        Ok(Matrix { width, offsets, columns, values: values.into_iter().map(|v| v as f32).collect() })
    }

    fn labels(&mut self, nodes: usize) -> Result<Vec<Option<u32>>> {
        let Numbers { values, shape } = self.numbers("labels")?;
        if values.len() != nodes || shape.first() != Some(&nodes) {
            let found = format!("array labels of shape {shape:?}");
            return Err(Error::data(self.path, found, format!("one class for each of {nodes} nodes")));
        }
        // With more classes than nodes, some classes would be empty, and a single number in a file could require all available
        // memory.
        let is_class = |l: f64| l.fract() == 0.0 && (-1.0..nodes as f64).contains(&l);
        if let Some((node, label)) = values.iter().enumerate().find(|(_, l)| !is_class(**l)) {
            let needed = format!("a class from 0 to {} (there are {nodes} nodes), or -1 for none", nodes - 1);
            return Err(Error::data(self.path, format!("label {label} of node {node}"), needed));
        }
        Ok(values.into_iter().map(|l| (l >= 0.0).then_some(l as u32)).collect())
    }
}

/// Describes an error of the zip archive.
fn damaged(error: ZipError) -> String {
    match error {
        ZipError::Io(e) => format!("a damaged zip archive ({e})"),
        other => format!("a damaged zip archive, or another kind of file ({other})"),
    }
}

/// Reads a graph.
///
/// # Errors
/// [`Error::Data`] if arrays are missing or do not match, [`Error::Io`].
pub(super) fn read(path: &Path, weighted: bool) -> Result<GraphDataset> {
    parse(path, burn_forward::input::open(path)?, weighted)
}

fn parse(path: &Path, reader: impl Read + Seek, weighted: bool) -> Result<GraphDataset> {
    let mut archive = Archive::new(path, reader)?;
    let Some(mut adjacency) = archive.matrix("adj")? else {
        let needed = "adj_matrix.{data,indices,indptr,shape} or adj_{data,indices,indptr,shape}";
        return Err(archive.without(needed));
    };
    let nodes = adjacency.rows();
    if nodes == 0 || adjacency.width != nodes {
        let found = format!("an adjacency matrix of {nodes} x {}", adjacency.width);
        return Err(Error::data(path, found, "as many rows as columns, at least one"));
    }
    sum_repeated(nodes, &mut adjacency.offsets, &mut adjacency.columns, &mut adjacency.values);
    let features = match archive.matrix("attr")? {
        None => Features::identity(nodes),
        Some(attributes) if attributes.rows() != nodes => {
            let found = format!("{} rows of features", attributes.rows());
            return Err(Error::data(path, found, format!("{nodes}, one per node")));
        }
        Some(Matrix { width, .. }) if width > MAX_FEATURES => {
            return Err(Error::data(path, format!("{width} features"), format!("at most {MAX_FEATURES}")));
        }
        Some(Matrix { width, offsets, columns, values }) => {
            Features::compressed(width, offsets, columns, values).map_err(|e| of_file(path, e))?
        }
    };
    let labels = archive.labels(nodes)?;
    let classes = labels.iter().flatten().max().map_or(0, |c| *c as usize + 1);
    let edges = adjacency.entries().filter(|(_, _, weight)| *weight != 0.0);
    let graph = if weighted {
        Graph::undirected_weighted(nodes, &edges.collect::<Vec<_>>()).map_err(|e| of_file(path, e))?
    } else {
        Graph::undirected(nodes, &edges.map(|(a, b, _)| (a, b)).collect::<Vec<_>>())?
    };
    let name = path.file_stem().map_or_else(|| "graph".into(), |s| s.to_string_lossy().into_owned());
    GraphDataset::new(Arc::new(graph), features, labels, classes, &name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use std::io::Cursor;
    use std::path::PathBuf;

    /// A file written by `tests/npz/make.py`. The folder is that of this crate at the time when the tests run, which may be in
    /// another checkout than the one in which they were compiled.
    fn file(name: &str) -> PathBuf {
        let this_crate = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
        this_crate.join("tests/npz").join(format!("{name}.npz"))
    }

    fn error(name: &str, weighted: bool) -> String {
        let error = read(&file(name), weighted).unwrap_err().to_string();
        error.rsplit_once(".npz: ").unwrap().1.to_string()
    }

    #[rstest]
    fn public_formats(#[values("dotted", "lined", "one_way", "dense", "bare", "ones")] name: &str) {
        let set = read(&file(name), false).unwrap();
        let edges: Vec<_> = set.graph.iter().filter(|(a, b)| a < b).collect();
        assert_eq!((set.graph.nodes(), edges, set.graph.edges()), (4, vec![(0, 1), (1, 2), (2, 3)], 6));
        assert_eq!((set.labels, set.classes), (vec![Some(0), Some(1), Some(1), None], 2));
        assert_eq!((set.graph.weights(), set.name.as_str()), (None, name));
        let features = [0.0, 0.5, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0, -0.25, 0.0, 0.0];
        match name {
            "bare" => assert_eq!(set.features, Features::identity(4)),
            _ => assert_eq!(set.features.dense(), features),
        }
        let weights = read(&file(name), true).unwrap().graph.weights().unwrap().to_vec();
        assert_eq!(weights, if name == "ones" { [1.0; 6] } else { [1.0, 1.0, 2.0, 2.0, 3.0, 3.0] });
    }

    #[rstest]
    #[case(
        "class_of_a_billion",
        "found label 1000000000 of node 2; needed a class from 0 to 3 (there are 4 nodes), or -1 for none"
    )]
    #[case(
        "class_of_parts",
        "found label 0.6 of node 1; needed a class from 0 to 3 (there are 4 nodes), or -1 for none"
    )]
    #[case("class_nan", "found label NaN of node 2; needed a class from 0 to 3 (there are 4 nodes), or -1 for none")]
    #[case("one_hot", "found array labels of shape [4, 2]; needed one class for each of 4 nodes")]
    #[case("few_labels", "found array labels of shape [3]; needed one class for each of 4 nodes")]
    #[case("no_labels", "found arrays adj_data, adj_indices, adj_indptr, adj_shape; needed an array labels")]
    #[case(
        "other_names",
        "found arrays node_features, node_labels, edges; needed adj_matrix.{data,indices,indptr,shape} or \
         adj_{data,indices,indptr,shape}"
    )]
    #[case("many_features", "found 1000000000000 features; needed at most 1048576")]
    #[case(
        "many_nodes",
        "found 5 adj_indptr, 6 adj_indices, 6 values; needed sparse rows of a 1000000000000 x 1000000000000 matrix"
    )]
    #[case("column_beyond", "found column 9 in adj_indices; needed columns below 4, according to adj_shape")]
    #[case("objects", "found numbers of type \"|O\" in array labels; needed a complete array of integers or floats")]
    #[case("infinite", "found feature 1 of node 0 inf; needed finite")]
    #[case(
        "two_weights",
        "found edge 0 - 1 given with weights 1 and 5 for its two directions; needed given with the same weight for both"
    )]
    fn what_is_wrong_is_named(#[case] name: &str, #[case] expected: &str) {
        assert_eq!(error(name, name == "two_weights"), expected);
    }

    #[test]
    fn no_archive_at_all() {
        let found = |bytes: &[u8]| parse(Path::new("g.npz"), Cursor::new(bytes), false).unwrap_err().to_string();
        assert!(found(b"").starts_with("g.npz: found a damaged zip archive"), "{}", found(b""));
        assert!(found(b"PK\x03\x04 nonsense").starts_with("g.npz: found a damaged zip archive"));
    }

    /// A changed number is detected, whether it is stored uncompressed or compressed.
    #[rstest]
    fn a_changed_number_is_found(#[values("dotted", "one_way")] name: &str) {
        let mut bytes = std::fs::read(file(name)).unwrap();
        // 0.5 as a feature: the only value of this size.
        let at = bytes.windows(4).position(|w| w == 0.5f32.to_le_bytes()).unwrap();
        bytes[at] ^= 1;
        let error = parse(Path::new("g.npz"), Cursor::new(bytes), false).unwrap_err().to_string();
        assert!(error.contains("checksum"), "{error}");
    }

    proptest! {
        /// However a file is damaged, it is read or rejected with an error that names it.
        #[test]
        fn damage_never_panics(
            name in prop::sample::select(vec!["dotted", "lined", "one_way", "dense"]),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in prop::option::of(any::<prop::sample::Index>()), weighted: bool,
        ) {
            let mut bytes = std::fs::read(file(name)).unwrap();
            for (at, byte) in flips {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            match parse(Path::new("g.npz"), Cursor::new(bytes), weighted) {
                Ok(set) => prop_assert!(set.classes <= set.graph.nodes()),
                Err(error) => prop_assert!(error.to_string().starts_with("g.npz: "), "{}", error),
            }
        }
    }
}
