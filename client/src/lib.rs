//! flinkrs: describe a data flow with typed data sets and plain closures, and run it — on this machine, spilling to
//! disk when memory is short.
//!
//! ```
//! use flinkrs::prelude::*;
//!
//! let env = LocalEnvironment::new().parallelism(2).create()?;
//! let mut counts = env
//!     .from_collection(["to be or", "not to be"].map(Text::from))
//!     .flat_map(|line, out| words(&line).for_each(|word| out.collect((word, 1u64))))
//!     .group_by(f0)
//!     .sum(f1)
//!     .collect()?;
//! counts.sort();
//! assert_eq!(counts[0], (Text::from("be"), 2));
//! # Ok::<(), flinkrs::Error>(())
//! ```
//!
//! A whole program goes through [`main`], which reads its options, runs it, and ends the process with the right exit
//! code; see the `examples` folder. The path of a job through this workspace:
//!
//! ```text
//! program ─▶ api: Plan ─▶ optimizer: OptimizedPlan ─▶ JobGraph ─▶ runtime: tasks ─▶ result
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | [`prelude`] | everything a program needs, for `use flinkrs::prelude::*` |
//! | `entry` | [`main`]: options, signals, errors and exit codes |
//! | `note` | what tools read in the executable before they run it |
//! | `options` | [`CommonOptions`], the options that all programs share |
//! | `local` | runs a plan on the threads of this process |
//! | `cluster` | submits a plan to a cluster, and follows it |
//! | `files` | which file systems its paths can name |
//! | `roles` | whether this process runs its plan, shows it, submits it, or runs a part of another's |
//! | `progress`, `report` | the live line, the summary, and the report page |

#[cfg(feature = "mimalloc")]
mod allocator;
mod cluster;
mod entry;
mod files;
mod local;
mod note;
mod options;
pub mod prelude;
mod progress;
mod report;
mod roles;

pub use entry::{main, main_of};
pub use flinkrs_core::error::{Error, Result};
pub use flinkrs_core::{field, id, resource, sink, source, types};
pub use local::{LocalEnvironment, machine_memory, received_signal};
pub use options::CommonOptions;

/// The code of the pages that users read first is compiled and run with the tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    struct Readme;

    #[doc = include_str!("../../docs/guide.md")]
    struct Guide;
}
