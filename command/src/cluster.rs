//! `flinkrs cluster start|stop|status`: a standalone cluster, on this machine or on those of a file.

use crate::jobs::connect;
use crate::options::{Target, address_of};
use crate::{print, runtime};
use clap::{Args, Subcommand};
use flinkrs_core::config::{Declaration, taskmanager};
use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::proto::Empty;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long processes may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is looked whether they have.
const POLL: Duration = Duration::from_millis(50);

/// Options of `flinkrs cluster`.
#[derive(Debug, Args)]
pub(super) struct Cluster {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start a JobManager and TaskExecutors in the background
    Start(Start),
    /// Cancel all jobs and end all processes
    Stop(Target),
    /// Show the slots and jobs of the cluster
    Status(Target),
}

#[derive(Debug, Args)]
struct Start {
    /// How many TaskExecutors to start on this machine
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    taskexecutors: u32,

    /// Start a TaskExecutor on each host of this file, one per line, by ssh; `localhost` needs none
    #[arg(long, value_name = "FILE", conflicts_with = "taskexecutors")]
    workers: Option<PathBuf>,

    /// The folder for logs
    #[arg(long, value_name = "DIR", default_value = "flinkrs-logs")]
    logs: PathBuf,

    #[command(flatten)]
    target: Target,
}

impl Cluster {
    pub(super) fn run(&self) -> Result<()> {
        match &self.action {
            Action::Start(start) => start.run(),
            Action::Stop(target) => stop(target),
            Action::Status(target) => status(target),
        }
    }
}

impl Start {
    fn run(&self) -> Result<()> {
        let config = self.target.common.configuration()?;
        let address = address_of(&config);
        if runtime()?.block_on(connect(&self.target)).is_ok() {
            return Err(Error::usage(format!(
                "a JobManager answers at {address} already; `flinkrs cluster stop` ends it"
            )));
        }
        fs::create_dir_all(&self.logs).map_err(|error| Error::io("create", &self.logs, error))?;
        let hosts = self.hosts()?;
        let arguments = self.target.common.arguments();
        let manager = self.spawn("jobmanager", &["jobmanager".to_owned()], &arguments, None)?;
        let mut started = vec![("jobmanager".to_owned(), manager)];
        // TaskExecutors of one machine divide what one would take.
        let mut of_executors = arguments.clone();
        if self.workers.is_none() && config.get(&taskmanager::PROCESS_MEMORY).is_none() {
            let each = flinkrs::machine_memory().0 / 2 / u64::from(self.taskexecutors.max(1));
            of_executors.push(format!("-D{}={each}", taskmanager::PROCESS_MEMORY.key()));
        }
        for (i, host) in hosts.iter().enumerate() {
            let name = format!("taskexecutor-{}", i + 1);
            let child = self.spawn(&name, &["taskexecutor".to_owned()], &of_executors, host.as_deref())?;
            started.push((name, child));
        }
        let slots = self.wait(&mut started, hosts.len())?;
        print(&format!(
            "Cluster at {address}: {} TaskExecutors, {slots} slots. Logs: {}",
            hosts.len(),
            self.logs.display()
        ));
        Ok(())
    }

    /// Where TaskExecutors are started; `None` is this machine.
    fn hosts(&self) -> Result<Vec<Option<String>>> {
        let Some(file) = &self.workers else { return Ok(vec![None; self.taskexecutors as usize]) };
        let text = fs::read_to_string(file).map_err(|error| Error::io("read", file, error))?;
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let hosts = lines.filter(|line| !line.is_empty());
        Ok(hosts.map(|host| Some(host.to_owned()).filter(|host| host != "localhost")).collect())
    }

    fn spawn(&self, name: &str, action: &[String], arguments: &[String], host: Option<&str>) -> Result<Child> {
        let executable = std::env::current_exe().map_err(|error| Error::io("find", "this executable", error))?;
        let mut command = match host {
            None => Command::new(&executable),
            Some(host) => {
                let mut ssh = Command::new("ssh");
                // The same executable has to be there, under the same path.
                ssh.arg("-o").arg("BatchMode=yes").arg(host).arg(&executable);
                ssh
            }
        };
        let path = self.logs.join(format!("{name}.log"));
        let log = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        let both = log.try_clone().map_err(|error| Error::io("create", &path, error))?;
        command.args(action).args(arguments).stdin(Stdio::null()).stdout(both).stderr(log).process_group(0);
        command.spawn().map_err(|error| Error::io("start", &executable, error))
    }

    /// Waits until all have registered; how many slots there are.
    fn wait(&self, started: &mut [(String, Child)], executors: usize) -> Result<u32> {
        let begun = Instant::now();
        loop {
            for (name, child) in started.iter_mut() {
                if let Ok(Some(status)) = child.try_wait() {
                    let said = last_line(&self.logs.join(format!("{name}.log")));
                    let error = Error::Resource { message: format!("{name} has ended ({status}): {said}") };
                    started.iter_mut().for_each(|(_, child)| drop(child.kill()));
                    return Err(error);
                }
            }
            let found = runtime()?.block_on(async {
                let client = connect(&self.target).await?;
                Ok::<_, Error>((client.task_executors, client.slots))
            });
            match found {
                Ok((registered, slots)) if registered as usize >= executors => return Ok(slots),
                _ if begun.elapsed() > START_TIMEOUT => {
                    started.iter_mut().for_each(|(_, child)| drop(child.kill()));
                    let logs = self.logs.display();
                    let seconds = START_TIMEOUT.as_secs();
                    return Err(Error::Resource {
                        message: format!("the cluster isn't complete after {seconds} s; its logs are in {logs}"),
                    });
                }
                _ => thread::sleep(POLL),
            }
        }
    }
}

fn last_line(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().last().unwrap_or("it has said nothing").to_owned()
}

fn stop(target: &Target) -> Result<()> {
    runtime()?.block_on(async {
        let client = connect(target).await?;
        client.dispatcher().shut_down(Empty {}).await.map_err(|status| client.error(&status))
    })?;
    print("The cluster has been told to end.");
    Ok(())
}

fn status(target: &Target) -> Result<()> {
    let client = runtime()?.block_on(connect(target))?;
    print(&format!(
        "JobManager at {}: {} TaskExecutors, {} slots",
        client.address, client.task_executors, client.slots
    ));
    Ok(())
}
