//! Tests of the Dispatcher.

use super::*;
use crate::jobmaster::Recovered;
use crate::options::JobOptions;
use crate::testing::{forward, graph};
use crate::view::JobView;

const APPLICATION: ApplicationId = ApplicationId(1);
const NOW: Timestamp = Timestamp(0);

fn submission(job: u128, execution: u32) -> JobSubmission {
    JobSubmission {
        job: JobId(job),
        execution,
        graph: graph(&[1, 1], vec![forward(0, 1)]).into(),
        has_sinks: false,
        options: JobOptions::default(),
        recovered: Recovered::No,
    }
}

fn outcome(job: u128, state: JobState) -> Box<JobOutcome> {
    let view = JobView {
        job: JobId(job),
        application: APPLICATION,
        name: "job".into(),
        state,
        timestamps: [None; 11],
        restarts: 0,
        waiting_for: None,
        vertices: Vec::new(),
        exceptions: Vec::new(),
    };
    Box::new(JobOutcome {
        job: JobId(job),
        state,
        failure: None,
        accumulators: BTreeMap::new(),
        view,
        subtasks: Vec::new(),
    })
}

fn submit(dispatcher: &mut Dispatcher, job: u128, execution: u32, attached: Option<OnClientLoss>) -> Vec<String> {
    let submission = submission(job, execution);
    names(&dispatcher.handle(DispatcherEvent::Submit { application: APPLICATION, submission, attached }, NOW))
}

fn end(dispatcher: &mut Dispatcher, job: u128) -> Vec<String> {
    names(&dispatcher.handle(DispatcherEvent::JobEnded(outcome(job, JobState::Finished)), NOW))
}

/// The commands by name; refusals with their message.
fn names(commands: &[DispatcherCommand]) -> Vec<String> {
    let name = |command: &DispatcherCommand| match command {
        DispatcherCommand::Refused { message, .. } => Some(message.clone()),
        DispatcherCommand::WakeAt(_) => None,
        other => format!("{other:?}").split([' ', '(', '{']).next().map(str::to_owned),
    };
    commands.iter().filter_map(name).collect()
}

#[test]
fn jobs_of_a_program_come_one_after_another() {
    let mut dispatcher = Dispatcher::new(DispatcherOptions::default());
    let attached = Some(OnClientLoss::GoOn);
    let commands = submit(&mut dispatcher, 1, 1, attached);
    assert_eq!(commands, ["StoreJob", "Accepted", "StartApplication", "StartJob"]);
    let refused = submit(&mut dispatcher, 2, 2, attached);
    assert!(refused[0].contains("still runs job"), "{refused:?}");
    let refused = submit(&mut dispatcher, 1, 1, attached);
    assert!(refused[0].contains("submitted already: it is 'job', INITIALIZING"), "{refused:?}");
    assert_eq!(end(&mut dispatcher, 1), ["StoreResult"]);
    let refused = submit(&mut dispatcher, 3, 1, attached);
    assert!(refused[0].contains("execution 1 of its program, after execution 1"), "{refused:?}");
    assert_eq!(submit(&mut dispatcher, 2, 2, attached), ["StoreJob", "Accepted", "StartJob"]);
    end(&mut dispatcher, 2);
    let done = dispatcher.handle(DispatcherEvent::ClientDone { application: APPLICATION }, NOW);
    assert_eq!(names(&done), ["CloseApplication"]);
}

#[test]
fn a_detached_job_closes_its_application() {
    let mut dispatcher = Dispatcher::new(DispatcherOptions::default());
    submit(&mut dispatcher, 1, 1, None);
    assert_eq!(end(&mut dispatcher, 1), ["StoreResult", "CloseApplication"]);
    assert_eq!(dispatcher.job(JobId(1)).unwrap().state, JobState::Finished);
}

#[test]
fn a_lost_client_takes_its_job_along_or_not() {
    for (policy, expected) in [(OnClientLoss::GoOn, &[][..]), (OnClientLoss::Cancel, &["CancelJob"][..])] {
        let mut dispatcher = Dispatcher::new(DispatcherOptions::default());
        submit(&mut dispatcher, 1, 1, Some(policy));
        dispatcher.handle(DispatcherEvent::ClientHeartbeat { application: APPLICATION }, Timestamp(20_000));
        assert!(dispatcher.handle(DispatcherEvent::Tick, Timestamp(30_000)).len() <= 1, "it was heard of");
        assert_eq!(names(&dispatcher.handle(DispatcherEvent::Tick, Timestamp(50_000))), expected);
        assert_eq!(end(&mut dispatcher, 1), ["StoreResult", "CloseApplication"]);
    }
}

#[test]
fn finished_jobs_are_kept_up_to_a_number() {
    let options = DispatcherOptions { finished_jobs: 2, ..DispatcherOptions::default() };
    let mut dispatcher = Dispatcher::new(options);
    for job in 1..=3 {
        let outcome = outcome(job, JobState::Finished);
        let event = DispatcherEvent::RecoveredResult { application: APPLICATION, execution: 1, outcome };
        let commands = dispatcher.handle(event, NOW);
        assert_eq!(names(&commands), if job == 3 { &["RemoveResult"][..] } else { &[] });
    }
    assert_eq!(dispatcher.jobs().map(|line| line.job.0).collect::<Vec<_>>(), [2, 3]);
    assert!(dispatcher.outcome(JobId(1)).is_none() && dispatcher.outcome(JobId(3)).is_some());
    assert!(dispatcher.handle(DispatcherEvent::Cancel { job: JobId(3) }, NOW).is_empty(), "it has ended");
}

#[test]
fn an_invalid_graph_is_refused() {
    let mut dispatcher = Dispatcher::new(DispatcherOptions::default());
    let graph = graph(&[0], vec![]).into();
    let submission = JobSubmission { graph, ..submission(1, 1) };
    let event = DispatcherEvent::Submit { application: APPLICATION, submission, attached: None };
    assert!(names(&dispatcher.handle(event, NOW))[0].contains("parallelism 0"));
}

#[test]
fn recovered_jobs_start_again() {
    let mut dispatcher = Dispatcher::new(DispatcherOptions::default());
    let submission = JobSubmission { recovered: Recovered::Running, ..submission(1, 2) };
    let event = DispatcherEvent::Recovered { application: APPLICATION, submission, attached: None };
    assert_eq!(names(&dispatcher.handle(event, NOW)), ["StartApplication", "StartJob"]);
}
