//! What tasks report, what becomes of those whose process is gone, and what is done about failures.

use crate::execution_graph::{Execution, Place};
use crate::failover::{Progress, restart_set};
use crate::jobmaster::job::{Context, Goal, Job, Stage};
use crate::jobmaster::timers::Timer;
use crate::jobmaster::{JobCommand, TaskUpdate};
use crate::regions::RegionId;
use crate::time::Timestamp;
use crate::view::ExceptionView;
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{ExecutionId, Failure, FailureKind, JobState, PartitionId, TaskState, WorkerId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

impl Job {
    /// A worker reports a task's state. What comes from another worker or attempt than the present is of no interest.
    pub(crate) fn task_changed(&mut self, update: TaskUpdate, cx: &mut Context) {
        let TaskUpdate { worker, execution: id, state, failure, accumulators, .. } = update;
        let Some(execution) = self.graph.current(id) else { return };
        let is_there = execution.place.as_ref().is_some_and(|place| place.worker == worker);
        if !is_there || !execution.state().is_deployed() || !execution.state().leads_to(state) {
            return;
        }
        let was = execution.state();
        match state {
            TaskState::Initializing | TaskState::Running => self.graph.advance(id.vertex, id.subtask, state, cx.now),
            TaskState::Finished => {
                self.graph.execution_mut(id.vertex, id.subtask).accumulators = accumulators;
                self.finished(id, cx);
            }
            TaskState::Failed | TaskState::Canceled if was == TaskState::Canceling => self.ended(id, state, cx),
            TaskState::Failed | TaskState::Canceled => {
                let by_itself = || Failure::new(FailureKind::Internal, "the task stopped without being told to");
                let failure = failure.unwrap_or_else(by_itself);
                self.task_failed(id, &failure, cx.now);
                let region = self.graph.regions.of(id.vertex, id.subtask);
                let failed = BTreeSet::from([region]);
                if self.region(region).bereft && failure.kind == FailureKind::Lost && self.goal.is_none() {
                    // The TaskExecutor that it read from is lost, which has been counted.
                    self.run_again(&failed, Duration::ZERO, cx);
                } else {
                    self.fail(&failed, &failure, Some(id), cx);
                }
            }
            _ => {}
        }
    }

    fn finished(&mut self, id: ExecutionId, cx: &mut Context) {
        self.graph.advance(id.vertex, id.subtask, TaskState::Finished, cx.now);
        let region = self.graph.regions.of(id.vertex, id.subtask);
        self.region(region).open -= 1;
        if self.region(region).stage == Stage::Stopping {
            self.drop_results(&[(id.vertex, id.subtask)], cx);
            return self.region_stopped_if_empty(region, cx);
        }
        if self.region(region).open == 0 {
            self.region(region).stage = Stage::Finished;
            self.region(region).settled = true;
            self.unfinished -= 1;
            self.active -= 1;
            self.give_back(region);
        }
        self.offer_consumers(id.vertex, id.subtask);
    }

    /// A task that was told to stop has ended.
    fn ended(&mut self, id: ExecutionId, state: TaskState, cx: &mut Context) {
        self.graph.advance(id.vertex, id.subtask, state, cx.now);
        let region = self.graph.regions.of(id.vertex, id.subtask);
        self.region(region).open -= 1;
        self.region_stopped_if_empty(region, cx);
    }

    /// Marks a task FAILED; its region is stopped by whoever calls this.
    fn task_failed(&mut self, id: ExecutionId, failure: &Failure, now: Timestamp) {
        self.graph.advance(id.vertex, id.subtask, TaskState::Failed, now);
        self.graph.execution_mut(id.vertex, id.subtask).failure = Some(failure.to_string().into());
        let region = self.graph.regions.of(id.vertex, id.subtask);
        self.region(region).open -= 1;
    }

    /// A worker is gone, and all its tasks with it.
    pub(crate) fn worker_lost(&mut self, worker: WorkerId, not_ready: bool, failure: &Failure, cx: &mut Context) {
        self.awaiting.remove(&worker);
        let failed = self.tasks_lost(|place| place.worker == worker, failure, cx);
        let no_other = not_ready && cx.pool.ready_worker().is_none();
        if self.sink_call == Some(worker) || (self.sink_call.is_none() && no_other) {
            self.sink_worker_lost(failure, cx);
        }
        if let Some((_, first)) = failed.first() {
            let regions = failed.iter().map(|(region, _)| *region).collect();
            self.fail(&regions, failure, Some(*first), cx);
        }
    }

    /// A TaskExecutor is gone: its slots, its workers' tasks, and, for a while at least, its finished partitions.
    pub(crate) fn executor_lost(&mut self, executor: u32, workers: &[WorkerId], reason: &str, cx: &mut Context) {
        self.slots.remove_executor(executor);
        self.touched.remove(&executor);
        let failure = Failure::new(FailureKind::Lost, reason);
        workers.iter().for_each(|worker| drop(self.awaiting.remove(worker)));
        self.results_absent(executor, &failure, cx);
        let failed = self.tasks_lost(|place| place.executor == executor, &failure, cx);
        if self.sink_call.is_some_and(|worker| workers.contains(&worker)) {
            self.sink_worker_lost(&failure, cx);
        }
        if let Some((_, first)) = failed.first().copied() {
            let regions = failed.iter().map(|(region, _)| *region).collect();
            self.absences.entry(executor).and_modify(|absence| absence.counted = true);
            self.fail(&regions, &failure, Some(first), cx);
        }
    }

    /// Ends the tasks whose place is gone; the regions that have failed by that, each with a task of it.
    fn tasks_lost(
        &mut self,
        gone: impl Fn(&Place) -> bool,
        failure: &Failure,
        cx: &mut Context,
    ) -> BTreeSet<(RegionId, ExecutionId)> {
        let affected = |(vertex, subtask, execution): (VertexId, u32, &Execution)| {
            let is_gone = execution.place.as_ref().is_some_and(&gone);
            is_gone.then(|| (ExecutionId { vertex, subtask, attempt: execution.attempt }, execution.state()))
        };
        let tasks: Vec<(ExecutionId, TaskState)> = self.graph.all_tasks().filter_map(affected).collect();
        let mut failed: BTreeSet<(RegionId, ExecutionId)> = BTreeSet::new();
        let mut canceled = Vec::new();
        for (id, state) in tasks {
            let region = self.graph.regions.of(id.vertex, id.subtask);
            let is_running = matches!(self.regions[region.0 as usize].stage, Stage::Placed | Stage::Deployed);
            match state {
                TaskState::Canceling => canceled.push(id),
                TaskState::Finished => {
                    // What it wrote inside of the region may not have been read to the end.
                    let flows = self.graph.outputs(id.vertex).any(|(_, edge)| !self.graph.regions.crosses(edge));
                    if is_running && flows {
                        failed.insert((region, id));
                    }
                }
                state if !state.is_terminal() => {
                    self.task_failed(id, failure, cx.now);
                    failed.insert((region, id));
                }
                _ => {}
            }
        }
        canceled.into_iter().for_each(|id| self.ended(id, TaskState::Canceled, cx));
        failed
    }

    /// A consumer couldn't read a partition.
    pub(crate) fn partition_unavailable(
        &mut self,
        consumer: ExecutionId,
        partition: PartitionId,
        message: &str,
        cx: &mut Context,
    ) {
        let Some(edge) = self.graph.graph.edges.get(partition.edge as usize).cloned() else { return };
        let reads = self
            .graph
            .current(consumer)
            .is_some_and(|execution| execution.state().is_deployed() && execution.state() != TaskState::Canceling);
        if !reads || edge.to != consumer.vertex {
            return;
        }
        let mut failed = BTreeSet::from([self.graph.regions.of(consumer.vertex, consumer.subtask)]);
        let producer = ExecutionId { vertex: edge.from, subtask: partition.subtask, attempt: partition.attempt };
        let kept = self.graph.current(producer).is_some_and(|execution| execution.results.is_some());
        if kept && self.graph.regions.crosses(&edge) {
            self.drop_results(&[(edge.from, partition.subtask)], cx);
            failed.insert(self.graph.regions.of(edge.from, partition.subtask));
        }
        let failure = Failure::new(FailureKind::Lost, format!("partition {partition} can't be read: {message}"));
        self.fail(&failed, &failure, Some(consumer), cx);
    }

    /// Regions have failed: they run again, with those that have to, or the job fails.
    pub(super) fn fail(
        &mut self,
        failed: &BTreeSet<RegionId>,
        failure: &Failure,
        task: Option<ExecutionId>,
        cx: &mut Context,
    ) {
        if self.goal.is_some() {
            // Their tasks have been counted already; the rest has been told to stop.
            return;
        }
        let delay = match failure.kind.may_be_retried() {
            true => self.policy.failed(cx.now, self.random()),
            false => None,
        };
        self.remember(failure, task, delay.is_some(), cx);
        let Some(delay) = delay else {
            let mut last = self.given_up(failure);
            last.message = self.described(&last.message, task);
            return self.stop(Goal::Failed(last), cx);
        };
        self.restarts += 1;
        self.run_again(failed, delay, cx);
    }

    /// Stops regions that have failed, and those that have to run again with them; they wait for a while first.
    pub(super) fn run_again(&mut self, failed: &BTreeSet<RegionId>, delay: Duration, cx: &mut Context) {
        let progress = |region: RegionId| match self.regions[region.0 as usize].stage {
            Stage::Waiting | Stage::Delayed | Stage::Stopping => Progress::Waiting,
            Stage::Placed | Stage::Deployed => Progress::Active,
            Stage::Finished => Progress::Finished,
        };
        let set = restart_set(&self.graph, failed, progress, |region| self.regions[region.0 as usize].settled);
        if self.graph.state() == JobState::Running {
            self.set_state(JobState::Restarting, cx);
        }
        cx.out.at(cx.now + delay, Timer::Restart);
        for region in &set {
            self.drop_results(&self.graph.tasks(*region), cx);
        }
        for region in set {
            if self.region(region).stage == Stage::Waiting {
                continue;
            }
            self.region(region).not_before = cx.now + delay;
            self.restarting.insert(region);
            self.stop_region(region, cx);
        }
    }

    /// The failure, with the reason why it is the last.
    pub(super) fn given_up(&self, failure: &Failure) -> Failure {
        if !failure.kind.may_be_retried() {
            return failure.clone();
        }
        Failure { message: format!("{} ({})", failure.message, self.policy.exhausted()), ..failure.clone() }
    }

    /// A message with the task it is about.
    fn described(&self, message: &str, task: Option<ExecutionId>) -> String {
        let Some(id) = task else { return message.to_owned() };
        let name = self.graph.name(id.vertex);
        let of = format!("'{name}' (subtask {}/{}", id.subtask + 1, self.graph.parallelism(id.vertex));
        match self.place_of(id) {
            Some(place) => {
                format!("{of}, attempt {}, {} on {}): {message}", id.attempt, place.info.id, place.info.host)
            }
            None => format!("{of}, attempt {}): {message}", id.attempt),
        }
    }

    fn place_of(&self, id: ExecutionId) -> Option<&Place> {
        self.graph.current(id).and_then(|execution| execution.place.as_ref())
    }

    /// Adds to the history of failures.
    pub(super) fn remember(&mut self, failure: &Failure, task: Option<ExecutionId>, restarted: bool, cx: &mut Context) {
        let place = task.and_then(|id| self.place_of(id));
        let entry = ExceptionView {
            at: cx.now,
            message: failure.message.as_str().into(),
            operator: failure.operator.as_deref().map(Arc::from),
            task: task.map(|id| (Arc::clone(self.graph.name(id.vertex)), id)),
            task_executor: place.map(|place| place.info.id.clone()),
            host: place.map(|place| Arc::clone(&place.info.host)),
            restarted,
        };
        self.history.add(entry);
    }

    /// The delay of some restarts is over.
    pub(super) fn restart_due(&mut self, cx: &mut Context) {
        let waiting: Vec<RegionId> = self.restarting.iter().copied().collect();
        waiting.into_iter().for_each(|region| self.restart_if_due(region, cx.now));
    }

    /// A worker's tasks that were told to stop may have taken too long: then the worker is ended.
    pub(super) fn cancellation_due(&mut self, worker: WorkerId, cx: &mut Context) {
        let timeout = self.options.cancellation_timeout;
        let hangs = |(_, _, execution): (VertexId, u32, &Execution)| {
            let is_there = execution.place.as_ref().is_some_and(|place| place.worker == worker);
            is_there && execution.canceling_since().is_some_and(|since| cx.now - since >= timeout)
        };
        if self.graph.all_tasks().any(hangs) {
            let seconds = timeout.as_secs_f64();
            let reason = format!("a task has not stopped within {seconds} s (task.cancellation.timeout)");
            cx.pool.stop_worker(worker, reason, cx.out);
        }
    }

    /// A task asks for its next split.
    pub(crate) fn split_requested(&mut self, id: ExecutionId, cx: &mut Context) {
        let runs =
            |execution: &&Execution| execution.state().is_deployed() && execution.state() != TaskState::Canceling;
        let Some(place) = self.graph.current(id).filter(runs).and_then(|execution| execution.place.clone()) else {
            return;
        };
        let Some(assigner) = self.splits.get_mut(&id.vertex) else { return };
        let source = self.graph.graph.vertices[id.vertex.0 as usize].source.as_ref();
        let split = assigner.next(id.subtask, &place.info.host);
        let split = split.zip(source).map(|(at, source)| (at, source.splits[at as usize].clone()));
        let worker = place.worker;
        cx.out.push(JobCommand::AssignSplit { worker, job: self.id, execution: id, split });
    }
}
