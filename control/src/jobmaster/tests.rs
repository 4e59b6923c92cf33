//! Tests of the JobMaster, event by event; whole bad days are in the simulation.

use super::*;
use crate::options::{JobOptions, RestartStrategy};
use crate::testing::{all_to_all, blocking, forward, graph, looped};
use flinkrs_protocol::{Deployment, ExecutionId, FailureKind, JobGraph, JobState, PartitionId, TaskState};
use std::collections::BTreeMap;
use std::time::Duration;

const JOB: JobId = JobId(5);

/// A JobMaster with a job, and what it has said.
struct Test {
    master: JobMaster,
    now: Timestamp,
    said: Vec<JobCommand>,
}

impl Test {
    fn new(graph: JobGraph, has_sinks: bool, options: JobOptions) -> Test {
        let mut test = Test { master: JobMaster::new(ApplicationId(1), 100), now: Timestamp(0), said: Vec::new() };
        let graph = graph.into();
        let recovered = Recovered::No;
        test.tell(JobEvent::Submit(JobSubmission { job: JOB, execution: 1, graph, has_sinks, options, recovered }));
        test
    }

    fn tell(&mut self, event: JobEvent) {
        let commands = self.master.handle(event, self.now);
        self.said.extend(commands.into_iter().filter(|command| !matches!(command, JobCommand::WakeAt(_))));
    }

    /// Slots on a TaskExecutor that is named like its host.
    fn grant(&mut self, executor: &str, slots: u32) {
        let slots = (0..slots).map(|index| granted(executor, index)).collect();
        self.tell(JobEvent::SlotsGranted { slots });
    }

    /// Every worker that was asked for connects.
    fn start_workers(&mut self) {
        for (task_executor, worker) in self.master.resources().1 {
            let data_address = format!("{task_executor}:{worker}").as_str().into();
            self.tell(JobEvent::WorkerReady { worker, task_executor, data_address });
        }
    }

    fn worker_of(&self, executor: &str) -> WorkerId {
        let workers = self.master.resources().1;
        workers.into_iter().find(|(on, _)| *on == executor.into()).expect("it has a worker").1
    }

    /// The deployments since the last call.
    fn deployed(&mut self) -> Vec<(WorkerId, Deployment)> {
        let deployment = |command| match command {
            JobCommand::Deploy { worker, deployment } => Some((worker, deployment)),
            _ => None,
        };
        std::mem::take(&mut self.said).into_iter().filter_map(deployment).collect()
    }

    /// The tasks that were deployed since the last call, as `vertex_subtask_attempt`.
    fn tasks(&mut self) -> Vec<String> {
        let deployed = self.deployed();
        deployed.iter().flat_map(|(_, of)| &of.tasks).map(|task| task.execution.to_string()).collect()
    }

    fn report(&mut self, executor: &str, vertex: u32, subtask: u32, attempt: u32, state: TaskState) {
        let execution = ExecutionId { vertex: VertexId(vertex), subtask, attempt };
        let failed = state == TaskState::Failed;
        let failure = failed.then(|| Failure::new(FailureKind::Io, "boom"));
        self.update(executor, execution, state, failure);
    }

    fn fail(&mut self, executor: &str, vertex: u32, subtask: u32, attempt: u32, failure: Failure) {
        let execution = ExecutionId { vertex: VertexId(vertex), subtask, attempt };
        self.update(executor, execution, TaskState::Failed, Some(failure));
    }

    fn update(&mut self, executor: &str, execution: ExecutionId, state: TaskState, failure: Option<Failure>) {
        let (worker, accumulators) = (self.worker_of(executor), BTreeMap::new());
        self.tell(JobEvent::TaskChanged(TaskUpdate { job: JOB, worker, execution, state, failure, accumulators }));
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.tell(JobEvent::Tick);
    }

    fn lose(&mut self, executor: &str) {
        self.tell(JobEvent::TaskExecutorLost { task_executor: executor.into(), reason: "gone".to_owned() });
    }

