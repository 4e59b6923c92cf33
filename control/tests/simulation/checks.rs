//! What has to be true all the time, and at the end.

use crate::graphs::{self, Content};
use crate::jobmanager::SinkState;
use crate::world::World;
use flinkrs_control::jobmaster::{JobCommand, JobOutcome};
use flinkrs_core::function::AccumulatorValue;
use flinkrs_core::strategy::ShipStrategy;
use flinkrs_protocol::{ApplicationId, Deployment, FailureKind, JobState, SlotId, WorkerId};
use std::collections::{BTreeMap, BTreeSet};

/// A command in short.
pub(crate) fn brief(command: &JobCommand) -> String {
    match command {
        JobCommand::Deploy { worker, deployment } => {
            let tasks: Vec<String> =
                deployment.tasks.iter().map(|task| format!("{}@{}", task.execution, task.slot)).collect();
            format!("Deploy {worker} job {} {}", deployment.job.0, tasks.join(" "))
        }
        other => format!("{other:?}").chars().take(160).collect(),
    }
}

impl World {
    /// Every slot has one owner, who knows it, or will soon.
    pub(crate) fn check(&self) {
        let Some(jm) = &self.jm else { return };
        let mut owned: BTreeMap<SlotId, ApplicationId> = BTreeMap::new();
        for master in jm.masters.values() {
            for slot in master.resources().0 {
                let before = owned.insert(slot.clone(), master.application());
                assert!(before.is_none(), "slot {slot} has two owners");
            }
        }
        for executor in jm.resources.view().task_executors {
            for (index, owner) in executor.slots.iter().enumerate() {
                let slot = SlotId { task_executor: executor.registration.task_executor.clone(), index: index as u32 };
                assert_eq!(owned.remove(&slot), *owner, "the owner of slot {slot}");
            }
        }
        assert!(owned.is_empty(), "slots of nobody: {owned:?}");
    }

    /// Deployments are complete, and come after what they need.
    pub(crate) fn check_command(&mut self, application: ApplicationId, command: &JobCommand) {
        let JobCommand::Deploy { worker, deployment } = command else { return };
        let client = self.clients.iter().find(|client| client.application == application).expect("it has a client");
        let planned =
            &client.jobs[client.jobs.iter().position(|of| of.submission.job == deployment.job).expect("known")];
        let sinks = self.store.sinks.get(&deployment.job).copied().unwrap_or_default();
        let writable = !planned.submission.has_sinks || sinks == SinkState::Begun;
        assert!(writable, "tasks were deployed when the sinks were {sinks:?}");
        let graph = &planned.submission.graph;
        check_inputs(graph, deployment);
        check_loops(graph, deployment, *worker);
        let jm = self.jm.as_mut().expect("it deploys");
        let workers = jm.masters[&application].resources().1;
        let (on, _) = workers.into_iter().find(|(_, of)| of == worker).expect("it runs somewhere");
        for task in &deployment.tasks {
            jm.deployed(graph, deployment.job, (task.execution, application, *worker, task.slot, on.to_string()));
        }
    }

