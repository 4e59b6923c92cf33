//! The worker processes of a TaskExecutor, at most one for each application at a time.

use crate::task_executor::{TaskExecutorCommand, WorkerExit};
use flinkrs_protocol::{ApplicationId, Failure, FailureKind, TaskExecutorId, WorkerId};
use std::collections::BTreeMap;

/// Workers by application.
#[derive(Clone, Debug, Default)]
pub(super) struct Workers(BTreeMap<ApplicationId, Place>);

/// The place of an application's worker.
#[derive(Clone, Debug)]
struct Place {
    worker: WorkerId,
    /// Whether it has been told to end.
    killed: bool,
    /// The one that starts when it has ended.
    next: Option<WorkerId>,
}

impl Workers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Starts a worker, once the one before it has ended: they have the same slots.
    pub(super) fn start(
        &mut self,
        application: ApplicationId,
        worker: WorkerId,
        commands: &mut Vec<TaskExecutorCommand>,
    ) {
        let Some(place) = self.0.get_mut(&application) else {
            self.0.insert(application, Place { worker, killed: false, next: None });
            commands.push(TaskExecutorCommand::SpawnWorker { application, worker });
            return;
        };
        place.next = Some(worker);
        place.kill(application, commands);
    }

    /// Ends a worker. One that isn't known has ended before, and its JobMaster was told.
    pub(super) fn stop(
        &mut self,
        application: ApplicationId,
        worker: WorkerId,
        commands: &mut Vec<TaskExecutorCommand>,
    ) {
        let Some(place) = self.0.get_mut(&application) else { return };
        if place.next == Some(worker) {
            place.next = None;
            let failure = Failure::new(FailureKind::Lost, format!("worker {worker} was stopped before it had started"));
            commands.push(TaskExecutorCommand::ReportWorkerLost { application, worker, failure });
        } else if place.worker == worker {
            place.kill(application, commands);
        }
    }

    pub(super) fn kill_all(&mut self, commands: &mut Vec<TaskExecutorCommand>) {
        for (application, place) in &mut self.0 {
            place.next = None;
            place.kill(*application, commands);
        }
    }

    /// A process has ended; its JobMaster is told, if there is a session, and the next one starts.
    pub(super) fn exited(
        &mut self,
        application: ApplicationId,
        worker: WorkerId,
        exit: &WorkerExit,
        session: Option<&TaskExecutorId>,
        commands: &mut Vec<TaskExecutorCommand>,
    ) {
        let Some(place) = self.0.get(&application).filter(|place| place.worker == worker) else { return };
        let (next, killed) = (place.next, place.killed);
        self.0.remove(&application);
        if let Some(on) = session {
            let failure = describe(worker, exit, killed, on);
            commands.push(TaskExecutorCommand::ReportWorkerLost { application, worker, failure });
        }
        if let Some(next) = next {
            self.start(application, next, commands);
        }
    }
}

impl Place {
    fn kill(&mut self, application: ApplicationId, commands: &mut Vec<TaskExecutorCommand>) {
        if !self.killed {
            self.killed = true;
            commands.push(TaskExecutorCommand::KillWorker { application, worker: self.worker });
        }
    }
}

/// Why a worker is gone. A worker that exits as for wrong usage has a plan or options that don't fit: no other will do.
fn describe(worker: WorkerId, exit: &WorkerExit, killed: bool, on: &TaskExecutorId) -> Failure {
    let lost = |how: String| Failure::new(FailureKind::Lost, format!("worker {worker} on TaskExecutor {on} {how}"));
    match exit {
        // One that was told to end may have ended by itself before, and that is how.
        WorkerExit::Signal(9) if killed => lost("was ended as told".to_owned()),
        WorkerExit::Code(2) => {
            Failure { kind: FailureKind::Usage, ..lost("exited with code 2; see its log".to_owned()) }
        }
        WorkerExit::Code(code) => lost(format!("exited with code {code}; see its log")),
        WorkerExit::Signal(9) => {
            lost("was ended by signal 9 (SIGKILL): by somebody, or because the host was out of memory".to_owned())
        }
        WorkerExit::Signal(signal) => lost(format!("was ended by signal {signal}; see its log")),
        WorkerExit::NotStarted(failure) => {
            let message = format!("worker {worker} on TaskExecutor {on} could not be started: {}", failure.message);
            Failure { message, ..failure.clone() }
        }
    }
}
