//! One peer.

pub mod flow;

/// The longest plaintext payload, in bytes.
pub const MAX_PAYLOAD: usize = 1_200;