    /// A TaskExecutor comes with partitions: edge, subtask and attempt of each.
    fn find(&mut self, executor: &str, partitions: &[(u32, u32, u32)]) {
        let of = |(edge, subtask, attempt): &(u32, u32, u32)| partition(*edge, *subtask, *attempt);
        let GrantedSlot { slot, host, data_address } = granted(executor, 0);
        let (task_executor, partitions) = (slot.task_executor, partitions.iter().map(of).collect());
        self.tell(JobEvent::PartitionsFound { task_executor, host, data_address, job: JOB, partitions });
    }

    /// The tasks that were told to stop.
    fn canceled(&self) -> Vec<String> {
        let executions = self.said.iter().filter_map(|command| match command {
            JobCommand::CancelTasks { executions, .. } => Some(executions),
            _ => None,
        });
        executions.flatten().map(ExecutionId::to_string).collect()
    }

    /// The partitions that a TaskExecutor was told to remove.
    fn released(&self) -> Vec<PartitionId> {
        let partitions = self.said.iter().filter_map(|command| match command {
            JobCommand::ReleasePartitions { partitions, .. } => partitions.clone(),
            _ => None,
        });
        partitions.flatten().collect()
    }

    fn outcome(&self) -> Option<&JobOutcome> {
        self.said.iter().find_map(|command| match command {
            JobCommand::Ended(outcome) => Some(outcome.as_ref()),
            _ => None,
        })
    }
}

fn partition(edge: u32, subtask: u32, attempt: u32) -> PartitionId {
    PartitionId { edge, subtask, attempt }
}

fn granted(executor: &str, index: u32) -> GrantedSlot {
    GrantedSlot {
        slot: SlotId { task_executor: executor.into(), index },
        host: executor.into(),
        data_address: format!("{executor}:files").as_str().into(),
    }
}

fn two_stages() -> JobGraph {
    graph(&[2, 2], vec![blocking(all_to_all(0, 1))])
}

#[test]
fn a_job_runs_in_fewer_slots_than_it_has_subtasks() {
    let mut test = Test::new(two_stages(), false, JobOptions::default());
    test.grant("a", 1);
    test.start_workers();
    assert_eq!(test.tasks(), ["0_0_0"]);
    test.report("a", 0, 0, 0, TaskState::Finished);
    assert_eq!(test.tasks(), ["0_1_0"]);
    test.report("a", 0, 1, 0, TaskState::Finished);
    let (_, deployment) = test.deployed().pop().unwrap();
    let (partition, location) = deployment.inputs[0].producers.find(0, 1).unwrap();
    assert_eq!(partition, PartitionId { edge: 0, subtask: 1, attempt: 0 });
    assert_eq!((location.worker, location.address.as_ref()), (None, "a:files"), "finished partitions are files");
    test.report("a", 1, 0, 0, TaskState::Finished);
    test.report("a", 1, 1, 0, TaskState::Finished);
    assert_eq!(test.outcome().unwrap().state, JobState::Finished);
}

#[test]
fn a_region_that_is_too_large_says_what_is_missing_and_fails_in_the_end() {
    let options = JobOptions { slot_idle_timeout: Duration::from_secs(1000), ..JobOptions::default() };
    let mut test = Test::new(graph(&[4, 4], vec![all_to_all(0, 1)]), false, options);
    test.grant("a", 1);
    test.grant("b", 1);
    test.start_workers();
    test.tell(JobEvent::SlotsMissing { task_executors: 2, slots: 3, free_slots: 1 });
    let expected = "region of 'v0' needs 4 slots, 2 are there, 2 TaskExecutors are registered with 1 free slot";
    assert_eq!(test.master.view().unwrap().waiting_for.as_deref(), Some(expected));
    assert!(test.tasks().is_empty());
    test.wait(300);
    let failure = test.outcome().unwrap().failure.clone().unwrap();
    assert!(failure.message.starts_with(expected) && failure.message.contains("slot.request.timeout"), "{failure}");
    assert_eq!(failure.kind, FailureKind::Resource);
}

