//! The engine: takes a JobGraph and runs it on the threads of this process.
//!
//! ```text
//! JobGraph ──▶ control: deploy ──▶ tasks (one per subtask of a vertex)
//!                                    │  chain of operators
//!                                    ▼
//!                             network: exchanges ──▶ next task
//! ```
//!
//! A task is a state machine: it takes what its inputs have, pushes it through its chain, and says whether it wants
//! to go on, waits, or is done. A few threads run all tasks cooperatively; a task that has to block hands its
//! thread's role to another one first.
//!
//! | module | what lives there |
//! |---|---|
//! | `control` | a job: its deployment, its end, its counters |
//! | `task` | the scheduler, the task and its chain |
//! | `iteration` | the supersteps of loops |
//! | `snapshot` | files from which loops go on after the process has ended |
//! | `network` | the queues between tasks and the writers that fill them |

mod control;
mod iteration;
mod network;
mod snapshot;
mod task;

pub use control::{
    FinishedTask, Job, JobResult, Master, OperatorReport, RuntimeOptions, Sinks, SlotPools, SubtaskReport,
    Surroundings, VertexReport,
};
pub use iteration::{LoopMessages, LoopReport, SuperstepReport};
#[doc(hidden)]
pub use network::decoders;
pub use network::{
    ChannelId, ChannelReader, ChannelWriter, Compression, Exchange, ExchangeOptions, PeerId, StoredPartition,
    TlsConfigs,
};
pub use snapshot::SnapshotOptions;
