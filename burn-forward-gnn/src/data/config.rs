//! The `data` part of a config for a graph.

use std::fmt;

use burn_forward::data::{DataEntry, DataFolders, DataSpec, LoadedData, data_entry};
use burn_forward::random::Seed;
use burn_forward::{ConfigError, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::features::FeatureScaling;
use super::graph_data::GraphData;
use super::graph_dataset::GraphDataset;
use super::links::LinkConfig;
use super::split::SplitConfig;
use super::{folder, karate, npz};
use crate::graph::Sampler;

/// The graphs that a config can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GraphName {
    /// Zachary's karate club, embedded.
    Karate,
    /// Planetoid's Cora with its public split.
    Cora,
    /// CitationFull's Cora_ML.
    CoraMl,
    /// MUSAE's GitHub.
    Github,
    /// Any graph in a folder of CSV and TSV files.
    GraphFolder,
    /// Any graph in the `.npz` format of the public benchmarks.
    GraphNpz,
}

impl GraphName {
    /// The name in a config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Karate => "karate",
            Self::Cora => "cora",
            Self::CoraMl => "cora-ml",
            Self::Github => "github",
            Self::GraphFolder => "graph-folder",
            Self::GraphNpz => "graph-npz",
        }
    }

    /// The name of the graph's own folder in the data folder; `None` for a graph without one.
    pub fn folder(self) -> Option<&'static str> {
        self.place().0
    }

    /// The folder in the data folder, and the split file in it, if they follow from the name.
    fn place(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Cora => (Some("cora"), Some("splits")),
            Self::CoraMl => (Some("cora_ml"), Some("forwardgnn-split0")),
            Self::Github => (Some("github_musae"), Some("forwardgnn-split0")),
            Self::Karate | Self::GraphFolder | Self::GraphNpz => (None, None),
        }
    }

    /// What a published graph consists of.
    fn published(self) -> Option<Published> {
        let counts = match self {
            // Kipf and Welling 2017; the features of Yang, Cohen and Salakhutdinov 2016.
            Self::Cora => [2708, 2 * 5278, 1433, 49_216],
            // Bojchevski and Guennemann 2018.
            Self::CoraMl => [2995, 16_316, 2879, 151_171],
            // Rozemberczki, Allen and Sarkar 2021.
            Self::Github => [37_700, 2 * 289_003, 4005, 690_358],
            Self::Karate | Self::GraphFolder | Self::GraphNpz => return None,
        };
        Some(Published(counts))
    }
}

/// Numbers of nodes, directed edges, features, and values of features that are not zero.
#[derive(Debug, PartialEq, Eq)]
struct Published([usize; 4]);

impl Published {
    fn of(set: &GraphDataset) -> Self {
        Self([set.graph.nodes(), set.graph.edges(), set.features.width(), set.features.nonzeros()])
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [nodes, edges, features, values] = self.0;
        write!(f, "{nodes} nodes, {edges} edges, {features} features, {values} values of features")
    }
}

/// The task to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskName {
    /// The classes of nodes.
    #[default]
    Nodes,
    /// Whether two nodes are connected by an edge: two classes, "no edge" and "edge".
    Links,
}

/// Mini-batches with the neighbourhoods of `training.batch-size` training nodes each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SamplingConfig {
    /// Number of neighbours drawn for every node, per layer, starting from the training nodes.
    #[schemars(length(min = 1, max = 100), inner(range(min = 1, max = 1_000_000)))]
    pub fan_outs: Vec<usize>,
}

fn steps_per_epoch() -> usize {
    1
}

/// The graph, and how it is prepared.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `name` | required | karate, cora, cora-ml, github, graph-folder, graph-npz | the graph |
/// | `path` | by name | relative to the config's, the current or the data folder | folder or `.npz` file; required for graph-folder, graph-npz |
/// | `split` | by name | a file's name, `{"folds": ..}` or `{"per-class": ..}` | training, validation and test nodes, see [`SplitConfig`] |
/// | `binarise` | false | | set every feature above 0 to 1, and every other to 0 |
/// | `feature-scaling` | none | none, sum, l2 | scaling of the rows of features, after `binarise` |
/// | `weighted` | false | | use edge weights: column `weight` of `edges.csv`, or values of an `.npz` file's adjacency matrix |
/// | `steps-per-epoch` | 1 | >= 1 | number of full-batch steps per epoch, after which there is one validation |
/// | `sampling` | none | | mini-batches by neighbour sampling; without it, every step uses the whole graph |
/// | `task` | nodes | nodes, links | predict the classes of nodes, or edges |
/// | `links` | 0.16, 0.2 | | edges held out, for the task links |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GraphConfig {
    /// The graph.
    pub name: GraphName,
    /// Folder or `.npz` file of the graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Training, validation and test nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitConfig>,
    /// Set every feature above 0 to 1, and every other to 0.
    #[serde(default)]
    pub binarise: bool,
    /// Scaling of the rows of features.
    #[serde(default)]
    pub feature_scaling: FeatureScaling,
    /// Use edge weights: column `weight` of `edges.csv`, or the values of the adjacency matrix in an `.npz` file.
    #[serde(default)]
    pub weighted: bool,
    /// Number of full-batch steps per epoch.
    #[serde(default = "steps_per_epoch")]
    #[schemars(range(min = 1, max = 100_000))]
    pub steps_per_epoch: usize,
    /// Mini-batches by neighbour sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingConfig>,
    /// The task to learn.
    #[serde(default)]
    pub task: TaskName,
    /// Edges held out for link prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<LinkConfig>,
}