#[test]
fn slots_are_given_back_when_they_are_not_enough() {
    let mut test = Test::new(graph(&[2, 2], vec![all_to_all(0, 1)]), false, JobOptions::default());
    test.grant("a", 1);
    test.wait(50);
    let released = |command: &JobCommand| matches!(command, JobCommand::ReleaseSlots { slots } if slots.len() == 1);
    assert!(test.said.iter().any(released), "{:?}", test.said);
    test.grant("a", 1);
    test.grant("b", 1);
    test.start_workers();
    assert_eq!(test.tasks().len(), 4);
}

#[test]
fn a_job_in_a_queue_waits_for_as_long_as_it_takes() {
    let mut test = Test::new(graph(&[2, 2], vec![all_to_all(0, 1)]), false, JobOptions::default());
    test.tell(JobEvent::SlotsMissing { task_executors: 1, slots: 2, free_slots: 0 });
    (0..10).for_each(|_| test.wait(300));
    assert!(test.outcome().is_none());
    test.grant("a", 2);
    test.start_workers();
    assert_eq!(test.tasks().len(), 4);
}

#[test]
fn a_lost_worker_restarts_what_ran_there_and_nothing_else() {
    let mut test = Test::new(two_stages(), false, JobOptions::default());
    test.grant("a", 1);
    test.grant("b", 1);
    test.start_workers();
    assert_eq!(test.tasks(), ["0_0_0", "0_1_0"]);
    test.report("a", 0, 0, 0, TaskState::Finished);
    let worker = test.worker_of("b");
    test.tell(JobEvent::WorkerDisconnected { worker, reason: "reset".to_owned() });
    assert!(
        matches!(&test.said[..], [.., JobCommand::StopWorker { .. }]),
        "its process may still run: {:?}",
        test.said
    );
    test.tell(JobEvent::WorkerLost { worker, failure: Failure::new(FailureKind::Lost, "ended") });
    let view = test.master.view().unwrap();
    assert_eq!((view.state, view.restarts), (JobState::Restarting, 1));
    let exception = &view.exceptions[0];
    assert_eq!(exception.message.as_ref(), "reset; ended");
    assert_eq!((exception.host.as_deref(), exception.restarted), (Some("b"), true));
    assert!(test.tasks().is_empty());
    test.wait(1);
    test.start_workers();
    assert_eq!(test.tasks(), ["0_1_1"], "what had finished stays, although a slot is on its TaskExecutor");
    assert_eq!(test.master.view().unwrap().state, JobState::Running);
}

#[test]
fn a_lost_task_executor_takes_its_finished_partitions_along() {
    let mut test = Test::new(two_stages(), false, JobOptions::default());
    test.grant("a", 1);
    test.grant("b", 1);
    test.start_workers();
    test.report("a", 0, 0, 0, TaskState::Finished);
    test.report("b", 0, 1, 0, TaskState::Finished);
    test.said.clear();
    test.lose("a");
    test.wait(1);
    assert!(test.canceled().is_empty() && test.tasks().is_empty(), "they may come back");
    test.wait(4);
    assert_eq!(test.canceled(), ["1_1_0"]);
    assert_eq!(test.tasks(), ["0_0_1"]);
    test.report("b", 1, 1, 0, TaskState::Canceled);
    test.report("b", 0, 0, 1, TaskState::Finished);
    assert_eq!(test.tasks(), ["1_0_1"]);
}

/// Three stages of two on two TaskExecutors; those of the last run.
fn in_the_last_of_three_stages(options: JobOptions) -> Test {
    let edges = vec![blocking(all_to_all(0, 1)), blocking(all_to_all(1, 2))];
    let mut test = Test::new(graph(&[2, 2, 2], edges), false, options);
    ["a", "b"].iter().for_each(|executor| test.grant(executor, 1));
    test.start_workers();
    for vertex in [0, 1] {
        test.report("a", vertex, 0, 0, TaskState::Finished);
        test.report("b", vertex, 1, 0, TaskState::Finished);
    }
    assert_eq!(test.tasks(), ["0_0_0", "0_1_0", "1_0_0", "1_1_0", "2_0_0", "2_1_0"]);
    test
}

