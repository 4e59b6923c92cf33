//! The ApplicationMaster: a JobManager on YARN, which gets containers for its TaskExecutors as slots are needed.
//!
//! It stands at the edge of a job's path: a client submits an ApplicationMaster, and that hosts the JobManager, which
//! knows nothing of YARN.
//!
//! | module | what lives there |
//! |---|---|
//! | [`containers`] | which containers to ask for, to give back, and to avoid: decisions |
//! | [`places`] | on which nodes first |
//! | [`heartbeat`] | between those decisions and YARN's messages |
//! | [`spec`] | what the processes of an application are told |
//! | [`master`] | the process |
//! | [`tokens`] | new tokens for HDFS, by the keys of its user |
//! | [`launch`] | what YARN is told to run: applications, and what their containers run |

pub mod containers;
pub mod heartbeat;
pub mod launch;
pub mod master;
pub mod places;
pub mod spec;
pub mod tokens;
