//! `flinkrs run -t yarn-per-job`: a program is planned here, and its first job starts an application for it.
//!
//! The program runs in a process of its own, in role *submit*. When it executes it hands its first job over, through a
//! pipe, and goes on with the JobManager of the application. This process stages, submits, and looks after both until
//! they have ended.

use crate::options::taskexecutor_options;
use crate::run::{How, Program, json, path_of};
use crate::runtime;
use crate::yarn::container::ADDRESS_FILE;
use crate::yarn::deploy::{Deployment, completed};
use crate::yarn::find::Session;
use crate::yarn::staging::Staging;
use crate::yarn::{Yarn, ended_error, has_ended};
use flinkrs_core::config::{Configuration, yarn as yarn_options};
use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::proto::yarn::ApplicationIdProto;
use flinkrs_protocol::ApplicationId;
use flinkrs_rpc::auth::random_bytes;
use flinkrs_rpc::program::hash_of;
use flinkrs_rpc::roles::{Destination, ROLE, SUBMIT, SUBMIT_SPEC, StartRequest, Started, read_message, write_message};
use flinkrs_rpc::{body, message};
use flinkrs_yarn_am::places::near;
use flinkrs_yarn_am::spec::{FirstJob, SUBMISSION, Work};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Bytes of a submission that travels with what the ApplicationMaster is told; a larger one is staged.
const SMALL_BYTES: usize = 64 << 10;

/// How often it is looked whether the program has ended.
const LOOK: Duration = Duration::from_millis(10);

/// How often YARN is asked how the application is while the program runs.
const ASK: Duration = Duration::from_millis(500);

/// How long an answer is waited for meanwhile.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// How long a program has to notice that its application has ended.
const NOTICE: Duration = Duration::from_secs(3);

/// Runs a program and its application; the exit code is the program's.
pub(crate) fn run(program: &Program, config: &Configuration, how: &How) -> Result<()> {
    let yarn = Yarn::new(config)?;
    let mut running = Running::start(program, config, how)?;
    let Some(request) = running.request()? else { return running.end(None) };
    let started = running.deploy(&yarn, config, program, how, request);
    let id = match started {
        Ok(id) => id,
        Err(error) => {
            running.kill();
            return Err(error);
        }
    };
    let attended = running.attend(&yarn, id);
    // One that was killed has left its job to the JobManager, which goes on or cancels it as it was told.
    if !how.detached && attended.as_ref().map_or(true, |status| status.code().is_some()) {
        let cleaned_up = runtime()?.block_on(async {
            yarn.until_it_ends(id).await?;
            yarn.clean_up(id, config).await
        });
        if let Err(error) = cleaned_up {
            eprintln!("{id} may still run, or have left files: {error}");
        }
    }
    running.end(Some(attended?))
}

/// The program's process.
struct Running {
    child: Child,
    requests: Receiver<Result<Option<StartRequest>>>,
    replies: File,
    sha256: Option<JoinHandle<Result<String>>>,
    /// The signal that the program was sent.
    told: Option<i32>,
}

impl Running {
    fn start(program: &Program, config: &Configuration, how: &How) -> Result<Running> {
        let slot_bytes = taskexecutor_options(&completed(config)?, Some("none:0"))?.slot_bytes;
        let (requests, to_us) = pipe()?;
        let (from_us, replies) = pipe()?;
        let failed = |error: rustix::io::Errno| Error::io("make", "a pipe", error.into());
        for theirs in [&to_us, &from_us] {
            rustix::io::fcntl_setfd(theirs, rustix::io::FdFlags::empty()).map_err(failed)?;
        }
        let to = Destination::Starter { requests: path_of(&to_us), replies: path_of(&from_us), slot_bytes };
        let mut command = program.command();
        // In a process group of its own: signals are handed on here, once.
        command.env(ROLE, SUBMIT).env(SUBMIT_SPEC, json(&how.to(to))?).process_group(0);
        let child = command.spawn().map_err(|error| Error::io("start program", &program.path, error))?;
        drop((to_us, from_us));
        let (sender, receiver) = channel();
        let mut requests = File::from(requests);
        thread::spawn(move || {
            // When nobody waits any more, this process ends.
            let _ = sender.send(read_message(&mut requests));
        });
        let path = program.path.clone();
        let sha256 = Some(thread::spawn(move || hash_of(&path)));
        Ok(Running { child, requests: receiver, replies: File::from(replies), sha256, told: None })
    }