#[test]
fn only_what_ran_on_a_lost_task_executor_runs_again_when_its_partitions_come_back() {
    let mut test = in_the_last_of_three_stages(JobOptions::default());
    test.lose("a");
    test.wait(1);
    test.find("a.2", &[(0, 0, 0), (1, 0, 0)]);
    test.grant("a.2", 1);
    test.start_workers();
    assert!(test.canceled().is_empty() && test.released().is_empty());
    let deployed = test.deployed();
    let tasks: Vec<String> = deployed.iter().flat_map(|(_, of)| &of.tasks).map(|of| of.execution.to_string()).collect();
    assert_eq!(tasks, ["2_0_1"], "one task of six");
    let (_, location) = deployed[0].1.inputs[0].producers.find(1, 0).unwrap();
    assert_eq!(location.address.as_ref(), "a.2:files");
    test.wait(10);
    assert!(test.tasks().is_empty(), "nothing is waited for any more");
    test.report("b", 2, 1, 0, TaskState::Finished);
    test.report("a.2", 2, 0, 1, TaskState::Finished);
    assert_eq!(test.outcome().unwrap().state, JobState::Finished);
}

#[test]
fn partitions_may_come_before_it_is_known_that_they_were_lost() {
    let mut test = in_the_last_of_three_stages(JobOptions::default());
    test.find("a.2", &[(0, 0, 0), (1, 0, 0)]);
    test.lose("a");
    test.grant("a.2", 1);
    test.start_workers();
    test.wait(1);
    assert!(test.canceled().is_empty() && test.released().is_empty());
    assert_eq!(test.tasks(), ["2_0_1"]);
}

#[test]
fn what_is_not_deployed_yet_waits_for_what_is_out_of_reach() {
    let mut test = Test::new(two_stages(), false, JobOptions::default());
    test.grant("a", 1);
    test.start_workers();
    test.report("a", 0, 0, 0, TaskState::Finished);
    test.report("a", 0, 1, 0, TaskState::Finished);
    test.report("a", 1, 0, 0, TaskState::Finished);
    assert_eq!(test.tasks(), ["0_0_0", "0_1_0", "1_0_0", "1_1_0"]);
    test.report("a", 1, 1, 0, TaskState::Failed);
    test.grant("b", 1);
    test.tell(JobEvent::WorkerLost { worker: test.worker_of("a"), failure: Failure::new(FailureKind::Lost, "ended") });
    test.wait(1);
    assert!(test.tasks().is_empty(), "its worker has not started");
    test.lose("a");
    test.start_workers();
    assert!(test.tasks().is_empty(), "and its input is out of reach");
    test.find("a.2", &[(0, 0, 0), (0, 1, 0)]);
    assert_eq!(test.tasks(), ["1_1_2"]);
}

#[test]
fn partitions_that_do_not_come_back_are_made_again_from_the_first_stage_on() {
    let mut test = in_the_last_of_three_stages(JobOptions::default());
    test.lose("a");
    test.wait(5);
    test.report("b", 2, 1, 0, TaskState::Canceled);
    assert_eq!(test.tasks(), ["0_0_1"], "what the second stage had read is gone, too");
    test.report("b", 0, 0, 1, TaskState::Finished);
    assert_eq!(test.tasks(), ["1_0_1"]);
    test.find("a.2", &[(0, 0, 0), (1, 0, 0)]);
    assert_eq!(test.released(), [partition(0, 0, 0), partition(1, 0, 0)], "they have come too late");
}

