//! The `flinkrs` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    flinkrs_command::main()
}
