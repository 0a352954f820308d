//! How far the signals of a rule reach.

use std::fmt;

/// What crosses the border of a block in a step, apart from the activations on their way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing: a block learns from its input and its own loss alone.
    Nothing,
    /// A signal from the block above, with its name.
    Above(&'static str),
    /// The result of a pass through the whole network, with its name, such as the output error.
    Network(&'static str),
    /// Gradients: the losses of the blocks above are differentiated through this block.
    Gradients,
}

impl Reach {
    /// Whether blocks learn without gradients from each other.
    pub fn is_local(self) -> bool {
        self != Self::Gradients
    }

    /// Whether what a block learns depends on the blocks above it.
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
