//! Tests of the TaskExecutor.

use super::*;
use flinkrs_protocol::{ApplicationId, WorkerId};

const APPLICATION: ApplicationId = ApplicationId(1);
const CONNECT: [TaskExecutorCommand; 1] = [TaskExecutorCommand::Connect];

/// A registered TaskExecutor.
fn registered() -> TaskExecutor {
    let registration = Registration {
        task_executor: "a".into(),
        host: "a".into(),
        data_address: "a:1".into(),
        slots: 2,
        slot_bytes: 1,
    };
    let mut executor = TaskExecutor::new(registration, TaskExecutorOptions::default());
    assert_eq!(executor.handle(TaskExecutorEvent::Tick, Timestamp(0)), CONNECT);
    let commands = executor.handle(TaskExecutorEvent::Connected, Timestamp(0));
    assert!(matches!(&commands[0], TaskExecutorCommand::Register(of) if of.task_executor == "a".into()));
    executor.handle(TaskExecutorEvent::Registered, Timestamp(0));
    executor
}

fn start(executor: &mut TaskExecutor, worker: u64) -> Vec<TaskExecutorCommand> {
    let worker = WorkerId(worker);
    executor.handle(TaskExecutorEvent::StartWorker { application: APPLICATION, worker }, Timestamp(1))
}

fn exited(executor: &mut TaskExecutor, worker: u64, exit: WorkerExit) -> Vec<TaskExecutorCommand> {
    let worker = WorkerId(worker);
    executor.handle(TaskExecutorEvent::WorkerExited { application: APPLICATION, worker, exit }, Timestamp(2))
}

fn spawn(worker: u64) -> TaskExecutorCommand {
    TaskExecutorCommand::SpawnWorker { application: APPLICATION, worker: WorkerId(worker) }
}

fn kill(worker: u64) -> TaskExecutorCommand {
    TaskExecutorCommand::KillWorker { application: APPLICATION, worker: WorkerId(worker) }
}

#[test]
fn a_worker_starts_when_the_one_before_has_ended() {
    let mut executor = registered();
    assert_eq!(start(&mut executor, 1), [spawn(1)]);
    assert_eq!(start(&mut executor, 2), [kill(1)]);
    let commands = exited(&mut executor, 1, WorkerExit::Signal(9));
    assert!(matches!(&commands[0], TaskExecutorCommand::ReportWorkerLost { worker: WorkerId(1), .. }));
    assert_eq!(commands[1], spawn(2));
}

#[test]
fn exit_codes_say_whether_another_try_helps() {
    for (code, kind) in [(1, FailureKind::Lost), (2, FailureKind::Usage)] {
        let mut executor = registered();
        start(&mut executor, 1);
        let commands = exited(&mut executor, 1, WorkerExit::Code(code));
        let TaskExecutorCommand::ReportWorkerLost { failure, .. } = &commands[0] else { panic!("{commands:?}") };
        assert_eq!(failure.kind, kind);
        assert!(failure.message.contains(&format!("exited with code {code}")), "{failure}");
    }
}

#[test]
fn it_starts_over_when_the_job_manager_is_lost() {
    let mut executor = registered();
    start(&mut executor, 1);
    let commands = executor.handle(TaskExecutorEvent::Tick, Timestamp(4000));
    assert_eq!(commands, [TaskExecutorCommand::Disconnect, kill(1)], "no heartbeat for 4 s");
    assert!(executor.handle(TaskExecutorEvent::Tick, Timestamp(9000)).is_empty(), "a worker is still there");
    assert_eq!(exited(&mut executor, 1, WorkerExit::Signal(9)), [TaskExecutorCommand::WakeAt(Timestamp(4500))]);
    assert_eq!(executor.handle(TaskExecutorEvent::Tick, Timestamp(9000)), CONNECT, "now the last has ended");
    let commands = executor.handle(TaskExecutorEvent::Connected, Timestamp(9000));
    assert!(matches!(&commands[0], TaskExecutorCommand::Register(of) if of.task_executor == "a.2".into()));
}

#[test]
fn it_ends_when_there_is_no_job_manager_for_long() {
    let mut executor = registered();
    executor.handle(TaskExecutorEvent::Tick, Timestamp(4000));
    let away = |executor: &mut TaskExecutor, at| {
        executor.handle(TaskExecutorEvent::Tick, Timestamp(at));
        executor.handle(TaskExecutorEvent::Disconnected { reason: "refused".to_owned() }, Timestamp(at))
    };
    let ends = |commands: &[TaskExecutorCommand]| matches!(commands[0], TaskExecutorCommand::Exit { error: Some(_) });
    assert!(!ends(&away(&mut executor, 303_999)));
    assert!(ends(&away(&mut executor, 304_000)));
}

#[test]
fn it_says_that_it_is_alive() {
    let mut executor = registered();
    let commands = executor.handle(TaskExecutorEvent::Tick, Timestamp(1000));
    assert_eq!(commands, [TaskExecutorCommand::Heartbeat, TaskExecutorCommand::WakeAt(Timestamp(2000))]);
}

#[test]
fn it_ends_after_its_workers() {
    let mut executor = registered();
    start(&mut executor, 1);
    let commands = executor.handle(TaskExecutorEvent::Stop, Timestamp(5));
    assert_eq!(commands, [TaskExecutorCommand::Disconnect, kill(1)]);
    assert_eq!(exited(&mut executor, 1, WorkerExit::Code(0)), [TaskExecutorCommand::Exit { error: None }]);
}
