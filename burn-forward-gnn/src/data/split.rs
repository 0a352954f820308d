//! Ways to choose nodes for training, validation and test.

use std::path::Path;

use burn_forward::random::Seed;
use burn_forward::{Error, Result};
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::graph_dataset::GraphDataset;
use super::node_split::NodeSplit;

/// The split of the nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SplitConfig {
    /// A file `<name>.csv` or `<name>.csv.gz` in the graph's folder, with lines `node,train|val|test`.
    File(String),
    /// Random folds of the labelled nodes.
    Folds {
        /// Number of folds; one of them is the test set.
        #[schemars(range(min = 2, max = 1000))]
        folds: usize,
        /// Index of the test fold, from 0.
        #[serde(default)]
        #[schemars(range(min = 0, max = 999))]
        fold: usize,
        /// Fraction of the remaining nodes that is held out for validation; default 0.2.
        #[serde(default = "validation_fraction")]
        #[schemars(range(min = 0.0, max = 0.9))]
        validation: f64,
    },
    /// A fixed number of random training nodes per class, then fixed numbers of nodes for validation and test, as in Planetoid.
    PerClass {
        /// Number of training nodes per class; each class must have that many labelled nodes.
        #[serde(rename = "per-class")]
        #[schemars(range(min = 1))]
        per_class: usize,
        /// Number of validation nodes; default 500.
        #[serde(default = "validation_nodes")]
        validation: usize,
        /// Number of test nodes; default 1000.
        #[serde(default = "test_nodes")]
        #[schemars(range(min = 1))]
        test: usize,
    },
}

fn validation_fraction() -> f64 {
    0.2
}

fn validation_nodes() -> usize {
    500
}

fn test_nodes() -> usize {
    1000
}

impl SplitConfig {
    /// A mistake in the split, independent of the graph.
    pub(super) fn mistake(&self) -> Option<String> {
        match self {
            Self::File(name) if name.is_empty() => Some("\"\" is empty; needed: a file's name".into()),
            Self::Folds { folds, fold, .. } if fold >= folds => {
                Some(format!("fold {fold} of {folds}; needed: 0 to {}", folds.saturating_sub(1)))
            }
            _ => None,
        }
    }

    /// Whether there are validation nodes.
    pub(super) fn validates(&self) -> bool {
        match self {
            Self::File(_) => true,
            Self::Folds { validation, .. } => *validation > 0.0,
            Self::PerClass { validation, .. } => *validation > 0,
        }
    }

    /// The nodes for training, validation and test. Folds are drawn from the stream `folds` of `seed`, and the validation nodes
    /// from the stream `validation` of the fold.
    ///
    /// # Errors
    /// [`Error::Data`] for a missing or invalid file, [`Error::Argument`] if there are not enough nodes.
    pub fn split(&self, set: &GraphDataset, folder: Option<&Path>, seed: Seed) -> Result<NodeSplit> {
        let mut labelled: Vec<u32> =
            (0..set.labels.len() as u32).filter(|n| set.labels[*n as usize].is_some()).collect();
        let mut split = match self {
            Self::File(name) => {
                let folder =
                    folder.ok_or_else(|| Error::argument("split", "a split file", name, "a graph in a folder"))?;
                NodeSplit::read(folder, name, set)?
            }
            Self::Folds { folds, fold, validation } => {
                labelled.shuffle(&mut seed.stream("folds", &[]));
                let border = |k: usize| k * labelled.len() / folds;
                let test = labelled[border(*fold)..border(fold + 1)].to_vec();
                let mut rest = [&labelled[..border(*fold)], &labelled[border(fold + 1)..]].concat();
                rest.shuffle(&mut seed.stream("validation", &[*fold as u64]));
                let held = (rest.len() as f64 * validation).round() as usize;
                NodeSplit { train: rest.split_off(held), validation: rest, test }
            }
            Self::PerClass { per_class, validation, test } => {
                if let Some((class, count)) = smallest_class(set)
                    && count < *per_class
                {
                    let needed = format!("at most {count}, the number of labelled nodes of class {class}");
                    return Err(Error::argument("$.data.split", "per-class", per_class, needed));
                }
                labelled.shuffle(&mut seed.stream("folds", &[]));
                let mut left = vec![*per_class; set.classes];
                let (train, rest): (Vec<u32>, Vec<u32>) = labelled.into_iter().partition(|n| {
                    let class = set.labels[*n as usize].map_or(0, |c| c as usize);
                    let takes = left[class] > 0;
                    left[class] -= usize::from(takes);
                    takes
                });
                if rest.len() < validation + test {
                    let needed = format!("at most {}, the number of remaining nodes", rest.len());
                    return Err(Error::argument("split", "validation + test", validation + test, needed));
                }
                NodeSplit {
                    train,
                    validation: rest[..*validation].to_vec(),
                    test: rest[*validation..validation + test].to_vec(),
                }
            }
        };
        for nodes in [&mut split.train, &mut split.validation, &mut split.test] {
            nodes.sort_unstable();
        }
        if split.train.is_empty() || split.test.is_empty() {
            let given = format!("{} training and {} test nodes", split.train.len(), split.test.len());
            return Err(Error::argument("split", "the split", given, "at least one node in both"));
        }
        Ok(split)
    }
}

