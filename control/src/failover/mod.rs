//! What happens after a failure: which regions run again, whether and when, and what is remembered of it.

mod history;
mod policy;
mod restart_set;

pub(crate) use history::History;
pub(crate) use policy::RestartPolicy;
pub(crate) use restart_set::{Progress, is_needed, restart_set};
