//! The verdict of a law on one case.

use std::fmt;

/// Whether a case satisfies a law. The error tells what differed.
pub type Verdict = Result<Outcome, Violation>;

/// The outcome of a law that is not violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The rule was tested and satisfies the law.
    Tried,
    /// The law does not apply to this rule.
    NotConcerned,
}

/// The difference between what a law promises and what a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

impl Violation {
    /// The same violation, preceded by where it was seen.
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

/// [`Outcome::Tried`] if `wrong` is empty, or a violation.
pub(crate) fn nothing(wrong: Vec<String>) -> Verdict {
    if wrong.is_empty() { Ok(Outcome::Tried) } else { Err(Violation(wrong.join("\n    "))) }
}

/// Returns a violation from the law unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err($crate::verdict::Violation(format!($($text)+)));
        }
    };
}

/// Returns from the law if it does not apply to the case.
macro_rules! concerns {
    ($condition:expr) => {
        if !$condition {
            return Ok($crate::verdict::Outcome::NotConcerned);
        }
    };
}

pub(crate) use {concerns, ensure};
