//! Nodes for training, validation and test, and the files that contain such splits.

use std::path::Path;

use burn_forward::{Error, Result};

use super::graph_dataset::GraphDataset;
use super::text::{Column, Text};

const SPLIT: Column = Column {
    names: &["split", "part", "set"],
    holds: "train, val, test or none",
    words: &["train", "val", "validation", "test", "none"],
};

/// Nodes for training, validation and test, each in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeSplit {
    /// Nodes to learn from.
    pub train: Vec<u32>,
    /// Nodes for choosing settings and weights; may be empty.
    pub validation: Vec<u32>,
    /// Nodes that are used once, at the end.
    pub test: Vec<u32>,
}

impl NodeSplit {
    /// Reads the file `<name>.csv` or `<name>.csv.gz` in a folder, with the columns `node,split` and the values `train`, `val`,
    /// `test` or `none`.
    ///
    /// # Errors
    /// [`Error::Data`] with the file and line if a node has no label or is listed twice, or for an unknown split.
    pub(super) fn read(folder: &Path, name: &str, set: &GraphDataset) -> Result<Self> {
        let name = format!("{name}.csv");
        let text = Text::open(folder, &name)?.ok_or_else(|| {
            Error::data(folder, format!("neither {name} nor {name}.gz"), "the split file of $.data.split")
        })?;
        let mut split = Self::default();
        let mut seen = vec![false; set.labels.len()];
        text.rows(b',', &[Column::NODE, SPLIT], |row| {
            let node: u32 = row.value(0)?;
            match seen.get_mut(node as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(row.wrong(format!("node {node}"), format!("nodes below {} once", seen.len()))),
            }
            let nodes = match row.text(1) {
                "train" => &mut split.train,
                "val" | "validation" => &mut split.validation,
                "test" => &mut split.test,
                "none" | "" => return Ok(()),
                other => return Err(row.wrong(format!("split {other:?}"), SPLIT.holds)),
            };
            if set.labels[node as usize].is_none() {
                return Err(row.wrong(format!("node {node}, which has no label,"), "nodes with a label"));
            }
            nodes.push(node);
            Ok(())
        })?;
        if split.train.is_empty() || split.test.is_empty() {
            let found = format!("{} training and {} test nodes", split.train.len(), split.test.len());
            return Err(Error::data(text.path(), found, "at least one of each"));
        }
        Ok(split)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::features::Features;
    use crate::graph::Graph;
    use std::sync::Arc;

    #[test]
    fn split_files() {
        let folder = tempfile::tempdir().unwrap();
        let graph = Arc::new(Graph::undirected(3, &[(0, 1)]).unwrap());
        let set = GraphDataset::new(graph, Features::identity(3), vec![Some(1), Some(0), None], 2, "t").unwrap();
        let read = |text: &str| {
            std::fs::write(folder.path().join("s.csv"), text).unwrap();
            NodeSplit::read(folder.path(), "s", &set)
        };
        let split = read("node,split\n0,train\n1,test\n").unwrap();
        assert_eq!((split.train, split.validation, split.test), (vec![0], vec![], vec![1]));
        assert!(
            read("node,split\n2,train\n")
                .unwrap_err()
                .to_string()
                .ends_with("s.csv: found node 2, which has no label, in line 2; needed nodes with a label")
        );
        for whole in
            ["0,train\n1,test\n", "\u{feff}split,node\r\ntrain,0\r\n\r\ntest,1\r\n", "\n0,train\n1,test\n2,none"]
        {
            let split = read(whole).unwrap();
            assert_eq!((split.train, split.test), (vec![0], vec![1]), "{whole}");
        }
        assert!(read("").unwrap_err().to_string().ends_with("s.csv: found no line; needed rows of node, split"));
        let one = read("node,split\n0,train\n").unwrap_err().to_string();
        assert!(one.ends_with("s.csv: found 1 training and 0 test nodes; needed at least one of each"), "{one}");
        assert!(read("node,split\n0,dev\n").unwrap_err().to_string().contains("split \"dev\" in line 2"));
        assert!(read("node,split\n0,val\n0,test\n").unwrap_err().to_string().contains("node 0 in line 3"));
    }
}
