//! tmp
pub struct GreedyStrategy;
