//! The decisions of an ApplicationMaster: which containers it asks for, and what runs in them.
//!
//! It stands at the edge of a job's path: a client submits an ApplicationMaster through it, and the ApplicationMaster
//! gets the containers for its TaskExecutors through it.
//!
//! | module | what lives there |
//! |---|---|
//! | [`containers`] | which containers to ask for, to give back, and to avoid: decisions |
//! | [`heartbeat`] | between those decisions and YARN's messages |
//! | [`launch`] | what YARN is told to run: applications, and what their containers run |
//! | [`hadoop`], [`error`] | the client that talks to YARN, and what can go wrong there |

pub mod containers;
pub mod heartbeat;
pub mod launch;

pub use flinkrs_hadoop as hadoop;
pub use flinkrs_hadoop::error;

pub use error::{Error, Result};