    /// The program's first job; `None` when it has ended without one.
    fn request(&mut self) -> Result<Option<StartRequest>> {
        loop {
            self.hand_signal_on();
            match self.requests.recv_timeout(LOOK) {
                Ok(request) => return request,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Starts the application, and tells the program where it is.
    fn deploy(
        &mut self,
        yarn: &Yarn,
        config: &Configuration,
        program: &Program,
        how: &How,
        request: StartRequest,
    ) -> Result<ApplicationIdProto> {
        let hashed = self.sha256.take().map(JoinHandle::join);
        let Some(Ok(sha256)) = hashed else { return Err(Error::internal("reading the program has panicked")) };
        let sha256 = sha256?;
        let application = ApplicationId(u128::from_ne_bytes(random_bytes()));
        let StartRequest { name, job, submission } = request;
        let directory = std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default();
        let arguments = program.arguments.clone();
        let of_job =
            message::Program { application, name: name.clone(), artifact: sha256.clone(), arguments, directory };
        let attached = (!how.detached).then_some(how.cancel_on_lost_client);
        let near = near(&submission.graph);
        let submission = body::encode(&submission)?;
        let work = |staging: &Staging, id| {
            let mut first = FirstJob { program: of_job, attached, job, submission: None };
            if submission.len() <= SMALL_BYTES {
                first.submission = Some(submission);
                return Ok((Work::Job(first), Vec::new()));
            }
            let file = staging.write(id, SUBMISSION, &submission)?;
            Ok((Work::Job(first), vec![file]))
        };
        let deployment = Deployment { config, name, programs: vec![(program.path.clone(), sha256)], near };
        let runtime = runtime()?;
        let submitted = runtime.block_on(deployment.submit(yarn, work))?;
        eprintln!("{} is submitted", submitted.id);
        let (Session { id, address, secret }, report) = runtime.block_on(yarn.until_it_runs(submitted, config))?;
        eprintln!("{id} runs; its page is {}", report.tracking_url());
        let may_start_again = config.get(&yarn_options::APPLICATION_ATTEMPTS).get() > 1;
        let file = || Staging::new(&yarn.hdfs, config).of(id).join(ADDRESS_FILE).display().to_string();
        let address = if may_start_again { file() } else { address };
        // A program that has ended meanwhile is noticed soon.
        let _ = write_message(&mut self.replies, &Started { application, address, secret });
        Ok(id)
    }

    /// Stays with the program until it ends.
    ///
    /// Errors when its application has ended before it.
    fn attend(&mut self, yarn: &Yarn, id: ApplicationIdProto) -> Result<ExitStatus> {
        let runtime = runtime()?;
        let mut asked = Instant::now();
        let mut over: Option<(Instant, Error)> = None;
        loop {
            self.hand_signal_on();
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if let Some((_, error)) = over.take_if(|(since, _)| since.elapsed() > NOTICE) {
                self.kill();
                return Err(error);
            }
            if over.is_none() && asked.elapsed() > ASK {
                asked = Instant::now();
                // A ResourceManager that is away is asked again; the program doesn't wait for it.
                let answer = runtime.block_on(async { timeout(ANSWER_MAX, yarn.report(id)).await });
                let report = answer.ok().and_then(|answer| answer.ok()).filter(has_ended);
                over = report.map(|report| (Instant::now(), ended_error(id, &report)));
            }
            thread::sleep(LOOK);
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(|error| Error::io("wait for", "the program", error))
    }

    /// Hands a signal that this process has got on to the program, which knows what to do.
    fn hand_signal_on(&mut self) {
        let Some(number) = flinkrs::received_signal().filter(|_| self.told.is_none()) else { return };
        self.told = Some(number);
        if let Some(signal) = Signal::from_named_raw(number) {
            // It may have ended just now.
            let _ = kill_process(Pid::from_child(&self.child), signal);
        }
    }

    fn kill(&mut self) {
        // It may have ended just now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends as the program did.
    fn end(mut self, status: Option<ExitStatus>) -> Result<()> {
        let status = match status {
            Some(status) => status,
            None => loop {
                self.hand_signal_on();
                match self.ended()? {
                    Some(status) => break status,
                    None => thread::sleep(LOOK),
                }
            },
        };
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            // The program has said what is wrong.
            (Some(code), _) => std::process::exit(code),
            (None, signal) => std::process::exit(128 + signal.unwrap_or(0)),
        }
    }
}

/// Both ends of a pipe, which programs don't inherit: the one to read from, and the one to write to.
fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| Error::io("make", "a pipe", error.into()))
}
