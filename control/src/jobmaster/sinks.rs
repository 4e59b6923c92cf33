//! The phases of a job around its tasks: sinks are begun before, committed after, or aborted instead.
//!
//! Each of these calls runs in one worker and is repeated in another when that one is lost. Before the commit it is
//! recorded that there will be one, so that a JobManager that is started again commits, and doesn't run the job a
//! second time.

use crate::jobmaster::JobCommand;
use crate::jobmaster::job::{Context, Goal, Job, Lacking};
use crate::jobmaster::timers::Timer;
use crate::regions::RegionId;
use crate::scheduler::counted;
use flinkrs_core::types::hash_key;
use flinkrs_protocol::{Failure, FailureKind, JobState, WorkerId};
use std::sync::Arc;
use std::time::Duration;

/// How long before a commit is tried again when the restart strategy has no more restarts.
const COMMIT_DELAY: Duration = Duration::from_secs(1);

/// What a job is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A worker prepares the sinks.
    Beginning,
    /// Regions run.
    Running,
    /// The store is told that the sinks will be committed.
    Recording,
    /// A worker commits the sinks.
    Committing,
    /// Tasks are being stopped.
    Stopping,
    /// A worker removes what the sinks wrote.
    Aborting,
    /// The end.
    Ended,
}

impl Job {
    /// Goes on as far as possible; comes after each event.
    pub(crate) fn drive(&mut self, cx: &mut Context) {
        match self.phase {
            Phase::Beginning if !self.has_sinks => self.begun(cx),
            Phase::Beginning | Phase::Committing | Phase::Aborting if self.sink_call.is_none() => self.call_sinks(cx),
            Phase::Running => {
                self.schedule(cx);
                if self.unfinished == 0 {
                    self.finish(cx);
                }
            }
            Phase::Stopping if self.active == 0 && self.sink_call.is_none() => self.stopped(cx),
            _ => {}
        }
    }

    /// Asks a worker to begin, commit or abort, as the phase is.
    fn call_sinks(&mut self, cx: &mut Context) {
        if cx.now < self.calm_until {
            return;
        }
        if self.phase == Phase::Committing && !self.has_sinks {
            return self.end(JobState::Finished, cx);
        }
        let Some(worker) = cx.pool.ready_worker() else {
            self.start_workers(cx);
            let lacking = (cx.pool.slot_count() == 0).then(|| Lacking {
                slots: 1,
                needs: counted(1, "slot"),
                name: Arc::from(self.graph.graph.name.as_str()),
            });
            return self.set_starving(lacking, cx);
        };
        self.starving = None;
        self.sink_call = Some(worker);
        let job = self.id;
        cx.out.push(match self.phase {
            Phase::Beginning => JobCommand::BeginSinks { worker, job },
            Phase::Committing => JobCommand::CommitSinks { worker, job },
            _ => JobCommand::AbortSinks { worker, job },
        });
        self.sinks_begun = true;
    }

    fn begun(&mut self, cx: &mut Context) {
        self.phase = Phase::Running;
        (0..self.graph.regions.count()).for_each(|region| self.offer(RegionId(region)));
        self.drive(cx);
    }

    /// All tasks have finished.
    fn finish(&mut self, cx: &mut Context) {
        if let Err(failure) = self.merge_accumulators() {
            return self.stop(Goal::Failed(failure), cx);
        }
        if self.has_sinks {
            self.phase = Phase::Recording;
            let accumulators = self.accumulators.clone();
            cx.out.push(JobCommand::RecordCommit { job: self.id, accumulators });
        } else {
            self.end(JobState::Finished, cx);
        }
    }

    fn merge_accumulators(&mut self) -> Result<(), Failure> {
        self.accumulators.clear();
        for (_, _, execution) in self.graph.all_tasks() {
            for (name, value) in &execution.accumulators {
                let Some(sum) = self.accumulators.get_mut(name) else {
                    self.accumulators.insert(name.clone(), value.clone());
                    continue;
                };
                if !sum.merge(value) {
                    let message = format!("accumulator '{name}' is of two kinds in one job");
                    return Err(Failure::new(FailureKind::Function, message));
                }
            }
        }
        Ok(())
    }

    /// A worker has begun the sinks, or couldn't.
    pub(crate) fn sinks_begun(&mut self, worker: WorkerId, result: Result<(), Failure>, cx: &mut Context) {
        if self.sink_call != Some(worker) || !matches!(self.phase, Phase::Beginning | Phase::Stopping) {
            return;
        }
        self.sink_call = None;
        match result {
            _ if self.phase == Phase::Stopping => {}
            Ok(()) => self.begun(cx),
            Err(failure) => self.fail_for_good(failure, cx),
        }
    }

