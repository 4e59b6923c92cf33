//! How a program is told what it is: environment variables that the tools set, and no secret among them.

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

/// In role submit: the file that says where to.
pub const SUBMIT_SPEC: &str = "FLINKRS_SUBMIT_SPEC";
