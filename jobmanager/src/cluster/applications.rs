//! Applications: runs of programs, with their JobMaster, their workers, and what came of their executions.

use crate::cluster::workers::WorkerHandle;
use crate::cluster::{Cluster, JobEnd, JobRecord, Reply, Timer, log, now};
use flinkrs_control::Timestamp;
use flinkrs_control::dispatcher::{DispatcherEvent, OnClientLoss};
use flinkrs_control::jobmaster::{JobMaster, JobOutcome, JobSubmission, Recovered};
use flinkrs_control::options::JobOptions;
use flinkrs_control::view::JobView;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::AccumulatorValue;
use flinkrs_protocol::{ApplicationId, Failure, FailureKind, JobId, JobState, WorkerId};
use flinkrs_rpc::message::{ExecutionResult, Program, Submission, ToWorker};
use flinkrs_rpc::program::Program as Executable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A run of a program.
pub(crate) struct Application {
    pub(crate) program: Program,
    /// Whether its client waits, and what happens when it is lost.
    pub(crate) attached: Option<OnClientLoss>,
    pub(crate) master: Option<JobMaster>,
    pub(super) workers: BTreeMap<WorkerId, WorkerHandle>,
    /// What came of its executions so far.
    pub(super) history: Vec<Result<ExecutionResult, Failure>>,
    /// Who waits to hear that a job is accepted.
    answers: BTreeMap<JobId, Reply<()>>,
}

/// A job in the store.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredJob {
    program: Program,
    /// Whether the client waits, and whether the job is cancelled when it is lost.
    attached: Option<bool>,
    number: u32,
    submission: Submission,
    submitted_ms: u64,
    history: Vec<Result<ExecutionResult, Failure>>,
}

/// An ended job in the store.
#[derive(Serialize, Deserialize)]
struct StoredOutcome {
    application: ApplicationId,
    number: u32,
    submission: Submission,
    submitted_ms: u64,
    state: JobState,
    result: Result<ExecutionResult, Failure>,
}

