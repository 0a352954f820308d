//! The part of its data that a run uses.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The part of its data that a run uses; by default all of it.
///
/// A run that uses only a part is marked in `run.json`, in `summary.json` and in its report.
///
/// ```
/// use burn_forward_train::quick_look::QuickLook;
///
/// let look = QuickLook { overfit: Some(32), limit_batches: None };
/// assert_eq!(look.to_string(), "trained, validated and tested on the first 32 training samples");
/// assert!(QuickLook::default().is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QuickLook {
    /// Train, validate and test on the first `overfit` training samples alone; at least 1.
    ///
    /// On a graph these are the samples whose labels are used. The graph stays whole, and so does what the rule knows
    /// about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overfit: Option<usize>,
    /// Maximum number of batches in an epoch, in a validation and in a test; at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_batches: Option<usize>,
}

impl QuickLook {
    /// Whether the run uses all of its data.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// This quick look, or `None` if the run [uses all of its data](Self::is_none).
    pub fn some(self) -> Option<Self> {
        (!self.is_none()).then_some(self)
    }
}

impl fmt::Display for QuickLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let samples = self.overfit.map(|n| match n {
            1 => "trained, validated and tested on the first training sample".to_owned(),
            n => format!("trained, validated and tested on the first {n} training samples"),
        });
        let batches = self.limit_batches.map(|n| match n {
            1 => "1 batch of every epoch and of every evaluation".to_owned(),
            n => format!("at most {n} batches of every epoch and of every evaluation"),
        });
        let parts: Vec<String> = samples.into_iter().chain(batches).collect();
        f.write_str(if parts.is_empty() { "all data" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}
