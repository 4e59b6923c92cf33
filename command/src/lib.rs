//! The `flinkrs` command: tools around programs.

mod info;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tools for flinkrs programs.
#[derive(Debug, Parser)]
#[command(name = "flinkrs", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the plan that the optimizer chooses for a program, without running it
    Info(info::Info),
}

/// The command's main: reads the arguments, acts, and returns the exit code.
pub fn main() -> ExitCode {
    crate::main(|cli: Cli| match cli.action {
        Action::Info(info) => info.run(),
    })
}
