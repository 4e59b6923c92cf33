//! What a lost TaskExecutor had of finished tasks: files, which are still there when its process was killed. The next
//! TaskExecutor on that machine comes with them; until then, or until that takes too long, nobody writes them again.

use crate::execution_graph::Execution;
use crate::failover::is_needed;
use crate::jobmaster::JobCommand;
use crate::jobmaster::job::{Context, Job, Stage};
use crate::jobmaster::sinks::Phase;
use crate::jobmaster::timers::Timer;
use crate::regions::{RegionId, is_blocking, is_forward};
use crate::time::Timestamp;
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{ExecutionId, Failure, PartitionId, TaskState};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Finished partitions that may come back.
#[derive(Clone, Debug)]
pub(super) struct Absence {
    /// Until when they are waited for.
    until: Timestamp,
    /// Why they are out of reach.
    failure: Failure,
    /// Whether the restart strategy knows of that.
    pub(super) counted: bool,
}

impl Job {
    /// The finished partitions of a TaskExecutor are out of reach.
    pub(super) fn results_absent(&mut self, executor: u32, failure: &Failure, cx: &mut Context) {
        let here = |execution: &Execution| execution.results == Some(executor);
        let absent = self.tasks_with(here);
        if absent.is_empty() {
            return;
        }
        let until = cx.now + self.options.partition_return_timeout;
        cx.out.at(until, Timer::Absence);
        self.absences.insert(executor, Absence { until, failure: failure.clone(), counted: false });
        for (vertex, subtask) in &absent {
            self.graph.miss_results(*vertex, *subtask);
            self.forget_producers(*vertex);
        }
        for region in self.readers(&absent) {
            match self.regions[region.0 as usize].stage {
                // It may have read all of it by now.
                Stage::Deployed => self.region(region).bereft = true,
                Stage::Placed => self.stop_region(region, cx),
                _ => {}
            }
        }
    }

    /// The regions that read what some tasks have written for others.
    fn readers(&self, tasks: &[(VertexId, u32)]) -> BTreeSet<RegionId> {
        let (mut seen, mut readers) = (BTreeSet::new(), BTreeSet::new());
        for (vertex, subtask) in tasks {
            for (at, edge) in self.graph.outputs(*vertex).filter(|(_, edge)| self.graph.regions.crosses(edge)) {
                if is_forward(edge) {
                    readers.insert(self.graph.regions.of(edge.to, *subtask));
                } else if seen.insert(at) {
                    readers.extend(self.graph.regions.of_vertex(edge.to).map(RegionId));
                }
            }
        }
        readers
    }

    /// A TaskExecutor has partitions of the job that another has had: present attempts' are there, others of no use.
    pub(crate) fn partitions_found(&mut self, executor: u32, partitions: Vec<PartitionId>, cx: &mut Context) {
        let mut found: BTreeMap<ExecutionId, BTreeSet<u32>> = BTreeMap::new();
        let mut useless = Vec::new();
        for partition in partitions {
            let PartitionId { edge, subtask, attempt } = partition;
            match self.graph.graph.edges.get(edge as usize) {
                Some(of) => {
                    found.entry(ExecutionId { vertex: of.from, subtask, attempt }).or_default().insert(edge);
                }
                None => useless.push(partition),
            }
        }
        let mut moved = Vec::new();
        for (id, edges) in found {
            if self.is_wanted(id, &edges, executor) {
                moved.extend(self.graph.current(id).filter(|of| of.results.is_some()).map(|_| (id.vertex, id.subtask)));
                self.graph.return_results(id.vertex, id.subtask, executor);
                self.forget_producers(id.vertex);
                self.touched.insert(executor);
                self.offer_consumers(id.vertex, id.subtask);
            } else {
                let of = |edge| PartitionId { edge, subtask: id.subtask, attempt: id.attempt };
                useless.extend(edges.into_iter().map(of));
            }
        }
        // The TaskExecutor that had them is lost without its being known yet.
        self.readers(&moved).into_iter().for_each(|region| self.region(region).bereft = true);
        if !useless.is_empty() {
            let task_executor = cx.pool.known(executor).info.id.clone();
            let partitions = Some(useless);
            cx.out.push(JobCommand::ReleasePartitions { task_executor, job: self.id, partitions });
        }
    }

    /// Whether an attempt has finished, its results aren't on that TaskExecutor, and these edges are all that it has
    /// written to.
    fn is_wanted(&self, id: ExecutionId, edges: &BTreeSet<u32>, executor: u32) -> bool {
        let misses = |of: &Execution| of.state() == TaskState::Finished && of.results != Some(executor);
        let region = || self.graph.regions.of(id.vertex, id.subtask);
        let mut written = self.graph.outputs(id.vertex).filter(|(_, edge)| is_blocking(edge));
        self.phase == Phase::Running
            && self.goal.is_none()
            && self.graph.current(id).is_some_and(misses)
            && self.regions[region().0 as usize].stage != Stage::Stopping
            && written.all(|(edge, _)| edges.contains(&(edge as u32)))
    }

    /// What has been out of reach for too long is gone, and made again if it is needed.
    pub(super) fn absence_due(&mut self, cx: &mut Context) {
        let due: Vec<(u32, Absence)> = self.absences.extract_if(.., |_, absence| absence.until <= cx.now).collect();
        for (executor, absence) in due {
            let lost = self.tasks_with(|execution| execution.absent == Some(executor));
            let mut failed: BTreeMap<RegionId, ExecutionId> = BTreeMap::new();
            for (vertex, subtask) in lost {
                self.graph.execution_mut(vertex, subtask).absent = None;
                let region = self.graph.regions.of(vertex, subtask);
                let is_stopping = |region: RegionId| self.regions[region.0 as usize].stage == Stage::Stopping;
                if !is_stopping(region) && is_needed(&self.graph, vertex, subtask, is_stopping) {
                    failed.entry(region).or_insert_with(|| self.graph.id(vertex, subtask));
                }
            }
            let Some((_, first)) = failed.first_key_value().map(|(region, id)| (*region, *id)) else { continue };
            let regions = failed.into_keys().collect();
            if absence.counted && self.goal.is_none() {
                self.run_again(&regions, Duration::ZERO, cx);
            } else {
                self.fail(&regions, &absence.failure, Some(first), cx);
            }
        }
    }

    fn tasks_with(&self, is: impl Fn(&Execution) -> bool) -> Vec<(VertexId, u32)> {
        let of = |(vertex, subtask, execution): (VertexId, u32, &Execution)| is(execution).then_some((vertex, subtask));
        self.graph.all_tasks().filter_map(of).collect()
    }
}
