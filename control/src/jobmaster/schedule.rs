//! Regions whose input is there get slots, in topological order; a job that lacks slots says which.

use crate::jobmaster::job::{Context, Goal, Job, Lacking, Stage, Starving};
use crate::jobmaster::sinks::Phase;
use crate::jobmaster::timers::Timer;
use crate::jobmaster::{Capacity, JobCommand};
use crate::regions::{Lane, RegionId, is_forward};
use crate::scheduler::counted;
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{Failure, FailureKind, JobState};
use std::sync::Arc;

impl Job {
    /// Lets a region compete for slots if it waits and its input is there.
    pub(super) fn offer(&mut self, region: RegionId) {
        if self.regions[region.0 as usize].stage == Stage::Waiting && self.graph.is_ready(region) {
            let component = self.graph.regions.component_of(region);
            self.ready[component].insert(region);
        }
    }

    /// Offers the regions that read what a subtask has just finished.
    pub(super) fn offer_consumers(&mut self, vertex: VertexId, subtask: u32) {
        let mut offered = Vec::new();
        for (_, edge) in self.graph.outputs(vertex).filter(|(_, edge)| self.graph.regions.crosses(edge)) {
            let regions = self.graph.regions.of_vertex(edge.to);
            if is_forward(edge) && regions.len() > 1 {
                offered.push(self.graph.regions.of(edge.to, subtask));
            } else if (0..if is_forward(edge) { self.graph.parallelism(edge.to) } else { 1 })
                .all(|consumer| self.graph.is_readable(edge, consumer))
            {
                offered.extend(regions.map(RegionId));
            }
        }
        offered.into_iter().for_each(|region| self.offer(region));
    }

    /// Places what can be placed, and deploys what has its workers.
    pub(super) fn schedule(&mut self, cx: &mut Context) {
        for component in 0..self.ready.len() {
            while let Some(region) = self.ready[component].first().copied() {
                if !self.graph.is_ready(region) || self.regions[region.0 as usize].stage != Stage::Waiting {
                    self.ready[component].remove(&region);
                    continue;
                }
                if !self.slots.has(&self.graph.regions.components()[component]) {
                    break;
                }
                self.ready[component].remove(&region);
                let slots = self.choose(component, region, cx);
                self.place(region, slots, cx);
            }
        }
        self.deploy(cx);
        self.note_starving(cx);
        if self.restarting.is_empty() && self.graph.state() == JobState::Restarting {
            self.set_state(JobState::Running, cx);
        }
    }

    /// The slots of a region: near its finished inputs or its splits, where there is a choice.
    fn choose(&mut self, at: usize, region: RegionId, cx: &mut Context) -> Vec<(u32, u32)> {
        let component = self.graph.regions.components()[at].clone();
        let first = if component.whole { 0 } else { region.0 - component.regions.start };
        if component.slots > 1 {
            let of = |lane: &Lane| {
                let subtasks = first..first + lane.slots;
                subtasks.map(|subtask| self.input_of(&lane.vertices, subtask)).collect::<Vec<_>>()
            };
            let preferred: Vec<Option<u32>> = component.lanes.iter().flat_map(of).collect();
            return self.slots.take_all(&component, &preferred);
        }
        let input = self.input_of(&component.vertices, first);
        let sources = component.vertices.iter().filter_map(|vertex| self.splits.get(vertex));
        let near = sources.flat_map(|splits| splits.near_hosts()).flat_map(|host| cx.pool.on_host(host));
        self.slots.take(component.first_lane, input.into_iter().chain(near)).into_iter().collect()
    }

    /// The TaskExecutor with what subtask `subtask` of some vertex reads from a finished subtask of the same number.
    fn input_of(&self, vertices: &[VertexId], subtask: u32) -> Option<u32> {
        let of = vertices.iter().filter(|vertex| subtask < self.graph.parallelism(**vertex));
        let edges = of.flat_map(|vertex| self.graph.inputs(*vertex));
        let mut forward = edges.filter(|(_, edge)| self.graph.regions.crosses(edge) && is_forward(edge));
        forward.find_map(|(_, edge)| self.graph.execution(edge.from, subtask).results)
    }

