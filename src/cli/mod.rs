//! The `visavis` program's subcommands, one file each.

pub mod bench;
pub mod devices;
