//! The command lines of the programs with loops, the same on both sides.

use std::path::PathBuf;
use std::process::ExitCode;

/// A graph.
#[derive(Clone, Debug, clap::Args)]
pub struct Graph {
    /// Its edges: two numbers of four bytes each
    #[arg(long, value_name = "FILE")]
    pub edges: PathBuf,

    /// How many vertices it has; their ids are all smaller numbers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub vertices: u32,
}

/// Points and starting centroids.
#[derive(Clone, Debug, clap::Args)]
pub struct Points {
    /// The points: two numbers of eight bytes each
    #[arg(long, value_name = "FILE")]
    pub points: PathBuf,

    /// The starting centroids: lines `id,x,y`
    #[arg(long, value_name = "FILE")]
    pub centers: PathBuf,
}

/// How often the loop runs.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Rounds {
    /// Rounds of the loop
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub rounds: u32,
}

/// Where the whole answer goes.
#[derive(Clone, Debug, clap::Args)]
pub struct Output {
    /// Write the whole answer, too
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What the plain programs have instead of the engine's common options.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Threads {
    /// Threads
    #[arg(short, long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    parallelism: u32,
}

impl Threads {
    /// Their number.
    pub fn count(self) -> usize {
        self.parallelism as usize
    }
}

/// Runs a plain program's body; prints an error as one line on stderr.
pub fn run<A: clap::Parser>(body: impl FnOnce(A) -> Result<(), String>) -> ExitCode {
    match body(A::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{}: {}", A::command().get_name(), message.replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}
