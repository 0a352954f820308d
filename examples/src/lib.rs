//! A custom [rule](brier), [network](residual_mlp) and [data set](rings), each in one file with one registry row. They are
//! independent of each other: each of them works with everything in burn-forward.

pub mod brier;
pub mod residual_mlp;
pub mod rings;

use burn_forward::data::data_entry;
use burn_forward::network::network_entry;
use burn_forward::registry::Registry;
use burn_forward::rules::rule_entry_of;

/// The registry of the `burn-forward` program with these three in addition.
pub fn registry() -> Registry {
    let mut registry = burn_forward_cli::registry();
    registry.rules.push(rule_entry_of::<brier::BrierConfig>(
        "brier",
        "every block learns from the squared error of its own class probabilities",
        "Brier 1950",
    ));
    registry.networks.push(network_entry::<residual_mlp::ResidualMlpConfig>(
        "residual-mlp",
        "dense layers of the same width, whose outputs are added to their inputs",
    ));
    registry.data.push(data_entry::<rings::RingsConfig>("rings", "generated points in the plane, one ring per class"));
    registry
}
