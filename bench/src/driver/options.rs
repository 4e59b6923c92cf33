//! The command line of the driver.

use std::path::PathBuf;

/// Compares the engine with plain programs that do the same by hand.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "bench")]
pub struct Options {
    /// Small inputs, to see that everything works; their times mean nothing
    #[arg(long)]
    pub small: bool,

    /// Measured runs of each program, after one that isn't measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,

    /// Folder of the inputs, each size in a folder of its own [default: `data` in the benchmark's folder]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Only these jobs, by their names or how these begin
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Threads of the plain programs, parallelism of the engine
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: u32,

    /// What to do instead of the comparison.
    #[command(flatten)]
    pub mode: Mode,
}

/// What to do instead of the comparison; one of them at most.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(multiple = false)]
pub struct Mode {
    /// Instead: sort 4 GB and join 2 GB with 4 GB in 256 MB; needs 15 GB of disk
    #[arg(long, conflicts_with = "only")]
    pub memory_tests: bool,

    /// Instead: word count in 1, 2, 4 and 8 subtasks
    #[arg(long, conflicts_with = "only")]
    pub parallelism: bool,

    /// Instead: the time of a job with next to nothing to do
    #[arg(long, conflicts_with = "only")]
    pub start: bool,

    /// Instead: what a chained operator costs per record
    #[arg(long, conflicts_with = "only")]
    pub chain: bool,

    /// Instead: each choice of the optimizer against the other plan, forced
    #[arg(long, conflicts_with = "only")]
    pub plans: bool,

    /// Instead: records between two processes, and their round trips
    #[arg(long, conflicts_with = "only")]
    pub exchange: bool,

    /// Instead: what a JobMaster needs for jobs of thousands of subtasks
    #[arg(long, conflicts_with = "only")]
    pub control: bool,

    /// Instead: files on HDFS, against Hadoop's own client; needs Maven and a JDK
    #[arg(long, conflicts_with = "only")]
    pub hdfs: bool,

    /// Instead: jobs on YARN, in sessions and one by one; needs Maven and Java
    #[arg(long, conflicts_with = "only")]
    pub yarn: bool,

    /// Instead: examples in one process and on a cluster of two TaskExecutors
    #[arg(long)]
    pub cluster: bool,

    /// Instead: programs with loops over graphs and points
    #[arg(long)]
    pub loops: bool,

    /// Instead: changes and time per superstep of a delta and a bulk iteration, and an empty superstep
    #[arg(long, conflicts_with = "only")]
    pub supersteps: bool,
}
