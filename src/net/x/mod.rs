//! Stand-in.
pub mod length;
