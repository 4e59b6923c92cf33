//! The frame of a program: reads its options, runs it, and ends the process as it should.

use crate::local::signals;
use crate::roles;
use clap::Parser;
use flinkrs_core::error::{Error, Result};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs a program: reads its options `A` from the command line, calls `program`, prints its error, if any, as one
/// line, and returns the exit code: 0 done, 1 job failed, 2 usage or plan, 3 input or output, 4 resources, and 128
/// plus the signal's number after SIGINT or SIGTERM.
pub fn main<A: Parser>(program: impl FnOnce(A) -> Result<()>) -> ExitCode {
    main_of(std::env::args_os(), program)
}

/// [`main`] with other arguments than the process's own; the first is the program's name.
pub fn main_of<A: Parser>(
    arguments: impl IntoIterator<Item = OsString>,
    program: impl FnOnce(A) -> Result<()>,
) -> ExitCode {
    let arguments = match A::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors and go to standard output; clap knows.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    signals::install();
    let result = roles::role_is_known().and_then(|()| program(arguments));
    match roles::at_end(result) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> ExitCode {
    let signal = signals::received();
    match signal.filter(|_| matches!(error.root(), Error::Cancelled)) {
        Some(signal) => eprintln!("cancelled by signal {signal}"),
        None => eprintln!("error: {error}"),
    }
    ExitCode::from(signal.map_or(error.exit_code(), |signal| 128 + signal as u8))
}
