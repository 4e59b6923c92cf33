//! The driver of the benchmark: builds everything, makes the inputs, runs the programs as whole processes, and prints
//! figures for right answers only.
//!
//! | module | what lives there |
//! |---|---|
//! | [`Options`] | the command line |
//! | `setup` | building, inputs, and where programs and data are |
//! | `process` | one run of a program: time, CPU, peak memory |
//! | `jobs` | the jobs: both programs, their inputs, and how their answers agree |
//! | `check` | comparing outputs |
//! | `compare` | the plain programs against the engine's |
//! | `hdfs` | reading and writing on HDFS, against Hadoop's client |
//! | `cluster` | examples in one process and on a cluster |
//! | `loops` | the programs with loops |
//! | `memory` | jobs much larger than their memory |
//! | `single` | figures of the engine alone: parallelism, start, chain, plans, exchange, control |
//! | `table` | medians and tables |
//! | `yarn` | jobs on YARN |

mod check;
mod cluster;
mod compare;
mod hdfs;
mod jobs;
mod loops;
mod memory;
mod options;
mod process;
mod setup;
mod single;
mod table;
mod yarn;

pub use options::{Mode, Options};
use setup::Setup;

/// Does what the options say; returns whether all answers were right.
pub fn run(options: &Options) -> Result<bool, String> {
    if options.mode.hdfs {
        return hdfs::run(options);
    }
    let names: &[&str] = match options.mode {
        Mode { loops: true, .. } => &loops::NAMES,
        Mode { cluster: true, .. } => &cluster::NAMES,
        _ => &jobs::NAMES,
    };
    let wanted = jobs::selected(names, &options.only)?;
    let setup = Setup::new(options)?;
    if options.mode.memory_tests {
        memory::run(&setup)
    } else if options.mode.parallelism {
        single::parallelism(&setup)
    } else if options.mode.start {
        single::start(&setup)
    } else if options.mode.chain {
        single::chain(&setup)
    } else if options.mode.plans {
        single::plans(&setup)
    } else if options.mode.exchange {
        single::exchange(&setup)
    } else if options.mode.control {
        single::control(&setup)
    } else if options.mode.supersteps {
        single::supersteps(&setup)
    } else if options.mode.cluster {
        cluster::run(&setup, &wanted)
    } else if options.mode.yarn {
        yarn::run(&setup)
    } else if options.mode.loops {
        loops::run(&setup, &wanted)
    } else {
        compare::run(&setup, &wanted)
    }
}