impl GraphConfig {
    /// The graph with default settings.
    pub fn new(name: GraphName) -> Self {
        Self {
            name,
            path: None,
            split: None,
            binarise: false,
            feature_scaling: FeatureScaling::None,
            weighted: false,
            steps_per_epoch: steps_per_epoch(),
            sampling: None,
            task: TaskName::Nodes,
            links: None,
        }
    }

    /// The split that the config names, or else the default split of the graph.
    fn split(&self) -> Option<SplitConfig> {
        self.split.clone().or_else(|| self.name.place().1.map(|file| SplitConfig::File(file.into())))
    }

    /// Reads the graph, and prepares its features as configured.
    ///
    /// # Errors
    /// Those of [`DataSpec::load`].
    pub fn read(&self, folders: &DataFolders) -> Result<GraphDataset> {
        let path = self.path.as_deref().or(self.name.place().0);
        let mut set = match (self.name, path) {
            (GraphName::Karate, _) | (_, None) => karate::read(self.weighted)?,
            (GraphName::GraphNpz, Some(path)) => npz::read(&folders.find(path, NPZ)?, self.weighted)?,
            (name, Some(path)) => {
                let folder = folders.find(path, FOLDER)?;
                let set = folder::read(&folder, self.weighted)?;
                // A file that is missing or cut short may still be read without an error.
                let found = Published::of(&set);
                if let Some(published) = name.published().filter(|published| *published != found) {
                    let other = "for another graph, use \"graph-folder\"";
                    return Err(Error::data(&folder, found.to_string(), format!("{published}, as published; {other}")));
                }
                set
            }
        };
        if self.binarise {
            set.features.binarise();
        }
        set.features.scale(self.feature_scaling);
        Ok(set)
    }
}

const FOLDER: &str = "a folder with edges.csv, labels.csv and features.tsv, gzipped or not";
const NPZ: &str = "an .npz file with an adjacency matrix, labels and optionally features";

impl DataSpec for GraphConfig {
    fn check(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut add = |path: &str, message: String| errors.push(ConfigError::new(format!("$.data.{path}"), message));
        match (self.name, &self.path) {
            (GraphName::GraphFolder | GraphName::GraphNpz, None) => {
                add("path", format!("missing; needed for \"{}\"", self.name.name()));
            }
            (GraphName::Karate, Some(path)) => {
                add("path", format!("{path:?} is given, but \"karate\" is embedded in the program; leave it out"));
            }
            _ => {}
        }
        match (self.split(), self.task) {
            (None, TaskName::Nodes) if self.name != GraphName::Karate => {
                add("split", "missing; needed: a split file's name, {\"folds\": ..} or {\"per-class\": ..}".into());
            }
            (Some(SplitConfig::File(file)), _) if matches!(self.name, GraphName::Karate | GraphName::GraphNpz) => {
                let needed = "needed: {\"folds\": ..} or {\"per-class\": ..}";
                add("split", format!("{file:?} is a file, but \"{}\" has none; {needed}", self.name.name()));
            }
            (Some(split), _) => {
                if let Some(message) = split.mistake() {
                    add("split", message);
                }
            }
            (None, _) => {}
        }
        if self.task == TaskName::Links {
            if self.sampling.is_some() {
                add(
                    "sampling",
                    "applies to nodes only; with task \"links\", every step uses the whole graph: leave it out".into(),
                );
            }
        } else if self.links.is_some() {
            add("links", "has no effect with task \"nodes\"; it applies to task \"links\" only".into());
        }
        if let Some(LinkConfig { validation, test }) = self.links
            && validation + test >= 0.95
        {
            add("links", format!("hides {} of the edges; needed: at most 0.95", validation + test));
        }
        if self.sampling.is_some() && self.steps_per_epoch > 1 {
            add(
                "steps-per-epoch",
                "applies to full-batch training only; with sampling, the batch size determines the steps".into(),
            );
        }
        errors
    }