/// The class with the fewest labelled nodes, and the number of these nodes.
fn smallest_class(set: &GraphDataset) -> Option<(usize, usize)> {
    let mut counts = vec![0; set.classes];
    set.labels.iter().flatten().for_each(|class| counts[*class as usize] += 1);
    counts.into_iter().enumerate().min_by_key(|(_, count)| *count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::features::Features;
    use crate::graph::Graph;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn set(labels: Vec<Option<u32>>, classes: usize) -> GraphDataset {
        let n = labels.len();
        let graph = Arc::new(Graph::directed(n, &[]).unwrap());
        GraphDataset::new(graph, Features::identity(n), labels, classes, "t").unwrap()
    }

    proptest! {
        #[test]
        fn folds_are_a_partition_of_the_labelled_nodes(
            labels in prop::collection::vec(prop::option::weighted(0.9, 0u32..3), 20..80), folds in 2usize..6, seed: u64,
        ) {
            let set = set(labels.clone(), 3);
            let labelled: Vec<u32> = (0..labels.len() as u32).filter(|n| labels[*n as usize].is_some()).collect();
            let mut tests = Vec::new();
            for fold in 0..folds {
                let s = SplitConfig::Folds { folds, fold, validation: 0.2 }.split(&set, None, Seed::new(seed)).unwrap();
                let mut all = [s.train.clone(), s.validation.clone(), s.test.clone()].concat();
                all.sort_unstable();
                prop_assert_eq!(&all, &labelled);
                let rest = s.train.len() + s.validation.len();
                prop_assert_eq!(s.validation.len(), (rest as f64 * 0.2).round() as usize);
                tests.extend(s.test);
            }
            tests.sort_unstable();
            prop_assert_eq!(tests, labelled);
        }
    }

    #[test]
    fn so_many_of_every_class() {
        let labels: Vec<Option<u32>> = (0..100).map(|i| Some(i % 4)).collect();
        let set = set(labels.clone(), 4);
        let config = SplitConfig::PerClass { per_class: 3, validation: 20, test: 30 };
        let s = config.split(&set, None, Seed::new(1)).unwrap();
        for class in 0..4 {
            assert_eq!(s.train.iter().filter(|n| labels[**n as usize] == Some(class)).count(), 3);
        }
        assert_eq!((s.validation.len(), s.test.len()), (20, 30));
        let config = SplitConfig::PerClass { per_class: 3, validation: 60, test: 30 };
        assert!(config.split(&set, None, Seed::new(1)).unwrap_err().to_string().contains("at most 88"));
    }

    #[test]
    fn a_class_with_too_few_nodes_is_named() {
        // 20 nodes of class 0, 2 of class 1, 3 of class 2 without a label, 9 of class 3.
        let labels = [vec![Some(0); 20], vec![Some(1); 2], vec![None; 3], vec![Some(3); 9]].concat();
        let error = |labels: Vec<Option<u32>>, classes, per_class| {
            let config = SplitConfig::PerClass { per_class, validation: 1, test: 1 };
            config.split(&set(labels, classes), None, Seed::new(1)).map_err(|e| e.to_string())
        };
        assert_eq!(
            error(labels.clone(), 4, 5).unwrap_err(),
            "$.data.split: per-class is 5, but needs to be at most 0, the number of labelled nodes of class 2"
        );
        let labels: Vec<_> = labels.into_iter().map(|l| l.map(|c| c.min(2))).collect();
        assert_eq!(
            error(labels.clone(), 3, 5).unwrap_err(),
            "$.data.split: per-class is 5, but needs to be at most 2, the number of labelled nodes of class 1"
        );
        assert_eq!(error(labels, 3, 2).unwrap().train.len(), 6);
    }
}
