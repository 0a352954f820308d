//! How far the signals of a rule reach.

use std::fmt;

/// What crosses the border of a block in a step, beside the activations on their way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing: a block learns from what enters it and from its own loss.
    Nothing,
    /// A signal of the block above it, named here.
    Above(&'static str),
    /// What a pass of the whole network gives, named here: its output error, say.
    Network(&'static str),
    /// Gradients: the losses of blocks above are differentiated through this one.
    Gradients,
}

impl Reach {
    /// Whether blocks learn without gradients from each other.
    pub fn is_local(self) -> bool {
        self != Self::Gradients
    }

    /// Whether what a block learns from depends on the blocks above it.
    pub fn reads_above(self) -> bool {
        self != Self::Nothing
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Above(what) => write!(f, "{what}, from the block above"),
            Self::Network(what) => write!(f, "{what}, from a pass of the whole network"),
            Self::Gradients => f.write_str("gradients, from the losses of blocks above"),
        }
    }
}
