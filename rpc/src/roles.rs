//! How a program is told what it is: environment variables that the tools set, and no secret among them.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Tells a program its role: unset for embedded, or one of the following.
pub const ROLE: &str = "FLINKRS_ROLE";

/// The program shows a plan and ends.
pub const PLAN: &str = "plan";

/// The program submits what it executes to a cluster, and waits for the results.
pub const SUBMIT: &str = "submit";

/// The program runs the tasks that it is told to.
pub const WORKER: &str = "worker";

/// In role worker: the file that says which worker it is.
pub const WORKER_SPEC: &str = "FLINKRS_WORKER_SPEC";

/// In role submit: where to and how, as the JSON of a [`SubmitSpec`].
pub const SUBMIT_SPEC: &str = "FLINKRS_SUBMIT_SPEC";

/// In role plan: `text`, `json`, `dot` or `alternatives`.
pub const PLAN_FORMAT: &str = "FLINKRS_PLAN_FORMAT";

/// In role plan: which execution's plan is shown, counted from 1.
pub const PLAN_EXECUTION: &str = "FLINKRS_PLAN_EXECUTION";

/// The exit code of a program that has shown its plan, as no program ends that doesn't know its role.
pub const PLAN_SHOWN: i32 = 93;

/// Where a program submits to, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitSpec {
    /// Host and port of the JobManager.
    pub jobmanager: String,
    /// The file with the cluster's secret, if it has one.
    pub secret_file: Option<PathBuf>,
    /// How many subtasks operators run in, unless the program says otherwise.
    pub parallelism: Option<u32>,
    /// Whether the program doesn't wait for the end of its job.
    pub detached: bool,
    /// Whether a job is cancelled when the program that waits for it is lost.
    pub cancel_on_lost_client: bool,
    /// Whether exchanges between regions are kept whole, so that a failure repeats less.
    pub blocking_exchanges: bool,
}
