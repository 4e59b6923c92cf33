//! `flinkrs yarn-session`: starts a cluster on YARN that stays until it is told to end.

use crate::options::Common;
use crate::yarn::deploy::Deployment;
use crate::yarn::find::PropertiesFile;
use crate::yarn::{Yarn, ended_error, find, has_ended};
use crate::{print, runtime};
use clap::Args;
use flinkrs_core::config::{Configuration, Declaration, jobmanager, taskmanager, yarn};
use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_rpc::auth::Secret;
use flinkrs_rpc::connect::JobManagerClient;
use flinkrs_rpc::proto::Empty;
use flinkrs_yarn_am::places::Near;
use flinkrs_yarn_am::spec::Work;
use std::io::BufRead;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How often it is looked whether the session still runs.
const LOOK: Duration = Duration::from_secs(1);

/// Options of `flinkrs yarn-session`.
#[derive(Debug, Args)]
pub(crate) struct YarnSession {
    /// Show what the cluster has, and start nothing
    #[arg(short, long)]
    query: bool,

    /// Attach to this session, and start none
    #[arg(long = "applicationId", visible_alias = "id", value_name = "ID", conflicts_with = "query")]
    application_id: Option<String>,

    /// Return when the session runs
    #[arg(short, long)]
    detached: bool,

    /// Memory of the JobManager's container, such as 512mb; a number alone counts megabytes
    #[arg(long = "jobManagerMemory", visible_alias = "jm", value_name = "SIZE")]
    job_manager_memory: Option<String>,

    /// Memory of each TaskExecutor's container, such as 4gb; a number alone counts megabytes
    #[arg(long = "taskManagerMemory", visible_alias = "tm", value_name = "SIZE")]
    task_manager_memory: Option<String>,

    /// Slots of each TaskExecutor
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    slots: Option<u32>,

    /// The queue
    #[arg(long, visible_alias = "qu", value_name = "QUEUE")]
    queue: Option<String>,

    /// The name of the application
    #[arg(long, visible_alias = "nm", value_name = "NAME")]
    name: Option<String>,

    /// The label of the nodes that it may use
    #[arg(long = "nodeLabel", visible_alias = "nl", value_name = "LABEL")]
    node_label: Option<String>,

    /// What kind of application lists of YARN say that it is
    #[arg(long = "applicationType", visible_alias = "at", value_name = "TYPE")]
    application_type: Option<String>,

    /// Put this file into the folder of every container; may be given several times
    #[arg(short = 't', long, value_name = "FILE")]
    ship: Vec<PathBuf>,

    #[command(flatten)]
    common: Common,
}

impl YarnSession {
    pub(crate) fn run(&self) -> Result<()> {
        let config = self.configuration()?;
        let yarn = Yarn::new(&config)?;
        let runtime = runtime()?;
        if self.query {
            return runtime.block_on(query(&yarn));
        }
        let properties = PropertiesFile::new(&config)?;
        let session = if self.application_id.is_some() {
            let found = runtime.block_on(find::session(&yarn, &config))?;
            print(&format!("Attached to {}: JobManager at {}", found.id, found.address));
            found
        } else {
            let started = runtime.block_on(start(&yarn, &config))?;
            properties.write(started.id)?;
            started
        };
        if self.detached {
            let id = session.id;
            print(&format!("To end it: echo \"stop\" | flinkrs yarn-session -id {id}"));
            return Ok(());
        }
        let ended = runtime.block_on(attend(&yarn, &session));
        if let Ok(report) = runtime.block_on(yarn.report(session.id))
            && has_ended(&report)
        {
            properties.forget(session.id);
        }
        ended.and(runtime.block_on(yarn.clean_up(session.id, &config)))
    }

    /// The configuration, with what options of their own say.
    fn configuration(&self) -> Result<Configuration> {
        let mut common = self.common.clone();
        let slots = self.slots.map(|slots| slots.to_string());
        let ship: Vec<String> = self.ship.iter().map(|path| path.display().to_string()).collect();
        let ship = (!ship.is_empty()).then(|| ship.join(","));
        let memory = |text: &Option<String>| text.as_deref().map(in_megabytes);
        let (master, executor) = (memory(&self.job_manager_memory), memory(&self.task_manager_memory));
        let said: [(&dyn Declaration, &Option<String>); 9] = [
            (&yarn::APPLICATION_ID, &self.application_id),
            (&jobmanager::PROCESS_MEMORY, &master),
            (&taskmanager::PROCESS_MEMORY, &executor),
            (&taskmanager::SLOTS, &slots),
            (&yarn::APPLICATION_QUEUE, &self.queue),
            (&yarn::APPLICATION_NAME, &self.name),
            (&yarn::APPLICATION_NODE_LABEL, &self.node_label),
            (&yarn::APPLICATION_TYPE, &self.application_type),
            (&yarn::SHIP_FILES, &ship),
        ];
        let said = said.iter().filter_map(|(option, value)| Some(format!("{}={}", option.key(), value.as_ref()?)));
        common.define.extend(said);
        common.configuration()
    }
}

