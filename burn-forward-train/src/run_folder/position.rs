//! The progress of a run.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// The progress of a run: the number of completed epochs, and of steps in the epoch after them.
///
/// Written as text in the names of checkpoints: `3`, or `3+120` within epoch 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Number of epochs that were trained and validated.
    pub epochs: usize,
    /// Number of steps in the epoch after them.
    pub steps: usize,
}

impl Position {
    /// The position after `epochs` completed epochs.
    pub fn after_epoch(epochs: usize) -> Self {
        Self { epochs, steps: 0 }
    }

    /// `epoch 3`, or `step 120 of epoch 4`.
    pub fn named(self) -> String {
        match self {
            Self { epochs, steps: 0 } => format!("epoch {epochs}"),
            Self { epochs, steps } => format!("step {steps} of epoch {}", epochs + 1),
        }
    }

    /// Whether the position is within an epoch.
    pub fn is_within_epoch(self) -> bool {
        self.steps > 0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { epochs, steps: 0 } => write!(f, "{epochs}"),
            Self { epochs, steps } => write!(f, "{epochs}+{steps}"),
        }
    }
}

impl FromStr for Position {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (epochs, steps) = text.split_once('+').unwrap_or((text, "0"));
        Ok(Self { epochs: epochs.parse()?, steps: steps.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_ordered_and_read_back() {
        let at = |epochs, steps| Position { epochs, steps };
        for (position, text) in [(at(3, 0), "3"), (at(3, 120), "3+120"), (at(0, 1), "0+1")] {
            assert_eq!((position.to_string().as_str(), text.parse()), (text, Ok(position)));
        }
        assert!(at(2, 900) < at(3, 0) && at(3, 0) < at(3, 1));
        assert!("3+".parse::<Position>().is_err() && "x".parse::<Position>().is_err());
    }
}
