//! Programs that submit jobs one after another, wait for each, and may be lost.

use crate::graphs;
use crate::world::{Action, World};
use flinkrs_control::dispatcher::{DispatcherEvent, OnClientLoss};
use flinkrs_control::jobmaster::{JobSubmission, Recovered};
use flinkrs_control::options::{JobOptions, RestartStrategy};
use flinkrs_protocol::{ApplicationId, JobGraph, JobId, JobState};
use std::sync::Arc;
use std::time::Duration;

/// A program that is being run.
pub(crate) struct Client {
    /// Its application.
    pub(crate) application: ApplicationId,
    /// Its jobs.
    pub(crate) jobs: Vec<Planned>,
    /// Which of them is next or runs.
    pub(crate) at: usize,
    attached: Option<OnClientLoss>,
    /// Whether it is still there.
    pub(crate) alive: bool,
}

/// A job of a client.
pub(crate) struct Planned {
    /// As it is submitted.
    pub(crate) submission: JobSubmission,
    /// Whether it may fail: its restarts are limited.
    pub(crate) is_limited: bool,
    /// Whether somebody has cancelled it.
    pub(crate) cancelled: bool,
}

impl Client {
    /// The graph of one of its jobs.
    pub(crate) fn graph(&self, job: JobId) -> Option<Arc<JobGraph>> {
        self.jobs.iter().find(|of| of.submission.job == job).map(|of| Arc::clone(&of.submission.graph))
    }
}

impl World {
    /// A client with one to three jobs; detached ones have one.
    pub(crate) fn add_client(&mut self, number: usize, most: u64, hosts: &[String]) {
        let attached = *self.rng.pick(&[None, Some(OnClientLoss::GoOn), Some(OnClientLoss::Cancel)]);
        let count = if attached.is_none() { 1 } else { self.rng.range(1, 3) as usize };
        let jobs = (0..count).map(|execution| self.plan(number, execution, most, hosts)).collect();
        let application = ApplicationId(number as u128 + 1);
        self.clients.push(Client { application, jobs, at: 0, attached, alive: true });
        let delay = self.rng.range(0, 5_000);
        self.after(delay, Action::Client(number));
    }

    fn plan(&mut self, client: usize, execution: usize, most: u64, hosts: &[String]) -> Planned {
        let job = JobId((client * 10 + execution + 1) as u128);
        let name = format!("job{}", job.0);
        let is_limited = self.rng.chance(20);
        let submission = JobSubmission {
            job,
            execution: execution as u32 + 1,
            graph: Arc::new(graphs::random(&mut self.rng, &name, most, hosts)),
            has_sinks: self.rng.chance(70),
            options: JobOptions {
                restart: self.strategy(is_limited),
                slot_request_timeout: Duration::from_secs(300),
                slot_idle_timeout: Duration::from_secs(self.rng.range(2, 20)),
                worker_start_timeout: Duration::from_secs(5),
                cancellation_timeout: Duration::from_secs(3),
                abort_timeout: Duration::from_secs(30),
                ..JobOptions::default()
            },
            recovered: Recovered::No,
        };
        Planned { submission, is_limited, cancelled: false }
    }

    fn strategy(&mut self, is_limited: bool) -> RestartStrategy {
        let delay = Duration::from_millis(self.rng.range(0, 2_000));
        match (is_limited, self.rng.range(0, 2)) {
            (true, 0) => RestartStrategy::None,
            (true, 1) => RestartStrategy::FixedDelay { attempts: 2, delay },
            (true, _) => RestartStrategy::FailureRate { max_failures: 2, interval: Duration::from_secs(5), delay },
            (false, 0) => RestartStrategy::ExponentialDelay {
                initial: Duration::from_millis(100),
                max: Duration::from_secs(5),
                multiplier: 1.5,
                reset_threshold: Duration::from_secs(60),
                jitter: 0.1,
                attempts: None,
            },
            (false, _) => RestartStrategy::FixedDelay { attempts: u32::MAX, delay },
        }
    }

    /// A client looks after its jobs.
    pub(crate) fn client_acts(&mut self, number: usize) {
        let client = &self.clients[number];
        let (application, attached) = (client.application, client.attached);
        if !client.alive {
            return;
        }
        let delay = self.rng.range(100, 1_000);
        self.after(delay, Action::Client(number));
        if self.jm.is_none() {
            return;
        }
        let client = &mut self.clients[number];
        let Some(planned) = client.jobs.get(client.at) else {
            client.alive = false;
            return self.jm_dispatch(DispatcherEvent::ClientDone { application });
        };
        let job = planned.submission.job;
        if self.store.results.contains_key(&job) {
            client.at += 1;
            if attached.is_none() {
                client.alive = false;
            }
            return;
        }
        if !self.store.jobs.contains_key(&job) {
            let submission = planned.submission.clone();
            self.say(|| format!("job {} is submitted: {}", job.0, graphs::brief(&submission.graph)));
            return self.jm_dispatch(DispatcherEvent::Submit { application, submission, attached });
        }
        if attached.is_some() {
            self.jm_dispatch(DispatcherEvent::ClientHeartbeat { application });
        }
        if self.is_stormy() && self.rng.chance(1) {
            self.say(|| format!("job {} is cancelled", job.0));
            let client = &mut self.clients[number];
            client.jobs[client.at].cancelled = true;
            self.jm_dispatch(DispatcherEvent::Cancel { job });
        } else if self.is_stormy() && attached.is_some() && self.rng.chance(1) {
            self.say(|| format!("the client of {} is killed", application.0));
            let client = &mut self.clients[number];
            client.alive = false;
            client.jobs[client.at].cancelled |= attached == Some(OnClientLoss::Cancel);
            self.jm_dispatch(DispatcherEvent::ClientLost { application });
        }
    }

    /// Whether a job may end in that state.
    pub(crate) fn may_end(&self, job: JobId, state: JobState) -> bool {
        let planned = self.clients.iter().flat_map(|client| &client.jobs).find(|of| of.submission.job == job);
        let planned = planned.expect("a job comes from a client");
        match state {
            JobState::Finished => true,
            JobState::Failed => planned.is_limited,
            JobState::Canceled => planned.cancelled,
            _ => false,
        }
    }
}