impl Application {
    fn new(program: Program, attached: Option<OnClientLoss>) -> Application {
        Application {
            program,
            attached,
            master: None,
            workers: BTreeMap::new(),
            history: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    pub(super) fn stored(&self, record: &JobRecord) -> StoredJob {
        StoredJob {
            program: self.program.clone(),
            attached: self.attached.map(|on_loss| on_loss == OnClientLoss::Cancel),
            number: record.number,
            submission: (*record.submission).clone(),
            submitted_ms: record.submitted.0,
            history: self.history.clone(),
        }
    }
}

impl Cluster {
    /// A program starts.
    pub(super) fn open(
        &mut self,
        program: Program,
        executable: &Executable,
        attached: Option<OnClientLoss>,
    ) -> Result<()> {
        let application = program.application;
        if self.applications.contains_key(&application) {
            return Err(Error::usage(format!("there is an application {application} already; its id has to be new")));
        }
        for (id, task_executor) in &self.task_executors {
            let machine = format!("TaskExecutor {id} on {}", task_executor.host);
            executable.check_glibc(&format!("'{}'", program.name), &machine, task_executor.glibc)?;
        }
        self.applications.insert(application, Application::new(program, attached));
        Ok(())
    }

    /// A program executes; the answer comes when the job is stored.
    pub(super) fn submit(
        &mut self,
        application: ApplicationId,
        job: JobId,
        execution: u32,
        submission: Submission,
        reply: Reply<()>,
    ) {
        if self.jobs.contains_key(&job) {
            let _ = reply.send(Err(Error::usage(format!("there is a job {job} already; its id has to be new"))));
            return;
        }
        let checked = submission.graph.validate().and_then(|()| {
            let of = self.applications.get(&application);
            let of = of.ok_or_else(|| Error::usage(format!("there is no application {application}")))?;
            if of.history.len() + 1 != execution as usize {
                let next = of.history.len() + 1;
                return Err(Error::usage(format!("execution {execution} is submitted; the next one is {next}")));
            }
            let options = JobOptions::of(&self.options.config.with(&submission.settings)?);
            JobRecord::new(application, job, execution, submission, now(), options)
        });
        let record = match checked {
            Ok(record) => record,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        let submitted = submission_of(&record, job, Recovered::No);
        self.jobs.insert(job, record);
        let Some(of) = self.applications.get_mut(&application) else { return };
        of.answers.insert(job, reply);
        let attached = of.attached;
        self.dispatch(DispatcherEvent::Submit { application, submission: submitted, attached });
    }

    /// The Dispatcher has accepted or refused a job.
    pub(super) fn answer(&mut self, job: JobId, answer: Result<()>) {
        let Some(record) = self.jobs.get(&job) else { return };
        let Some(of) = self.applications.get_mut(&record.application) else { return };
        let reply = of.answers.remove(&job);
        if answer.is_err() {
            self.jobs.remove(&job);
        }
        if let Some(reply) = reply {
            let _ = reply.send(answer);
        }
    }

    pub(super) fn start_master(&mut self, application: ApplicationId) {
        // A JobManager that is started again is later than the one before: so are the numbers of its workers.
        let first_worker = now().0 << 16;
        if let Some(of) = self.applications.get_mut(&application) {
            of.master = Some(JobMaster::new(application, first_worker));
        }
    }

    /// A job has ended: the program goes on with what came of it.
    pub(super) fn job_ended(&mut self, application: ApplicationId, outcome: Box<JobOutcome>) {
        let job = outcome.job;
        log(&match &outcome.failure {
            None => format!("job {job} has ended: {}", outcome.state),
            Some(failure) => format!("job {job} has ended: {}: {failure}", outcome.state),
        });
        if let Err(error) = self.store.finish_results(job) {
            log(&format!("results of job {job} can't be read: {error}"));
        }
        if let Some(record) = self.jobs.get_mut(&job) {
            let runtime = Duration::from_millis(now().0.saturating_sub(record.submitted.0));
            let result = match (outcome.state, &outcome.failure) {
                (JobState::Finished, _) => Ok(ExecutionResult {
                    job: Some(job),
                    runtime,
                    accumulators: outcome.accumulators.clone(),
                    loops: record.loops.clone().into_iter().collect(),
                    results: record.submission.results.clone(),
                }),
                (_, Some(failure)) => Err(failure.clone()),
                (_, None) => Err(Failure::new(FailureKind::Lost, format!("job {job} was cancelled"))),
            };
            record.ended = Some(result.clone());
            self.last_end = Some(JobEnd { job, state: outcome.state, failure: outcome.failure.clone() });
            let execution = record.number;
            if let Some(of) = self.applications.get_mut(&application) {
                of.history.push(result.clone());
            }
            self.tell_ended(application, &ToWorker::Ended { execution, result });
        }
        self.dispatch(DispatcherEvent::JobEnded(outcome));
    }

    /// Keeps how a job has ended, and tells who waits for it.
    pub(super) fn store_outcome(&mut self, application: ApplicationId, outcome: &JobOutcome) {
        let job = outcome.job;
        self.tell_followers_of(job);
        let Some(record) = self.jobs.get(&job) else { return };
        let Some(result) = record.ended.clone() else { return };
        let stored = StoredOutcome {
            application,
            number: record.number,
            submission: (*record.submission).clone(),
            submitted_ms: record.submitted.0,
            state: outcome.state,
            result,
        };
        if let Err(error) = self.store.put_outcome(job, &stored) {
            log(&format!("the result of job {job} would not survive a JobManager: {error}"));
        }
    }

    /// A program without jobs has nothing that ends it.
    pub(super) fn client_done(&mut self, application: ApplicationId) {
        if self.applications.get(&application).is_some_and(|of| of.master.is_none()) {
            self.applications.remove(&application);
            self.over_at = self.options.ends_with_application.then(Instant::now);
        }
    }

    /// An application has ended.
    pub(super) fn close(&mut self, application: ApplicationId) {
        self.over_at = self.options.ends_with_application.then(Instant::now);
        self.applications.remove(&application);
        self.timers.remove(&Timer::Job(application));
    }

    /// The options of a job that was accepted under another configuration of the cluster. Where both don't go together
    /// the cluster's count: a JobManager has to start.
    fn recovered_options(&self, job: JobId, settings: &BTreeMap<String, String>) -> JobOptions {
        let config = &self.options.config;
        JobOptions::of(&config.with(settings).unwrap_or_else(|error| {
            log(&format!("job {job} goes on without options of its own: {error}"));
            config.clone()
        }))
    }

    /// Takes up what a JobManager before this one has left.
    pub(super) fn recover(&mut self) -> Result<()> {
        for (job, stored) in self.store.outcomes::<StoredOutcome>()? {
            let StoredOutcome { application, number, submission, submitted_ms, state, result } = stored;
            let options = self.recovered_options(job, &submission.settings);
            let mut record = JobRecord::new(application, job, number, submission, Timestamp(submitted_ms), options)?;
            let failure = result.as_ref().err().cloned();
            self.last_end = Some(JobEnd { job, state, failure: failure.clone() });
            let accumulators = result.as_ref().map(|ok| ok.accumulators.clone()).unwrap_or_default();
            record.ended = Some(result);
            let view = JobView::ended(job, application, record.graph.as_ref(), state, Timestamp(submitted_ms));
            self.jobs.insert(job, record);
            let outcome = Box::new(JobOutcome { job, state, failure, accumulators, view, subtasks: Vec::new() });
            self.dispatch(DispatcherEvent::RecoveredResult { application, execution: number, outcome });
        }
        for (job, stored, commit) in self.store.jobs::<StoredJob, BTreeMap<String, AccumulatorValue>>()? {
            let application = stored.program.application;
            log(&format!("job {job} of application {application} comes back"));
            let options = self.recovered_options(job, &stored.submission.settings);
            let submitted = Timestamp(stored.submitted_ms);
            let record = JobRecord::new(application, job, stored.number, stored.submission, submitted, options)?;
            if commit.is_none() {
                // It starts anew, with attempts that have the same numbers.
                self.store.remove_results(job)?;
            }
            self.store.restore_artifact(&stored.program.artifact)?;
            let recovered = commit.map_or(Recovered::Running, Recovered::Committing);
            let submission = submission_of(&record, job, recovered);
            self.jobs.insert(job, record);
            let on_loss = |cancel| if cancel { OnClientLoss::Cancel } else { OnClientLoss::GoOn };
            let attached = stored.attached.map(on_loss);
            let mut of = Application::new(stored.program, attached);
            of.history = stored.history;
            self.applications.insert(application, of);
            self.dispatch(DispatcherEvent::Recovered { application, submission, attached });
        }
        if self.options.ends_with_application && self.applications.is_empty() && self.last_end.is_some() {
            // What it was there for has been done; its client may still want the results.
            self.over_at = Some(Instant::now() + self.options.dispatcher.client_timeout);
        }
        Ok(())
    }
}

fn submission_of(record: &JobRecord, job: JobId, recovered: Recovered) -> JobSubmission {
    JobSubmission {
        job,
        execution: record.number,
        graph: std::sync::Arc::clone(&record.graph),
        has_sinks: record.submission.has_sinks,
        options: record.options.clone(),
        recovered,
    }
}