    /// The store has recorded the commit, or couldn't.
    pub(crate) fn commit_recorded(&mut self, result: Result<(), Failure>, cx: &mut Context) {
        if self.phase != Phase::Recording {
            return;
        }
        match result {
            Ok(()) => self.phase = Phase::Committing,
            Err(failure) => self.fail_for_good(failure, cx),
        }
    }

    /// A worker has committed the sinks, or couldn't.
    pub(crate) fn sinks_committed(&mut self, worker: WorkerId, result: Result<(), Failure>, cx: &mut Context) {
        if self.sink_call != Some(worker) || self.phase != Phase::Committing {
            return;
        }
        self.sink_call = None;
        match result {
            Ok(()) => self.end(JobState::Finished, cx),
            Err(failure) => self.fail_for_good(failure, cx),
        }
    }

    /// A worker has aborted the sinks.
    pub(crate) fn sinks_aborted(&mut self, worker: WorkerId, cx: &mut Context) {
        if self.sink_call == Some(worker) && self.phase == Phase::Aborting {
            self.sink_call = None;
            self.end_as_meant(cx);
        }
    }

    /// The worker that was asked to begin, commit or abort is lost, or one that was to be asked didn't start: it is
    /// tried again as the restart strategy says.
    pub(super) fn sink_worker_lost(&mut self, failure: &Failure, cx: &mut Context) {
        self.sink_call = None;
        if !matches!(self.phase, Phase::Beginning | Phase::Committing) {
            return;
        }
        let delay = match self.policy.failed(cx.now, self.random()) {
            // The commit may have been done already: there is no way back, however often it takes.
            None if self.phase == Phase::Committing => Some(COMMIT_DELAY),
            delay => delay,
        };
        match delay {
            Some(delay) if failure.kind.may_be_retried() => {
                self.calm_until = cx.now + delay;
                cx.out.at(self.calm_until, Timer::Restart);
                self.remember(failure, None, true, cx);
            }
            _ => self.fail_for_good(self.given_up(failure), cx),
        }
    }

    /// A number from 0 to 1 that differs from job to job and from failure to failure.
    pub(super) fn random(&self) -> f64 {
        let hash = hash_key(&(self.id.0 as u64, self.restarts));
        (hash >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Fails without asking the restart strategy. What a commit has made visible, if only in part, stays as it is.
    fn fail_for_good(&mut self, failure: Failure, cx: &mut Context) {
        self.sinks_begun &= self.phase != Phase::Committing;
        self.remember(&failure, None, false, cx);
        self.stop(Goal::Failed(failure), cx);
    }

    /// Somebody wants the job cancelled. A job whose commit has been decided ends as it would.
    pub(crate) fn cancel(&mut self, cx: &mut Context) {
        if matches!(self.phase, Phase::Beginning | Phase::Running) {
            self.stop(Goal::Canceled, cx);
        }
    }

    /// Stops all tasks, to end in another way than well.
    pub(super) fn stop(&mut self, goal: Goal, cx: &mut Context) {
        if self.goal.is_some() || self.phase == Phase::Ended {
            return;
        }
        let state = if matches!(goal, Goal::Canceled) { JobState::Cancelling } else { JobState::Failing };
        self.goal = Some(goal);
        self.set_state(state, cx);
        self.phase = Phase::Stopping;
        self.starving = None;
        self.restarting.clear();
        self.ready.iter_mut().for_each(|ready| ready.clear());
        (0..self.graph.regions.count()).for_each(|region| self.stop_region(RegionId(region), cx));
        self.drive(cx);
    }

    fn stopped(&mut self, cx: &mut Context) {
        if self.has_sinks && self.sinks_begun {
            self.phase = Phase::Aborting;
            self.calm_until = cx.now;
            cx.out.at(cx.now + self.options.abort_timeout, Timer::Abort);
            self.drive(cx);
        } else {
            self.end_as_meant(cx);
        }
    }

    /// The time to abort the sinks is over.
    pub(super) fn abort_due(&mut self, cx: &mut Context) {
        if self.phase != Phase::Aborting {
            return;
        }
        let seconds = self.options.abort_timeout.as_secs_f64();
        let message =
            format!("no worker was there for {seconds} s to remove what the sinks wrote: it may have stayed behind");
        self.remember(&Failure::new(FailureKind::Resource, message), None, false, cx);
        self.end_as_meant(cx);
    }

    fn end_as_meant(&mut self, cx: &mut Context) {
        let state = if matches!(self.goal, Some(Goal::Canceled)) { JobState::Canceled } else { JobState::Failed };
        self.end(state, cx);
    }

    fn end(&mut self, state: JobState, cx: &mut Context) {
        self.set_state(state, cx);
        self.phase = Phase::Ended;
        self.release_partitions(cx);
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }
}
