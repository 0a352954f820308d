//! Everything that most programs need: `use burn_forward::prelude::*;`. It can be used together with Burn's own prelude.

pub use crate::activation::{Activation, AnyActivation, RowShape};
pub use crate::block::{Block, Trace, Units};
pub use crate::data::{Batch, BatchKey};
pub use crate::local::{Deferred, Local, LocalLoss};
#[cfg(feature = "train")]
pub use crate::model::LocalModel;
pub use crate::network::{AnyLayer, Chain, Layer, MlpConfig, Network, NetworkSpec, Partition};
pub use crate::pieces::goodness::Goodness;
pub use crate::pieces::goodness_loss::{GoodnessLoss, Pairs};
pub use crate::pieces::negatives::Negatives;
pub use crate::pieces::normalisation::Normalisation;
pub use crate::pieces::pair_loss::PairLoss;
pub use crate::pieces::peer_norm::PeerConfig;
pub use crate::pieces::projection::{CrossEntropy, ProjectedCrossEntropy};
pub use crate::random::Seed;
pub use crate::rules::{AnyRule, Pass, Rule, RuleSpec, StepContext};
pub use crate::tape::{Labels, Score, Tape};
