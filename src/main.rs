//! The `visavis` program; all of it is in the library.

fn main() -> std::process::ExitCode {
    visavis::cli::run(std::env::args_os())
}