    /// Notes when a region began to wait for more slots than the application has.
    fn note_starving(&mut self, cx: &mut Context) {
        let lacking = self.ready.iter().enumerate().find_map(|(at, ready)| {
            let component = &self.graph.regions.components()[at];
            let lacks = !ready.is_empty() && component.slots as usize > self.slots.len();
            lacks.then(|| Lacking {
                slots: component.slots,
                needs: self.graph.regions.needs(component),
                name: Arc::clone(self.graph.name(component.vertices[0])),
            })
        });
        self.set_starving(lacking, cx);
    }

    pub(super) fn set_starving(&mut self, lacking: Option<Lacking>, cx: &mut Context) {
        let Some(lacking) = lacking else {
            self.starving = None;
            return;
        };
        let since = self.starving.as_ref().map_or(cx.now, |starving| starving.since);
        if self.starving.is_none() {
            cx.out.at(cx.now + self.options.slot_request_timeout, Timer::Slots);
        }
        if !self.idle_timer {
            self.idle_timer = true;
            cx.out.at(cx.now + self.options.slot_idle_timeout, Timer::IdleSlots);
        }
        self.starving = Some(Starving { since, lacking });
    }

    /// What the job waits for, if it lacks slots.
    pub(crate) fn waiting_for(&self, capacity: Capacity) -> Option<String> {
        let starving = self.starving.as_ref()?;
        let is_one = |count: usize| if count == 1 { "is" } else { "are" };
        let executors = capacity.task_executors;
        Some(format!(
            "region of '{}' needs {}, {} {} there, {} {} registered with {}",
            starving.lacking.name,
            starving.lacking.needs,
            self.slots.len(),
            is_one(self.slots.len()),
            counted(executors, "TaskExecutor"),
            is_one(executors as usize),
            counted(capacity.free_slots, "free slot"),
        ))
    }

    fn needed(&self) -> u32 {
        self.starving.as_ref().map_or(0, |starving| starving.lacking.slots)
    }

    /// Time has passed while slots are missing.
    pub(super) fn slots_due(&mut self, capacity: Capacity, cx: &mut Context) {
        let Some(since) = self.starving.as_ref().map(|starving| starving.since) else { return };
        let is_queue = capacity.slots >= self.needed() || self.phase == Phase::Committing;
        if cx.now - since >= self.options.slot_request_timeout && is_queue {
            // There are enough, and others have them: this is a queue, and moves on. Or there is no way back.
            self.starving.iter_mut().for_each(|starving| starving.since = cx.now);
            cx.out.at(cx.now + self.options.slot_request_timeout, Timer::Slots);
        } else if cx.now - since >= self.options.slot_request_timeout {
            let waited = self.options.slot_request_timeout.as_secs_f64();
            let message = format!(
                "{}; waited for {waited} s (slot.request.timeout); start more TaskExecutors, or lower the parallelism",
                self.waiting_for(capacity).unwrap_or_default()
            );
            self.stop(Goal::Failed(Failure::new(FailureKind::Resource, message)), cx);
        }
    }

    /// The job can't have what it needs.
    pub(crate) fn abandon(&mut self, message: String, cx: &mut Context) {
        if self.phase != Phase::Committing {
            self.stop(Goal::Failed(Failure::new(FailureKind::Resource, message)), cx);
        }
    }

    /// Gives slots back that are kept for nothing: two jobs that have some slots each, and neither enough, would wait
    /// for each other.
    pub(super) fn idle_slots_due(&mut self, cx: &mut Context) {
        self.idle_timer = false;
        let waited = self.starving.as_ref().is_some_and(|of| cx.now - of.since >= self.options.slot_idle_timeout);
        if waited && self.phase == Phase::Running && self.slots.is_idle() && self.slots.len() > 0 {
            let executors: Vec<u32> = cx.pool.executors().map(|(number, _)| number).collect();
            executors.into_iter().for_each(|executor| self.slots.remove_executor(executor));
            cx.pool.release_all(cx.out);
        }
    }

    /// Tells everybody who may have partitions of the job that they aren't needed any more.
    pub(super) fn release_partitions(&mut self, cx: &mut Context) {
        for executor in std::mem::take(&mut self.touched) {
            let Some(executor) = cx.pool.executor(executor) else { continue };
            let task_executor = executor.info.id.clone();
            cx.out.push(JobCommand::ReleasePartitions { task_executor, job: self.id, partitions: None });
        }
    }
}
