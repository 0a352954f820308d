//! Zachary's karate club: 34 members, with edges between those who met outside the club, and the side that each took when it
//! split.
//!
//! W. W. Zachary, "An Information Flow Model for Conflict and Fission in Small Groups", Journal of Anthropological Research
//! 33, 1977. The labels of the two leaders (members 0 and 33) are given; all others are the test set.

use burn_forward::Result;

use super::folder;
use super::graph_dataset::GraphDataset;
use super::node_split::NodeSplit;
use super::text::Text;

const EDGES: &str = include_str!("../../assets/karate/edges.csv");
const LABELS: &str = include_str!("../../assets/karate/labels.csv");

/// Number of members.
const MEMBERS: u32 = 34;

/// The club, with one-hot features.
pub(super) fn read(weighted: bool) -> Result<GraphDataset> {
    let labels = Text::embedded("karate/labels.csv (embedded)", LABELS);
    let edges = Text::embedded("karate/edges.csv (embedded)", EDGES);
    folder::parse(&labels, &edges, None, weighted, "karate")
}

/// The two leaders for training, everyone else for testing.
pub(super) fn split() -> NodeSplit {
    NodeSplit { train: vec![0, MEMBERS - 1], validation: Vec::new(), test: (1..MEMBERS - 1).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_counts() {
        let set = read(false).unwrap();
        // Zachary 1977: 34 members, 78 ties; 17 went with the instructor, 17 with the officers; the leaders have 16 and 17 ties.
        assert_eq!((set.graph.nodes(), set.graph.edges()), (34, 2 * 78));
        assert_eq!((set.graph.sources_of(0).len(), set.graph.sources_of(33).len()), (16, 17));
        assert_eq!(set.labels.iter().filter(|l| **l == Some(0)).count(), 17);
        assert_eq!(read(true).unwrap().graph.weights().unwrap().len(), 156);
    }
}
