//! The laws that every learning rule of burn-forward satisfies, as tests that you can run on a rule of your own.
//!
//! A learning rule is easy to get almost right. Typical faults are a gradient that crosses a block border, a head that is
//! missing from the record, and a loss that does not match its gradient. Each law states one such property and is tested with
//! every setting of a rule:
//!
//! - [locality](laws::locality): what a block learns depends on the block, its own loss and its input alone;
//! - [owners](laws::owners): a rule's parameters for one block alone belong to that block;
//! - [finite differences](laws::finite_difference): gradients are the slopes of the losses;
//! - [state](laws::state): a record contains the whole state of a model, and the seed determines everything;
//! - [finished blocks](laws::finished), [supervision](laws::supervision), [smoothing](laws::smoothing),
//!   [readouts](laws::readouts), [audit](laws::audit): other parts of the library can rely on the rule;
//! - [extreme data](laws::extreme_data), [learning](laws::learning): training works, or reports why it cannot.
//!
//! # A rule of your own
//!
//! In `tests/laws.rs`, [`Laws`] selects what is tested, and [`laws!`] generates a test for every law. A failing test lists
//! the cases that violate the law and what differed; with `--nocapture` every test lists the cases that it tried.
//!
//! ```
//! # use burn_forward::network::Network;
//! # use burn_forward::pieces::projection::HeadPool;
//! # use burn_forward::random::Seed;
//! # use burn_forward::rules::{AnyRule, HeadReadout, LocalClassifiers, RuleSpec};
//! # use schemars::JsonSchema;
//! # use serde::{Deserialize, Serialize};
//! use burn_forward::registry::Registry;
//! use burn_forward::rules::rule_entry_of;
//! use burn_forward_testing::{Laws, laws};
//!
//! /// A linear classifier on every block.
//! #[derive(Debug, Serialize, Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Projections {
//!     #[serde(default)]
//!     bias: bool,
//! }
//!
//! impl RuleSpec for Projections {
//!     fn build(&self, network: &Network, classes: usize, seed: Seed) -> burn_forward::Result<AnyRule> {
//!         let (pool, readout) = (HeadPool::default(), HeadReadout::Last);
//!         Ok(AnyRule::new(LocalClassifiers::new(network, classes, self.bias, pool, readout, seed)?))
//!     }
//! }
//!
//! fn projections() -> Laws {
//!     let mut registry = Registry::default();
//!     registry.rules.push(rule_entry_of::<Projections>("projections", "a classifier on every block", "nobody"));
//!     Laws::of(&registry).rules(&["projections"])
//! }
//!
//! laws!(projections());
//!
//! // A single law, outside of a test:
//! # fn main() {
//! let law = burn_forward_testing::LAWS.iter().find(|law| law.name == "locality::blocks_above_have_no_say").unwrap();
//! let report = projections().report(law).unwrap();
//! assert!(report.is_kept(), "{report}");
//! // With and without bias.
//! assert!(report.kept.iter().any(|case| case.contains(r#"projections {"bias":true} on mlp"#)));
//! # }
//! ```
//!
//! [`Laws`] has methods for everything that can be configured: networks, data, devices, further settings, exceptions.
//!
//! [`skip`] is for tests that need a program or a data set that may be missing on a machine.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod case;
pub mod data;
#[cfg(test)]
mod faulty;
pub mod laws;
mod list;
pub mod panics;
mod settings;
pub mod skip;
pub mod step_trace;
mod suite;
mod trial;
pub mod values;
mod verdict;

pub use case::{Case, TestNetwork};
pub use data::{Extreme, Prototypes, TestData};
pub use list::LAWS;
pub use suite::{Laws, devices, smooth_mlp};
pub use trial::{Law, Over, Report};
pub use verdict::{Outcome, Verdict, Violation};

use burn_forward::random::Seed;

/// Seed of all random streams of the laws.
pub fn seed() -> Seed {
    Seed::new(7)
}
