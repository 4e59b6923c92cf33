//! `flinkrs cluster start|stop|status`: a standalone cluster, on this machine or on those of a file.

mod ssh;

use crate::options::{Common, Standalone, address_of};
use crate::{print, runtime};
use clap::{Args, Subcommand};
use flinkrs_core::config::{Configuration, Declaration, jobmanager, taskmanager};
use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::connect::JobManagerClient;
use flinkrs_rpc::proto::Empty;
use rustix::process::{Pid, Signal, kill_process};
use ssh::Ssh;
use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long processes may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long processes that end may take to.
const END_TIMEOUT: Duration = Duration::from_secs(15);

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
    Stop(Standalone),
    /// Show the slots and jobs of the cluster
    Status(Standalone),
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
    common: Common,
}

impl Cluster {
    pub(super) fn run(&self) -> Result<()> {
        match &self.action {
            Action::Start(start) => start.run(),
            Action::Stop(cluster) => stop(cluster),
            Action::Status(cluster) => status(cluster),
        }
    }
}

impl Start {
    fn run(&self) -> Result<()> {
        let config = self.common.configuration()?;
        let address = address_of(&config);
        if runtime()?.block_on(connect(&self.cluster())).is_ok() {
            return Err(Error::usage(format!(
                "a JobManager answers at {address} already; `flinkrs cluster stop` ends it"
            )));
        }
        fs::create_dir_all(&self.logs).map_err(|error| Error::io("create", &self.logs, error))?;
        let hosts = self.hosts()?;
        check_reachable(&config, &hosts)?;
        let ssh = Ssh::new(&config);
        let mut started = Vec::new();
        let slots =
            self.start(&config, &hosts, &ssh, &mut started).inspect_err(|_| self.abandon(&mut started, &ssh))?;
        print(&format!(
            "Cluster at {address}: {} TaskExecutors, {slots} slots. Logs: {}",
            hosts.len(),
            self.logs.display()
        ));
        Ok(())
    }

    /// Starts all processes and waits until they have found each other; how many slots there are.
    fn start(
        &self,
        config: &Configuration,
        hosts: &[Option<String>],
        ssh: &Ssh,
        started: &mut Vec<Started>,
    ) -> Result<u32> {
        let arguments = self.common.arguments();
        started.push(self.spawn("jobmanager", "jobmanager", &arguments, None)?);
        // TaskExecutors of one machine divide what one would take.
        let mut here = arguments.clone();
        if self.workers.is_none() && config.get(&taskmanager::PROCESS_MEMORY).is_none() {
            let each = flinkrs::machine_memory().0 / 2 / u64::from(self.taskexecutors.max(1));
            here.push(format!("-D{}={each}", taskmanager::PROCESS_MEMORY.key()));
        }
        // The file of the configuration needn't be there.
        let elsewhere: Vec<String> = config.settings().map(|(key, value)| format!("-D{key}={value}")).collect();
        for (i, host) in hosts.iter().enumerate() {
            let (name, arguments) =
                (format!("taskexecutor-{}", i + 1), if host.is_some() { &elsewhere } else { &here });
            started.push(self.spawn(&name, "taskexecutor", arguments, host.as_deref().map(|host| (ssh, host)))?);
        }
        self.wait(started, hosts.len())
    }

    /// What is started, as other commands name it.
    fn cluster(&self) -> Standalone {
        Standalone { jobmanager: None, common: self.common.clone() }
    }

    /// Where TaskExecutors are started; `None` is this machine.
    fn hosts(&self) -> Result<Vec<Option<String>>> {
        let Some(file) = &self.workers else { return Ok(vec![None; self.taskexecutors as usize]) };
        let text = fs::read_to_string(file).map_err(|error| Error::io("read", file, error))?;
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let hosts: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        if let Some(host) = hosts.iter().find(|host| host.starts_with('-') || host.contains(char::is_whitespace)) {
            return Err(Error::usage(format!("{}: '{host}' is no host", file.display())));
        }
        Ok(hosts.into_iter().map(|host| Some(host.to_owned()).filter(|host| host != "localhost")).collect())
    }

