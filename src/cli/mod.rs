//! The `visavis` program: one file per subcommand.

pub mod bench;
//! The `visavis` program's subcommands, one file each.

pub mod devices;
