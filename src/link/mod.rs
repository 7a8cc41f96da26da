//! One peer.

pub mod flow;
