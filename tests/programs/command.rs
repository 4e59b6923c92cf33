//! The `flinkrs` command as the tests of this package run it: the same main, built here.

use std::process::ExitCode;

fn main() -> ExitCode {
    flinkrs_command::main()
}