    /// A job ends as it may, and with the right result.
    pub(crate) fn check_outcome(&self, outcome: &JobOutcome) {
        let usage = outcome.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Usage);
        let may = self.may_end(outcome.job, outcome.state) || usage;
        assert!(may, "job {} is {}: {:?}", outcome.job.0, outcome.state, outcome.failure);
        assert_eq!(outcome.state == JobState::Failed, outcome.failure.is_some());
        let client = self.clients.iter().find(|client| client.graph(outcome.job).is_some()).expect("it has a client");
        let planned = client.jobs.iter().find(|of| of.submission.job == outcome.job).expect("it is its");
        let sinks = self.store.sinks.get(&outcome.job).copied().unwrap_or_default();
        let tried = outcome.view.exceptions.iter().any(|of| of.message.contains("may have stayed behind"));
        let right = match sinks {
            SinkState::Untouched => outcome.state != JobState::Finished || !planned.submission.has_sinks,
            SinkState::Begun => outcome.state != JobState::Finished && tried,
            SinkState::Committed => outcome.state == JobState::Finished,
            SinkState::Aborted => outcome.state != JobState::Finished,
        };
        assert!(right, "job {} is {}, and its sinks are {sinks:?}", outcome.job.0, outcome.state);
        if outcome.state == JobState::Finished {
            self.check_result(&planned.submission.graph, outcome);
        }
    }

    /// Every split went its way exactly once.
    fn check_result(&self, graph: &flinkrs_protocol::JobGraph, outcome: &JobOutcome) {
        let result = |(name, value): (&String, &AccumulatorValue)| match value {
            AccumulatorValue::Histogram(counts) => (name.clone(), counts.clone()),
            other => panic!("{name} is {other:?}"),
        };
        let results: BTreeMap<String, Content> = outcome.accumulators.iter().map(result).collect();
        assert_eq!(results, graphs::expected(graph), "the result of job {}", outcome.job.0);
    }

    /// Whether all jobs have ended, and all that they had has been given back.
    pub(crate) fn is_over(&self) -> bool {
        let all_done = self.clients.iter().all(|client| !client.alive);
        let over = |client: &crate::client::Client| {
            client.jobs[..client.at.min(client.jobs.len())]
                .iter()
                .all(|of| self.store.results.contains_key(&of.submission.job))
        };
        let idle =
            self.jm.as_ref().is_some_and(|jm| jm.masters.is_empty() && jm.dispatcher.applications().count() == 0);
        all_done && self.clients.iter().all(over) && idle && self.store.jobs.is_empty()
    }

    /// Nothing has stayed behind.
    pub(crate) fn check_end(&self) {
        let jm = self.jm.as_ref().expect("it is up at the end");
        let view = jm.resources.view();
        assert!(view.waiting.is_empty(), "waiting: {:?}", view.waiting);
        assert_eq!(view.task_executors.len(), self.executors.len(), "TaskExecutors that have registered");
        assert!(view.task_executors.iter().all(|of| of.slots.iter().all(Option::is_none)), "slots are in use");
        for (at, process) in self.executors.iter().enumerate() {
            assert!(process.machine.is_some(), "te{at} is down");
            assert!(process.workers.is_empty(), "te{at} has workers: {:?}", process.workers.keys());
            assert!(process.files.is_empty(), "te{at} has files: {:?}", process.files.keys());
        }
    }
}

/// Each task knows all its producers.
fn check_inputs(graph: &flinkrs_protocol::JobGraph, deployment: &Deployment) {
    for task in &deployment.tasks {
        let id = task.execution;
        for (number, edge) in graph.edges.iter().enumerate().filter(|(_, edge)| edge.to == id.vertex) {
            let input = deployment.inputs.iter().find(|input| input.edge as usize == number);
            let input = input.unwrap_or_else(|| panic!("{id} was deployed without edge {number}"));
            let producers = match edge.ship {
                ShipStrategy::Forward => id.subtask..id.subtask + 1,
                _ => 0..graph.vertices[edge.from.0 as usize].parallelism,
            };
            for producer in producers {
                assert!(
                    input.producers.find(number as u32, producer).is_some(),
                    "{id} doesn't know all of edge {number}"
                );
            }
        }
        let vertex = &graph.vertices[id.vertex.0 as usize];
        if !vertex.broadcast_inputs.is_empty() {
            let gathers = deployment.gathers.iter().filter(|of| of.vertex == id.vertex);
            let gathers: Vec<u32> = gathers.flat_map(|of| of.subtasks.iter().copied()).collect();
            let mine = deployment.tasks.iter().filter(|of| of.execution.vertex == id.vertex);
            let mine: BTreeSet<u32> = mine.map(|of| of.execution.subtask).collect();
            let here: Vec<u32> = gathers.into_iter().filter(|subtask| mine.contains(subtask)).collect();
            let lowest: Vec<u32> = mine.first().copied().into_iter().collect();
            assert_eq!(here, lowest, "who gathers the broadcast sets of {}", vertex.name);
        }
    }
}

/// Head and tail of a loop are in the same slots, and everybody knows who leads.
fn check_loops(graph: &flinkrs_protocol::JobGraph, deployment: &Deployment, worker: WorkerId) {
    for (number, of) in graph.loops.iter().enumerate() {
        let slots = |vertex| {
            let tasks = deployment.tasks.iter().filter(move |task| task.execution.vertex == vertex);
            tasks.map(|task| (task.execution.subtask, task.slot)).collect::<BTreeSet<_>>()
        };
        let heads = slots(of.head);
        assert_eq!(heads, slots(of.tail), "the ends of loop {number}");
        if heads.is_empty() {
            continue;
        }
        let knows = deployment.loops.iter().find(|of| of.at as usize == number).expect("it has a loop's tasks");
        let tails: u32 = knows.members.iter().map(|member| member.tails).sum();
        assert_eq!(tails, graph.vertices[of.tail.0 as usize].parallelism);
        assert!(knows.members.iter().any(|member| member.worker == worker && member.heads as usize == heads.len()));
        let leads = knows.members[knows.leader as usize].worker == worker;
        assert_eq!(leads, heads.iter().any(|(subtask, _)| *subtask == 0), "who leads loop {number}");
    }
}
