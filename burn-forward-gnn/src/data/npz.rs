//! Graphs in the `.npz` format of the public benchmarks: sparse rows `adj_matrix.{indices,indptr,shape}`,
//! `attr_matrix.{data,indices,indptr,shape}`, and `labels`. Edges are taken as undirected and without weight.

use std::path::Path;
use std::sync::Arc;

use burn_forward::{Error, Result};

use super::npy::{self, Numbers};
use super::set::{Features, GraphSet};
use super::zip;
use crate::graph::Graph;

/// Columns and values.
type SparseRow = Vec<(u32, f32)>;

struct Archive<'a> {
    path: &'a Path,
    entries: Vec<(String, Vec<u8>)>,
}

impl<'a> Archive<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let wanted = |name: &str| {
            ["adj_matrix.", "attr_matrix.", "labels."].iter().any(|start| name.starts_with(start))
                && name.ends_with(".npy")
        };
        let entries = zip::entries(&bytes, wanted)
            .map_err(|found| Error::data(path, found, "a whole .npz file (a zip archive, stored or deflated)"))?;
        Ok(Self { path, entries })
    }

    /// An array's numbers, whatever their type in the file, if it is there.
    fn optional(&self, name: &str) -> Result<Option<Vec<f64>>> {
        let file = format!("{name}.npy");
        let Some((_, bytes)) = self.entries.iter().find(|(n, _)| *n == file) else { return Ok(None) };
        let Numbers { values, .. } = npy::numbers(bytes).map_err(|found| {
            Error::data(self.path, format!("{found} in array {name}"), "integers or floats, in C order")
        })?;
        Ok(Some(values))
    }

    fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        self.optional(name)?.ok_or_else(|| {
            let names: Vec<&str> = self.entries.iter().map(|(n, _)| n.trim_end_matches(".npy")).collect();
            Error::data(self.path, format!("arrays {}", names.join(", ")), format!("an array {name}"))
        })
    }

    fn indices(&self, name: &str) -> Result<Vec<usize>> {
        let numbers = self.numbers(name)?;
        if let Some(n) = numbers.iter().find(|n| **n < 0.0 || n.fract() != 0.0) {
            return Err(Error::data(self.path, format!("{n} in {name}"), "whole numbers from 0 on"));
        }
        Ok(numbers.into_iter().map(|n| n as usize).collect())
    }

    /// Sparse rows: columns and values of every row, and the number of columns.
    fn rows(&self, matrix: &str) -> Result<(Vec<SparseRow>, usize)> {
        let shape = self.indices(&format!("{matrix}.shape"))?;
        let indptr = self.indices(&format!("{matrix}.indptr"))?;
        let columns = self.indices(&format!("{matrix}.indices"))?;
        let values = self.optional(&format!("{matrix}.data"))?.unwrap_or_else(|| vec![1.0; columns.len()]);
        let [rows, width] = shape[..] else {
            return Err(Error::data(self.path, format!("{matrix}.shape {shape:?}"), "two numbers"));
        };
        let ascending = indptr.windows(2).all(|w| w[0] <= w[1]);
        let lengths =
            indptr.len() == rows + 1 && indptr.last() == Some(&columns.len()) && values.len() == columns.len();
        if !ascending || !lengths || columns.iter().any(|c| *c >= width) {
            let found =
                format!("{matrix} with {} row ends, {} columns, {} values", indptr.len(), columns.len(), values.len());
            return Err(Error::data(self.path, found, format!("sparse rows of a {rows} x {width} matrix")));
        }
        let row = |ends: &[usize]| (ends[0]..ends[1]).map(|k| (columns[k] as u32, values[k] as f32)).collect();
        Ok((indptr.windows(2).map(row).collect(), width))
    }
}

/// Reads a graph.
///
/// # Errors
/// [`Error::Data`] for arrays that are missing or do not fit together, [`Error::Io`].
pub(super) fn read(path: &Path) -> Result<GraphSet> {
    let archive = Archive::open(path)?;
    let (neighbours, nodes) = archive.rows("adj_matrix")?;
    let (features, width) = archive.rows("attr_matrix")?;
    let labels = archive.numbers("labels")?;
    if neighbours.len() != nodes || features.len() != nodes || labels.len() != nodes {
        let found =
            format!("{} rows of edges, {} of features, {} labels", neighbours.len(), features.len(), labels.len());
        return Err(Error::data(path, found, format!("{nodes} of each")));
    }
    let edges: Vec<(u32, u32)> =
        neighbours.iter().zip(0u32..).flat_map(|(row, i)| row.iter().map(move |(j, _)| (i, *j))).collect();
    let labels: Vec<Option<u32>> = labels.into_iter().map(|l| (l >= 0.0).then_some(l as u32)).collect();
    let classes = labels.iter().flatten().max().map_or(0, |c| *c as usize + 1);
    let graph = Arc::new(Graph::undirected(nodes, &edges)?);
    let name = path.file_stem().map_or_else(|| "graph".into(), |s| s.to_string_lossy().into_owned());
    GraphSet::new(graph, Features::sparse(features, width)?, labels, classes, &name)
}
