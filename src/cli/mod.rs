//! The `visavis` program: one file per subcommand.

pub mod bench;
