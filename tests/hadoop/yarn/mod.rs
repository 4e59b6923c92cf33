//! Programs on YARN: the `flinkrs` command and the examples, as processes, on real containers.
//!
//! | module | what is tried |
//! |---|---|
//! | `results` | the examples in sessions, per job, and as applications |
//! | `sessions` | what a user does with a session, and how many containers it takes |
//! | `access` | who may look, who may act, and where the secret is not |
//! | `mistakes` | wrong options, full queues, programs that fail |
//! | `kills` | lost processes and daemons |
//! | `memory` | containers keep to the memory that was asked for |

pub(crate) mod access;
mod examples;
pub(crate) mod harness;
pub(crate) mod kills;
pub(crate) mod memory;
pub(crate) mod mistakes;
pub(crate) mod results;
pub(crate) mod sessions;
