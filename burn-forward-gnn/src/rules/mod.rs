//! ForwardGNN's learning rules (Park et al. 2024, arXiv 2403.11004).

mod graph_forward_forward;
mod input;
mod readout;
mod representatives;
mod single_forward;
mod top_down;
mod virtual_nodes;

pub use graph_forward_forward::{GraphForwardForward, GraphForwardForwardConfig, LabelInjection};
pub use readout::NodeReadout;
pub use representatives::{RepresentativeCrossEntropy, Representatives};
pub use single_forward::{SingleForward, SingleForwardConfig};
pub use top_down::TopDown;

use burn_forward::rules::{RuleEntry, rule_entry_of};

/// The rules of this crate.
pub fn rule_entries() -> Vec<RuleEntry> {
    const PAPER: &str = "Park et al. 2024, arXiv 2403.11004";
    vec![
        rule_entry_of::<GraphForwardForwardConfig>(
            "graph-forward-forward",
            "higher goodness of nodes with right labels, lower goodness with wrong ones; label features or virtual nodes",
            PAPER,
        ),
        rule_entry_of::<SingleForwardConfig>(
            "single-forward",
            "in every block, nodes learn to match the representative of their class; one pass, no negatives",
            PAPER,
        ),
    ]
}