#[test]
fn whoever_reads_from_a_lost_task_executor_fails_without_being_counted() {
    let restart = RestartStrategy::FixedDelay { attempts: 1, delay: Duration::ZERO };
    let mut test = in_the_last_of_three_stages(JobOptions { restart, ..JobOptions::default() });
    test.lose("a");
    let lost = Failure::new(FailureKind::Lost, "the connection has broken");
    test.fail("b", 2, 1, 0, lost.clone());
    assert!(test.outcome().is_none());
    assert!(test.tasks().is_empty(), "it waits for its input");
    test.find("a.2", &[(0, 0, 0), (1, 0, 0)]);
    assert_eq!(test.tasks(), ["2_0_1"]);
    test.report("b", 2, 0, 1, TaskState::Finished);
    assert_eq!(test.tasks(), ["2_1_1"]);
    test.fail("b", 2, 1, 1, lost);
    assert_eq!(test.outcome().unwrap().state, JobState::Failed, "this time it was by itself");
}

#[test]
fn partitions_of_another_job_are_of_no_use() {
    let mut test = in_the_last_of_three_stages(JobOptions::default());
    let GrantedSlot { slot, host, data_address } = granted("c", 0);
    let (task_executor, partitions) = (slot.task_executor, vec![partition(0, 0, 0)]);
    test.tell(JobEvent::PartitionsFound { task_executor, host, data_address, job: JobId(4), partitions });
    let all =
        |command: &JobCommand| matches!(command, JobCommand::ReleasePartitions { job: JobId(4), partitions: None, .. });
    assert!(test.said.iter().any(all), "{:?}", test.said);
}

