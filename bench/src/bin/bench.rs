//! Compares the engine with the plain programs; see `docs/benchmarks.md`.

use std::process::ExitCode;

use clap::Parser;
use flinkrs_bench::driver::{self, Options};

fn main() -> ExitCode {
    match driver::run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("bench: {}", message.replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}