    fn spawn(&self, name: &str, action: &str, arguments: &[String], on: Option<(&Ssh, &str)>) -> Result<Started> {
        let executable = std::env::current_exe().map_err(|error| Error::io("find", "this executable", error))?;
        let mut command = match on {
            None => {
                let mut command = Command::new(&executable);
                command.arg(action).args(arguments);
                command
            }
            Some((ssh, host)) => ssh.start(host, &executable, action, arguments),
        };
        let log = self.logs.join(format!("{name}.log"));
        let file = File::create(&log).map_err(|error| Error::io("create", &log, error))?;
        let both = file.try_clone().map_err(|error| Error::io("create", &log, error))?;
        command.stdin(Stdio::null()).stdout(both).stderr(file).process_group(0);
        let child = command.spawn().map_err(|error| Error::io("start program", command.get_program(), error))?;
        let host = on.map(|(_, host)| host.to_owned());
        let name = host.as_ref().map_or(name.to_owned(), |host| format!("{name} on {host}"));
        Ok(Started { name, host, log, child })
    }

    /// Waits until all have registered; how many slots there are.
    fn wait(&self, started: &mut [Started], executors: usize) -> Result<u32> {
        let begun = Instant::now();
        loop {
            for process in started.iter_mut() {
                if let Ok(Some(status)) = process.child.try_wait() {
                    let (name, said) = (&process.name, last_line(&process.log));
                    return Err(Error::Resource { message: format!("{name} has ended ({status}): {said}") });
                }
            }
            let found = runtime()?.block_on(async {
                let client = connect(&self.cluster()).await?;
                Ok::<_, Error>((client.task_executors, client.slots))
            });
            match found {
                Ok((registered, slots)) if registered as usize >= executors => return Ok(slots),
                _ if begun.elapsed() > START_TIMEOUT => {
                    let (logs, seconds) = (self.logs.display(), START_TIMEOUT.as_secs());
                    return Err(Error::Resource {
                        message: format!("the cluster isn't complete after {seconds} s; its logs are in {logs}"),
                    });
                }
                _ => thread::sleep(POLL),
            }
        }
    }

    /// Ends what was started, on other machines too, and waits for that.
    fn abandon(&self, started: &mut [Started], ssh: &Ssh) {
        for process in started.iter_mut() {
            match process.host.clone() {
                None => drop(kill_process(Pid::from_child(&process.child), Signal::TERM)),
                Some(host) => process.id_there().iter().for_each(|id| ssh.kill(&host, id)),
            }
        }
        for process in started {
            let begun = Instant::now();
            while matches!(process.child.try_wait(), Ok(None)) && begun.elapsed() < END_TIMEOUT {
                thread::sleep(POLL);
            }
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

/// A process that was started.
struct Started {
    name: String,
    /// Where, if elsewhere: then the child is ssh.
    host: Option<String>,
    log: PathBuf,
    child: Child,
}

impl Started {
    /// The process's id on its host, which its log begins with; one that is about to start is waited for.
    fn id_there(&mut self) -> Option<String> {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let id = text.split_inclusive('\n').find_map(|line| line.strip_prefix(ssh::PROCESS)?.strip_suffix('\n'));
            if let Some(id) = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit())) {
                return Some(id.to_owned());
            }
            if !matches!(self.child.try_wait(), Ok(None)) || begun.elapsed() > END_TIMEOUT {
                return None;
            }
            thread::sleep(POLL);
        }
    }
}

/// Other machines have to find the JobManager at the address that they are told.
fn check_reachable(config: &Configuration, hosts: &[Option<String>]) -> Result<()> {
    let address = config.get(&jobmanager::RPC_ADDRESS);
    let is_here = |host: &str| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let of_user = |host: &str| host.rsplit('@').next().unwrap_or_default().to_owned();
    let elsewhere = hosts.iter().flatten().find(|host| !is_here(&of_user(host)));
    match elsewhere {
        Some(host) if is_here(&address) => Err(Error::usage(format!(
            "jobmanager.rpc.address is {address}, and to {host} that is {host} itself; set it to a name by which other \
             machines find this one, and the addresses to listen on (jobmanager.bind-host, taskmanager.bind-host) to \
             ones that they can reach"
        ))),
        _ => Ok(()),
    }
}

fn last_line(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().last().unwrap_or("it has said nothing").to_owned()
}

fn stop(cluster: &Standalone) -> Result<()> {
    runtime()?.block_on(async {
        let client = connect(cluster).await?;
        client.dispatcher().shut_down(Empty {}).await.map_err(|status| client.error(&status))
    })?;
    print("The cluster has been told to end.");
    Ok(())
}

fn status(cluster: &Standalone) -> Result<()> {
    let client = runtime()?.block_on(connect(cluster))?;
    print(&format!(
        "JobManager at {}: {} TaskExecutors, {} slots",
        client.address, client.task_executors, client.slots
    ));
    Ok(())
}

async fn connect(cluster: &Standalone) -> Result<JobManagerClient> {
    cluster.find(&cluster.common.configuration()?)?.connect().await
}