#[test]
fn restarts_end_when_the_strategy_says_so() {
    let restart = RestartStrategy::FixedDelay { attempts: 1, delay: Duration::from_secs(1) };
    let mut test = Test::new(graph(&[1], vec![]), false, JobOptions { restart, ..JobOptions::default() });
    test.grant("a", 1);
    test.start_workers();
    test.report("a", 0, 0, 0, TaskState::Failed);
    test.wait(1);
    test.report("a", 0, 0, 1, TaskState::Failed);
    let outcome = test.outcome().unwrap();
    assert_eq!(outcome.state, JobState::Failed);
    let message = outcome.failure.as_ref().unwrap().to_string();
    assert!(message.starts_with("'v0' (subtask 1/1, attempt 1, a on a): boom (not restarted again: "), "{message}");
    assert_eq!(outcome.view.exceptions.iter().map(|of| of.restarted).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn wrong_usage_is_never_tried_again() {
    let mut test = Test::new(graph(&[1], vec![]), false, JobOptions::default());
    test.grant("a", 1);
    let worker = test.worker_of("a");
    test.tell(JobEvent::WorkerLost { worker, failure: Failure::new(FailureKind::Usage, "another plan") });
    let failure = test.outcome().unwrap().failure.clone().unwrap();
    assert!(failure.message.ends_with("another plan"), "{failure}");
}

#[test]
fn sinks_are_begun_first_and_committed_last_whoever_dies() {
    let options = JobOptions { restart: RestartStrategy::None, ..JobOptions::default() };
    let mut test = Test::new(graph(&[1], vec![]), true, options);
    test.grant("a", 1);
    test.start_workers();
    let worker = test.worker_of("a");
    assert!(matches!(&test.said[..], [.., JobCommand::BeginSinks { .. }]), "{:?}", test.said);
    test.tell(JobEvent::SinksBegun { job: JOB, worker, result: Ok(()) });
    test.report("a", 0, 0, 0, TaskState::Finished);
    assert!(matches!(&test.said[..], [.., JobCommand::RecordCommit { .. }]), "{:?}", test.said);
    test.tell(JobEvent::CommitRecorded { job: JOB, result: Ok(()) });
    test.tell(JobEvent::Cancel { job: JOB });
    assert!(matches!(&test.said[..], [.., JobCommand::CommitSinks { .. }]), "too late: {:?}", test.said);
    test.tell(JobEvent::WorkerLost { worker, failure: Failure::new(FailureKind::Lost, "ended") });
    test.wait(1);
    test.start_workers();
    assert!(matches!(&test.said[..], [.., JobCommand::CommitSinks { .. }]), "again: {:?}", test.said);
    let worker = test.worker_of("a");
    test.tell(JobEvent::SinksCommitted { job: JOB, worker, result: Ok(()) });
    assert_eq!(test.outcome().unwrap().state, JobState::Finished);
}

#[test]
fn a_cancelled_job_stops_its_tasks_and_aborts_its_sinks() {
    let mut test = Test::new(graph(&[1], vec![]), true, JobOptions::default());
    test.grant("a", 1);
    test.start_workers();
    let worker = test.worker_of("a");
    test.tell(JobEvent::SinksBegun { job: JOB, worker, result: Ok(()) });
    test.tell(JobEvent::Cancel { job: JOB });
    assert!(test.said.iter().any(|command| matches!(command, JobCommand::CancelTasks { .. })), "{:?}", test.said);
    test.wait(30);
    assert!(matches!(&test.said[..], [.., JobCommand::StopWorker { .. }]), "it doesn't stop: {:?}", test.said);
    test.tell(JobEvent::WorkerLost { worker, failure: Failure::new(FailureKind::Lost, "ended") });
    test.start_workers();
    assert!(matches!(&test.said[..], [.., JobCommand::AbortSinks { .. }]), "{:?}", test.said);
    let worker = test.worker_of("a");
    test.tell(JobEvent::SinksAborted { job: JOB, worker });
    assert_eq!(test.outcome().unwrap().state, JobState::Canceled);
}

#[test]
fn a_loop_has_a_leader_and_resumes_when_it_restarts() {
    let mut looping = graph(&[2, 2], vec![forward(0, 1)]);
    looped(&mut looping, 0, 1);
    let mut test = Test::new(looping, false, JobOptions::default());
    test.grant("a", 1);
    test.grant("b", 1);
    test.start_workers();
    let deployed = test.deployed();
    assert_eq!(deployed.len(), 2);
    for (worker, deployment) in &deployed {
        let of = &deployment.loops[0];
        assert_eq!((of.members.len(), of.leader, deployment.resume), (2, 0, false));
        assert!(of.members.iter().any(|member| member.worker == *worker && (member.heads, member.tails) == (1, 1)));
        let producer = deployment.inputs[0].producers.find(0, deployment.tasks[0].execution.subtask).unwrap().1;
        assert_eq!(producer.worker, Some(*worker), "FORWARD stays in the slot");
    }
    test.report("a", 0, 0, 0, TaskState::Failed);
    for (executor, vertex) in [("a", 1), ("b", 0), ("b", 1)] {
        test.report(executor, vertex, u32::from(executor == "b"), 0, TaskState::Canceled);
    }
    test.wait(1);
    assert!(test.deployed().iter().all(|(_, deployment)| deployment.resume));
}

#[test]
fn splits_go_to_near_tasks_and_an_application_gives_everything_back() {
    let mut sources = graph(&[1], vec![]);
    let splits = &mut sources.vertices[0].source.as_mut().unwrap().splits;
    splits[1].hosts = vec!["b".to_owned()];
    let mut test = Test::new(sources, false, JobOptions::default());
    test.tell(JobEvent::SlotsGranted { slots: vec![granted("a", 0), granted("b", 0)] });
    test.start_workers();
    let deployed = test.deployed();
    assert_eq!(deployed[0].0, test.worker_of("b"), "its split is near");
    let execution = deployed[0].1.tasks[0].execution;
    for expected in [Some(1), Some(0), None] {
        test.tell(JobEvent::SplitRequested { job: JOB, execution });
        let [.., JobCommand::AssignSplit { split, .. }] = &test.said[..] else { panic!("{:?}", test.said) };
        assert_eq!(split.as_ref().map(|(at, _)| *at), expected);
    }
    test.report("b", 0, 0, 0, TaskState::Finished);
    test.said.clear();
    test.tell(JobEvent::Close);
    let stopped = test.said.iter().filter(|command| matches!(command, JobCommand::StopWorker { .. })).count();
    let released = test.said.iter().find_map(|command| match command {
        JobCommand::ReleaseSlots { slots } => Some(slots.len()),
        _ => None,
    });
    assert_eq!((stopped, released), (2, Some(2)));
    assert!(matches!(test.said.last(), Some(JobCommand::Closed)));
}
