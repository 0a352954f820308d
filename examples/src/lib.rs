//! A [rule](brier), a [network](residual_mlp) and a [data set](rings) that burn-forward does not have, each in one file and one
//! row of the registry. What they have to do with each other: nothing. Any of them goes with all that burn-forward has.

pub mod brier;
pub mod residual_mlp;
pub mod rings;

use burn_forward::data::data_entry;
use burn_forward::network::network_entry;
use burn_forward::registry::Registry;
use burn_forward::rules::rule_entry_of;

/// All that the `burn-forward` program knows, and these three.
pub fn registry() -> Registry {
    let mut registry = burn_forward_cli::registry();
    registry.rules.push(rule_entry_of::<brier::BrierConfig>(
        "brier",
        "every block learns by the squared error of its own class probabilities",
        "Brier 1950",
    ));
    registry.networks.push(network_entry::<residual_mlp::ResidualMlpConfig>(
        "residual-mlp",
        "dense layers of one width, each added to what enters it",
    ));
    registry.data.push(data_entry::<rings::RingsConfig>("rings", "points of the plane on one ring per class, made up"));
    registry
}
