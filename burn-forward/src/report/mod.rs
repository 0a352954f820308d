//! Placeholder that its issue fills.
