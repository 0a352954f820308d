//! The verdict of a law on one case.

use std::fmt;

/// Whether a case keeps a law. The error says what differed.
pub type Verdict = Result<Outcome, Violation>;

/// The outcome of a law that is not violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The rule was tried and keeps the law.
    Tried,
    /// The law says nothing about this rule.
    NotConcerned,
}

/// What differed between what a law promises and what a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

impl Violation {
    /// The same with where it was seen.
    #[must_use]
    pub fn at(self, place: impl fmt::Display) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

impl From<burn_forward::Error> for Violation {
    fn from(error: burn_forward::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<String> for Violation {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// [`Outcome::Tried`] if nothing is wrong.
pub(crate) fn nothing(wrong: Vec<String>) -> Verdict {
    if wrong.is_empty() { Ok(Outcome::Tried) } else { Err(Violation(wrong.join("\n    "))) }
}

/// Leaves the law with what is wrong unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err($crate::verdict::Violation(format!($($text)+)));
        }
    };
}

/// Leaves the law unless it concerns the case.
macro_rules! concerns {
    ($condition:expr) => {
        if !$condition {
            return Ok($crate::verdict::Outcome::NotConcerned);
        }
    };
}

pub(crate) use {concerns, ensure};