/// A size whose unit is megabytes if none is said.
fn in_megabytes(size: &str) -> String {
    let is_number = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("{size}mb") } else { size.to_owned() }
}

/// Starts a session and waits until it runs.
async fn start(yarn: &Yarn, config: &Configuration) -> Result<find::Session> {
    let deployment =
        Deployment { config, name: "flinkrs session cluster".to_owned(), programs: Vec::new(), near: Near::new() };
    let submitted = deployment.submit(yarn, |_, _| Ok((Work::Session, Vec::new()))).await?;
    let (session, report) = yarn.until_it_runs(submitted, config).await?;
    print(&format!("{} runs: JobManager at {}, its page at {}", session.id, session.address, report.tracking_url()));
    Ok(session)
}

/// Shows nodes and queues.
async fn query(yarn: &Yarn) -> Result<()> {
    let nodes = yarn.client.nodes(&[NodeStateProto::NsRunning]).await?;
    print(&format!("{:<32} {:>12} {:>12} {:>10} {:>10} {:>11}", "Node", "MB", "free", "Cores", "free", "Containers"));
    let (mut memory, mut cores) = (0, 0);
    for node in &nodes {
        let (all, used) = (node.capability.unwrap_or_default(), node.used.unwrap_or_default());
        let (free_memory, free_cores) = (all.memory() - used.memory(), all.virtual_cores() - used.virtual_cores());
        (memory, cores) = (memory + free_memory, cores + free_cores);
        let (name, containers) = (node.node_id.clone().unwrap_or_default(), node.num_containers());
        let (all_memory, all_cores) = (all.memory(), all.virtual_cores());
        print(&format!(
            "{:<32} {all_memory:>12} {free_memory:>12} {all_cores:>10} {free_cores:>10} {containers:>11}",
            name.to_string()
        ));
    }
    print(&format!("{} nodes, {memory} MB and {cores} cores free", nodes.len()));
    let mut queues = yarn.client.queue("root").await?.map(|root| root.child_queues).unwrap_or_default();
    while let Some(queue) = queues.pop() {
        let percent = |part: f32| part * 100.0;
        print(&format!(
            "Queue {}: {:.0} % of the cluster, at most {:.0} %, {:.0} % of it in use",
            queue.queue_name(),
            percent(queue.capacity()),
            percent(queue.maximum_capacity()),
            percent(queue.current_capacity()),
        ));
        queues.extend(queue.child_queues);
    }
    Ok(())
}

/// Stays with a session until it ends, or is told to: by a line on standard input, or by a signal.
async fn attend(yarn: &Yarn, session: &find::Session) -> Result<()> {
    print("It ends with the line \"stop\", or with Ctrl-C.");
    let mut lines = lines();
    let failed = |error: std::io::Error| Error::Resource { message: format!("signals can't be waited for: {error}") };
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    loop {
        let line = tokio::select! {
            Some(line) = lines.recv() => line,
            _ = int.recv() => "stop".to_owned(),
            _ = term.recv() => "stop".to_owned(),
            () = tokio::time::sleep(LOOK) => String::new(),
        };
        match line.trim() {
            "" => {}
            "stop" | "quit" => return stop(yarn, session).await,
            "help" => print("stop ends the session; help prints this"),
            other => print(&format!("'{other}' is neither stop nor help")),
        }
        let report = yarn.report(session.id).await?;
        if has_ended(&report) {
            return match report.final_application_status() {
                FinalApplicationStatusProto::AppSucceeded => Ok(()),
                _ => Err(ended_error(session.id, &report)),
            };
        }
    }
}

/// Tells the JobManager to end, and YARN if that doesn't help.
async fn stop(yarn: &Yarn, session: &find::Session) -> Result<()> {
    let told = async {
        let client = JobManagerClient::connect(&session.address, Some(Secret::new(&session.secret))).await?;
        client.dispatcher().shut_down(Empty {}).await.map_err(|status| client.error(&status))
    };
    if told.await.is_err() {
        yarn.end(session.id, "its session was told to stop, and its JobManager doesn't answer").await?;
    }
    yarn.until_it_ends(session.id).await?;
    print(&format!("{} has ended.", session.id));
    Ok(())
}

/// The lines of standard input, until its end.
fn lines() -> mpsc::Receiver<String> {
    let (to, lines) = mpsc::channel(1);
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(|line| line.ok()) {
            if to.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
