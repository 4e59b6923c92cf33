//! Connections that keep the order of their messages, are slow at times, and break without telling anybody soon.

use crate::world::{Action, World};
use flinkrs_control::jobmaster::JobEvent;
use flinkrs_control::resource_manager::Registration;
use flinkrs_control::task_executor::TaskExecutorEvent;
use flinkrs_core::source::Split;
use flinkrs_protocol::{ApplicationId, Deployment, ExecutionId, Failure, JobId, PartitionId, WorkerId};
use std::sync::Arc;

/// The other end of a connection to the JobManager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A TaskExecutor process: which, and which start of it.
    Executor(usize, u32),
    /// A worker there.
    Worker(usize, u32, ApplicationId, WorkerId),
}

impl Peer {
    /// The host of the peer.
    pub(crate) fn host(self) -> usize {
        match self {
            Peer::Executor(host, _) | Peer::Worker(host, ..) => host,
        }
    }
}

/// A connection between the JobManager and a peer.
pub(crate) struct Connection {
    /// Which start of the JobManager.
    pub(crate) epoch: u64,
    /// The other end.
    pub(crate) peer: Peer,
    /// Whether messages arrive.
    pub(crate) open: bool,
    /// When the last message arrives, from the JobManager and at it.
    last: [u64; 2],
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// To the JobManager: a TaskExecutor introduces itself.
    Register(Registration),
    /// To the JobManager: a TaskExecutor is alive.
    Heartbeat,
    /// To the JobManager: a TaskExecutor has finished partitions of a job from before it registered.
    Found(JobId, Vec<PartitionId>),
    /// To the JobManager: a worker has exited.
    WorkerLost(ApplicationId, WorkerId, Failure),
    /// To the JobManager, from a worker.
    Job(JobEvent),
    /// To a TaskExecutor.
    Executor(TaskExecutorEvent),
    /// To a TaskExecutor: these finished partitions of a job, or all, aren't needed any more.
    Release(JobId, Option<Vec<PartitionId>>),
    /// To a worker.
    Worker(WorkerMessage),
}

/// What a worker is told.
#[derive(Clone, Debug)]
pub(crate) enum WorkerMessage {
    /// Run tasks.
    Deploy(Arc<Deployment>),
    /// Stop tasks.
    Cancel(JobId, Vec<ExecutionId>),
    /// A split, or that there are no more.
    Split(JobId, ExecutionId, Option<(u32, Split)>),
    /// Begin sinks.
    Begin(JobId),
    /// Commit sinks.
    Commit(JobId),
    /// Abort sinks.
    Abort(JobId),
}

impl World {
    /// Opens a connection to the JobManager.
    pub(crate) fn connect(&mut self, peer: Peer) -> Option<u64> {
        if self.is_cut_off(peer.host()) {
            return None;
        }
        let epoch = self.jm.as_ref()?.epoch;
        self.next_connection += 1;
        self.connections.insert(self.next_connection, Connection { epoch, peer, open: true, last: [0; 2] });
        Some(self.next_connection)
    }

    /// Sends a message; it arrives after those before it, or never.
    pub(crate) fn send(&mut self, connection: u64, to_jm: bool, message: Message) {
        let slow = if self.rng.chance(3) { self.rng.range(100, 1500) } else { 0 };
        let delay = self.rng.range(1, 15) + slow;
        let Some(of) = self.connections.get_mut(&connection).filter(|of| of.open) else { return };
        let healed = self.cut_off_until[of.peer.host()];
        let at = (self.now + delay).max(of.last[usize::from(to_jm)]).max(healed);
        of.last[usize::from(to_jm)] = at;
        self.at(at, Action::Deliver { connection, to_jm, message });
    }

    /// Breaks a connection: both ends learn of it later, each at its own time.
    pub(crate) fn break_connection(&mut self, connection: u64) {
        self.close(connection, true);
        self.notice(connection, false);
    }

    /// One end closes a connection: the other learns of it later.
    pub(crate) fn close(&mut self, connection: u64, by_peer: bool) {
        let Some(of) = self.connections.get_mut(&connection).filter(|of| of.open) else { return };
        of.open = false;
        self.notice(connection, by_peer);
    }

    fn notice(&mut self, connection: u64, at_jm: bool) {
        let late = if self.rng.chance(10) { self.rng.range(500, 6000) } else { self.rng.range(1, 100) };
        let healed = self.cut_off_until[self.connections[&connection].peer.host()];
        self.at((self.now + late).max(healed), Action::Broken { connection, at_jm });
    }

    /// Whether a host is cut off from the others now.
    pub(crate) fn is_cut_off(&self, host: usize) -> bool {
        self.cut_off_until[host] > self.now
    }
}
