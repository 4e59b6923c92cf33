//! `flinkrs info PROGRAM ARGS`: runs the program in role plan, in which its execution prints the plan.

use crate::program;
use clap::Args;
use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::roles::{PLAN, PLAN_EXECUTION, PLAN_FORMAT, PLAN_SHOWN, ROLE};
use std::path::PathBuf;
use std::process::Command;

/// Options of `flinkrs info`.
#[derive(Debug, Args)]
pub(super) struct Info {
    /// Print the plan as Flink's plan JSON, which its plan visualizer draws
    #[arg(long, group = "format")]
    json: bool,

    /// Print the plan as a graph for Graphviz
    #[arg(long, group = "format")]
    dot: bool,

    /// Print what was rejected for each operator, with its cost
    #[arg(long, group = "format")]
    alternatives: bool,

    /// Which execution of the program to show, counted from 1; earlier ones are run
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    execution: u32,

    /// The program: an executable that links flinkrs
    program: PathBuf,

    /// The program's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Info {
    pub(super) fn run(&self) -> Result<()> {
        let format = match (self.json, self.dot, self.alternatives) {
            (true, _, _) => "json",
            (_, true, _) => "dot",
            (_, _, true) => "alternatives",
            _ => "text",
        };
        let status = Command::new(program::find(&self.program)?)
            .args(&self.arguments)
            .env(ROLE, PLAN)
            .env(PLAN_FORMAT, format)
            .env(PLAN_EXECUTION, self.execution.to_string())
            .status()
            .map_err(|error| Error::io("start program", &self.program, error))?;
        let program = self.program.display();
        match status.code() {
            Some(PLAN_SHOWN) => Ok(()),
            Some(0) => Err(Error::usage(format!(
                "program {program} ended without showing a plan; it has to execute, collect, count or print something"
            ))),
            // The program has said what is wrong.
            Some(code) => std::process::exit(code),
            None => Err(Error::function(format!("program {program} ended by {status}"))),
        }
    }
}
