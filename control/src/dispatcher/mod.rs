//! The Dispatcher: applications and their jobs, from acceptance to the list of finished ones.

mod message;

pub use message::{DispatcherCommand, DispatcherEvent, JobLine, OnClientLoss};

use crate::jobmaster::{JobOutcome, JobSubmission, Recovered};
use crate::options::DispatcherOptions;
use crate::time::Timestamp;
use flinkrs_protocol::{ApplicationId, JobId, JobState};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The decisions about jobs and clients.
pub struct Dispatcher {
    options: DispatcherOptions,
    jobs: BTreeMap<JobId, JobLine>,
    /// How jobs have ended.
    outcomes: BTreeMap<JobId, Arc<JobOutcome>>,
    /// Jobs that have ended, the oldest first.
    finished: VecDeque<JobId>,
    applications: BTreeMap<ApplicationId, Application>,
    wake_at: Option<Timestamp>,
    commands: Vec<DispatcherCommand>,
}

/// A run of a program.
struct Application {
    /// The job that runs.
    current: Option<JobId>,
    /// The last execution that was submitted.
    execution: u32,
    client: Client,
    closing: bool,
}

/// The client of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    /// It waits, and was last heard of then.
    Attached(OnClientLoss, Timestamp),
    /// There will be no more jobs: it has detached, has ended, or is lost.
    Gone,
}

impl Dispatcher {
    /// No jobs yet.
    pub fn new(options: DispatcherOptions) -> Dispatcher {
        Dispatcher {
            options,
            jobs: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            finished: VecDeque::new(),
            applications: BTreeMap::new(),
            wake_at: None,
            commands: Vec::new(),
        }
    }

    /// All jobs that are known, by id.
    pub fn jobs(&self) -> impl Iterator<Item = &JobLine> {
        self.jobs.values()
    }

    /// One job.
    pub fn job(&self, job: JobId) -> Option<&JobLine> {
        self.jobs.get(&job)
    }

    /// How a job has ended, if it has and that is still kept.
    pub fn outcome(&self, job: JobId) -> Option<&Arc<JobOutcome>> {
        self.outcomes.get(&job)
    }

    /// The applications that have a JobMaster.
    pub fn applications(&self) -> impl Iterator<Item = ApplicationId> {
        self.applications.keys().copied()
    }

    /// Takes in what has happened, and says what is to be done.
    pub fn handle(&mut self, event: DispatcherEvent, now: Timestamp) -> Vec<DispatcherCommand> {
        match event {
            DispatcherEvent::Submit { application, submission, attached } => {
                self.submit(application, submission, attached, now);
            }
            DispatcherEvent::Recovered { application, submission, attached } => {
                self.start(application, submission, attached, now);
            }
            DispatcherEvent::RecoveredResult { application, execution, outcome } => {
                self.keep(application, execution, Arc::from(outcome), now);
            }
            DispatcherEvent::ClientHeartbeat { application } => {
                if let Some(of) = self.applications.get_mut(&application)
                    && let Client::Attached(policy, _) = of.client
                {
                    of.client = Client::Attached(policy, now);
                }
            }
            DispatcherEvent::ClientLost { application } => self.client_lost(application),
            DispatcherEvent::ClientDone { application } => self.client_gone(application),
            DispatcherEvent::Cancel { job } => self.cancel(job),
            DispatcherEvent::JobChanged { job, state } => {
                if let Some(line) = self.jobs.get_mut(&job) {
                    line.state = state;
                }
            }
            DispatcherEvent::JobEnded(outcome) => self.ended(Arc::from(outcome), now),
            DispatcherEvent::ApplicationClosed { application } => drop(self.applications.remove(&application)),
            DispatcherEvent::Tick => self.tick(now),
        }
        self.wake();
        std::mem::take(&mut self.commands)
    }

    fn submit(
        &mut self,
        application: ApplicationId,
        submission: JobSubmission,
        attached: Option<OnClientLoss>,
        now: Timestamp,
    ) {
        let job = submission.job;
        if let Some(message) = self.objection(application, &submission) {
            self.commands.push(DispatcherCommand::Refused { application, job, message });
            return;
        }
        let stored = submission.clone();
        self.commands.push(DispatcherCommand::StoreJob { application, submission: stored, attached });
        self.commands.push(DispatcherCommand::Accepted { application, job });
        self.start(application, submission, attached, now);
    }

    /// Why a job can't be accepted.
    fn objection(&self, application: ApplicationId, submission: &JobSubmission) -> Option<String> {
        let job = submission.job;
        if let Some(line) = self.jobs.get(&job) {
            return Some(format!("job {job} has been submitted already: it is '{}', {}", line.name, line.state));
        }
        if let Some(of) = self.applications.get(&application) {
            if let Some(current) = of.current {
                return Some(format!("application {application} still runs job {current}: it has one job at a time"));
            }
            if of.closing || of.client == Client::Gone {
                return Some(format!("application {application} has ended: start the program again"));
            }
            if submission.execution <= of.execution {
                let (this, last) = (submission.execution, of.execution);
                return Some(format!("job {job} is execution {this} of its program, after execution {last}"));
            }
        }
        submission.graph.validate().err().map(|error| format!("the job graph can't be run: {error}"))
    }