    fn validates(&self) -> bool {
        match (self.task, self.split()) {
            (TaskName::Links, _) => self.links.unwrap_or_default().validation > 0.0,
            (TaskName::Nodes, Some(split)) => split.validates(),
            (TaskName::Nodes, None) => false,
        }
    }

    fn is_there(&self, folders: &DataFolders) -> bool {
        match self.path.as_deref().or(self.name.place().0) {
            Some(path) => folders.find(path, FOLDER).is_ok(),
            None => true,
        }
    }

    fn cacheable(&self) -> Result<(), String> {
        match (self.task, &self.sampling) {
            (TaskName::Links, _) => Err("task \"links\" draws new pairs without an edge in every step".into()),
            (TaskName::Nodes, Some(_)) => Err("$.data.sampling draws new neighbours in every epoch".into()),
            (TaskName::Nodes, None) => Ok(()),
        }
    }

    fn load(&self, folders: &DataFolders, seed: Seed) -> Result<Box<dyn LoadedData>> {
        let set = self.read(folders)?;
        let folder = match (self.name, self.path.as_deref().or(self.name.place().0)) {
            (GraphName::Karate | GraphName::GraphNpz, _) | (_, None) => None,
            (_, Some(path)) => Some(folders.find(path, FOLDER)?),
        };
        if self.task == TaskName::Links {
            return Ok(Box::new(GraphData::links(set, self.links.unwrap_or_default(), self.steps_per_epoch, seed)?));
        }
        let split = match self.split() {
            Some(split) => split.split(&set, folder.as_deref(), seed)?,
            None => karate::split(),
        };
        let sampler = self.sampling.clone().map(|s| Sampler::new(s.fan_outs)).transpose()?;
        Ok(Box::new(GraphData::nodes(set, split, self.steps_per_epoch, sampler, seed)?))
    }
}

/// The data sets of this crate.
pub fn data_entries() -> Vec<DataEntry> {
    [
        (GraphName::Karate, "Zachary's karate club: 34 nodes, 2 classes, embedded in the program"),
        (GraphName::Cora, "Planetoid's Cora with its public split, in the folder cora of the data folder"),
        (GraphName::CoraMl, "CitationFull's Cora_ML, in the folder cora_ml of the data folder"),
        (GraphName::Github, "MUSAE's GitHub, 4005 binary features, in the folder github_musae of the data folder"),
        (GraphName::GraphFolder, "any graph given by edges.csv, labels.csv and features.tsv in the folder \"path\""),
        (GraphName::GraphNpz, "any graph given by the file \"path\" in the .npz format of the public benchmarks"),
    ]
    .map(|(name, about)| data_entry::<GraphConfig>(name.name(), about))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!({"name": "cora"}), &[])]
    #[case(json!({"name": "karate"}), &[])]
    #[case(json!({"name": "karate", "split": {"folds": 5, "fold": 1}}), &[])]
    #[case(json!({"name": "graph-folder"}), &[
        "$.data.path: missing; needed for \"graph-folder\"",
        "$.data.split: missing; needed: a split file's name, {\"folds\": ..} or {\"per-class\": ..}",
    ])]
    #[case(json!({"name": "karate", "split": "x"}),
        &["$.data.split: \"x\" is a file, but \"karate\" has none; needed: {\"folds\": ..} or {\"per-class\": ..}"])]
    #[case(json!({"name": "cora", "split": {"folds": 5, "fold": 5}}),
        &["$.data.split: fold 5 of 5; needed: 0 to 4"])]
    #[case(json!({"name": "cora", "links": {}}),
        &["$.data.links: has no effect with task \"nodes\"; it applies to task \"links\" only"])]
    #[case(json!({"name": "cora", "sampling": {"fan-outs": [3]}, "steps-per-epoch": 2}),
        &["$.data.steps-per-epoch: applies to full-batch training only; with sampling, the batch size determines the steps"])]
    fn mistakes_are_named(#[case] value: serde_json::Value, #[case] expected: &[&str]) {
        let config: GraphConfig = serde_json::from_value(value).unwrap();
        let found: Vec<_> = config.check().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_config_survives_the_round_trip() {
        let value = json!({
            "name": "cora-ml", "path": "x", "split": {"folds": 5, "fold": 1, "validation": 0.2}, "binarise": true,
            "feature-scaling": "sum", "weighted": false, "steps-per-epoch": 2, "sampling": {"fan-outs": [10, 5]}, "task": "nodes",
        });
        let config: GraphConfig = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&config).unwrap(), value);
    }
}