    fn start(
        &mut self,
        application: ApplicationId,
        submission: JobSubmission,
        attached: Option<OnClientLoss>,
        now: Timestamp,
    ) {
        let (job, execution) = (submission.job, submission.execution);
        let client = attached.map_or(Client::Gone, |policy| Client::Attached(policy, now));
        let of = self.applications.entry(application).or_insert_with(|| {
            self.commands.push(DispatcherCommand::StartApplication { application });
            Application { current: None, execution, client, closing: false }
        });
        (of.current, of.execution, of.client) = (Some(job), execution, client);
        let line = JobLine {
            job,
            application,
            execution,
            name: submission.graph.name.as_str().into(),
            state: JobState::Initializing,
            recovered: submission.recovered != Recovered::No,
            started: now,
            ended: None,
            last_view: None,
        };
        self.jobs.insert(job, line);
        self.commands.push(DispatcherCommand::StartJob { application, submission });
    }

    /// A client is lost: its job goes on, or is cancelled, as it was told.
    fn client_lost(&mut self, application: ApplicationId) {
        let Some(of) = self.applications.get(&application) else { return };
        let Client::Attached(policy, _) = of.client else { return };
        if let (OnClientLoss::Cancel, Some(job)) = (policy, of.current) {
            self.commands.push(DispatcherCommand::CancelJob { application, job });
        }
        self.client_gone(application);
    }

    /// No more jobs will come: the application ends with the present one.
    fn client_gone(&mut self, application: ApplicationId) {
        if let Some(of) = self.applications.get_mut(&application) {
            of.client = Client::Gone;
            self.close_if_over(application);
        }
    }

    fn close_if_over(&mut self, application: ApplicationId) {
        let Some(of) = self.applications.get_mut(&application) else { return };
        if of.current.is_none() && of.client == Client::Gone && !of.closing {
            of.closing = true;
            self.commands.push(DispatcherCommand::CloseApplication { application });
        }
    }

    fn cancel(&mut self, job: JobId) {
        let Some(line) = self.jobs.get(&job).filter(|line| !line.state.is_terminal()) else { return };
        self.commands.push(DispatcherCommand::CancelJob { application: line.application, job });
    }

    fn ended(&mut self, outcome: Arc<JobOutcome>, now: Timestamp) {
        let Some(line) = self.jobs.get(&outcome.job) else { return };
        let (application, execution) = (line.application, line.execution);
        self.commands.push(DispatcherCommand::StoreResult { application, execution, outcome: Arc::clone(&outcome) });
        self.keep(application, execution, outcome, now);
        if let Some(of) = self.applications.get_mut(&application) {
            of.current = None;
        }
        self.close_if_over(application);
    }

    /// Keeps a job that has ended, in place of the oldest if there are too many.
    fn keep(&mut self, application: ApplicationId, execution: u32, outcome: Arc<JobOutcome>, now: Timestamp) {
        let job = outcome.job;
        let view = Arc::new(outcome.view.clone());
        let at = |state: JobState| view.timestamps[state as usize];
        let started = at(JobState::Initializing).unwrap_or(now);
        let line = self.jobs.entry(job).or_insert_with(|| JobLine {
            job,
            application,
            execution,
            name: Arc::clone(&view.name),
            state: outcome.state,
            recovered: true,
            started,
            ended: None,
            last_view: None,
        });
        (line.state, line.ended) = (outcome.state, at(outcome.state).or(Some(now)));
        line.last_view = Some(view);
        self.outcomes.insert(job, outcome);
        self.finished.push_back(job);
        while self.finished.len() > self.options.finished_jobs {
            let Some(job) = self.finished.pop_front() else { break };
            self.jobs.remove(&job);
            self.outcomes.remove(&job);
            self.commands.push(DispatcherCommand::RemoveResult { job });
        }
    }

    fn tick(&mut self, now: Timestamp) {
        self.wake_at = None;
        let timeout = self.options.client_timeout;
        let silent = |(id, of): (&ApplicationId, &Application)| match of.client {
            Client::Attached(_, heard) => (heard + timeout <= now).then_some(*id),
            Client::Gone => None,
        };
        let lost: Vec<ApplicationId> = self.applications.iter().filter_map(silent).collect();
        lost.into_iter().for_each(|application| self.client_lost(application));
    }

    /// Looks after clients from time to time rather than at each one's moment: their heartbeats move it all the time.
    fn wake(&mut self) {
        let heard = |of: &Application| match of.client {
            Client::Attached(_, heard) => Some(heard + self.options.client_timeout),
            Client::Gone => None,
        };
        let Some(first) = self.applications.values().filter_map(heard).min() else { return };
        if self.wake_at.is_none() {
            self.wake_at = Some(first);
            self.commands.push(DispatcherCommand::WakeAt(first));
        }
    }
}

#[cfg(test)]
mod tests;
