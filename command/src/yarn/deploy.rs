//! An application: what it is submitted with, how it is followed and ended.

use crate::options::taskexecutor_options;
use crate::yarn::find::Session;
use crate::yarn::staging::Staging;
use crate::yarn::{Yarn, ended_error, has_ended};
use flinkrs_core::config::{Configuration, Declaration, jobmanager, security, taskmanager, yarn};
use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_hdfs::HdfsFileSystem;
use flinkrs_rpc::auth::random_bytes;
use flinkrs_rpc::program::hash_of;
use flinkrs_yarn_am::launch::{Launch, Submission};
use flinkrs_yarn_am::places::{Near, Node, best_first};
use flinkrs_yarn_am::spec::{ApplicationSpec, Common, EXECUTABLE, KEYTAB, KRB5_CONF, NewTokens, PROGRAMS};
use flinkrs_yarn_am::spec::{StagedFile, Work};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often the ResourceManager is asked how an application is that is about to start or to end.
const POLL: Duration = Duration::from_millis(20);

/// How long an application that was told to end may take.
const END_MAX: Duration = Duration::from_secs(20);

/// Nodes of which an ApplicationMaster is told at most.
const NODES_MAX: usize = 256;

/// The name of the file with the secret in an application's folder.
pub(super) const SECRET: &str = "secret";

/// Memory of a TaskExecutor, and slots of it, unless options say otherwise; Flink's defaults.
const DEFAULTS: [(&dyn Declaration, &str); 2] = [(&taskmanager::PROCESS_MEMORY, "1728mb"), (&taskmanager::SLOTS, "1")];

/// Options that mean files of the client's machine, and so nothing in a container.
const OF_CLIENT: [&dyn Declaration; 6] = [
    &security::CLUSTER_SECRET_FILE,
    &security::KERBEROS_KEYTAB,
    &security::KERBEROS_KRB5_CONF,
    &security::KERBEROS_PRINCIPAL,
    &taskmanager::TMP_DIRS,
    &yarn::SHIP_FILES,
];

/// What is to be started.
pub(super) struct Deployment<'a> {
    pub(super) config: &'a Configuration,
    /// What lists call it, unless the user names it.
    pub(super) name: String,
    /// Programs that containers run, with their hashes.
    pub(super) programs: Vec<(PathBuf, String)>,
    /// Where its input lies, as far as that is known.
    pub(super) near: Near,
}

/// An application that was submitted.
pub(super) struct Submitted {
    pub(super) id: ApplicationIdProto,
    /// The secret of its processes and clients.
    pub(super) secret: Vec<u8>,
    /// Writes the file with the secret meanwhile.
    writing: JoinHandle<Result<StagedFile>>,
}

/// The configuration that client and containers share: what YARN has to know is set.
pub(super) fn completed(config: &Configuration) -> Result<Configuration> {
    let mut settings: Vec<String> = config.settings().map(|(key, value)| format!("{key}={value}")).collect();
    for (option, default) in DEFAULTS {
        if !config.settings().any(|(key, _)| key == option.key()) {
            settings.push(format!("{}={default}", option.key()));
        }
    }
    Configuration::load(None, &settings)
}

/// Removes the folders of applications that have ended while nobody was there to do it: killed by YARN, such as a
/// session that nobody attended. One that YARN doesn't know may be another cluster's.
async fn remove_ended(yarn: &Yarn, staging: &Staging) -> Result<()> {
    for id in staging.applications()? {
        if yarn.report(id).await.is_ok_and(|report| has_ended(&report)) {
            staging.remove(id)?;
        }
    }
    Ok(())
}

impl Deployment<'_> {
    /// Stages what containers need, and submits. `work` is made once the application has a folder, of which it is told
    /// how to write to it; with it come files for the ApplicationMaster.
    ///
    /// Errors when YARN can't run what is asked for, when its queue is unknown, and when files can't be staged; nothing
    /// is left then.
    pub(super) async fn submit(
        self,
        yarn: &Yarn,
        work: impl FnOnce(&Staging, ApplicationIdProto) -> Result<(Work, Vec<StagedFile>)>,
    ) -> Result<Submitted> {
        let config = completed(self.config)?;
        check_encryption(&config)?;
        let executable = std::env::current_exe().map_err(|error| Error::io("find", "this executable", error))?;
        let new = yarn.client.new_application().await?;
        let id = new.application_id.unwrap_or_default();
        check_sizes(&config, &new.maximum_capability.unwrap_or_default())?;
        check_queue(yarn, &config).await?;
        let nodes = self.nodes(yarn, &config).await?;
        let staging = Staging::new(&yarn.hdfs, self.config);
        let secret: String = random_bytes::<32>().iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = secret.into_bytes();
        staging.make(id)?;
        let writing = {
            let (staging, secret) = (staging.clone(), secret.clone());
            thread::spawn(move || staging.write(id, SECRET, &secret))
        };
        let submitted = self.stage_and_submit(yarn, &config, &staging, (id, &secret), &executable, nodes, work).await;
        match submitted {
            Ok(()) => {
                // The user's new application has nothing to do with how this goes.
                let _ = remove_ended(yarn, &staging).await;
                Ok(Submitted { id, secret, writing })
            }
            Err(error) => {
                // The first error is what counts. What is written after the removal would stay.
                let _ = writing.join();
                let _ = staging.remove(id);
                Err(error)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what was found out before anything was written")]
    async fn stage_and_submit(
        &self,
        yarn: &Yarn,
        config: &Configuration,
        staging: &Staging,
        (id, secret): (ApplicationIdProto, &[u8]),
        executable: &Path,
        nodes: Vec<(String, String)>,
        work: impl FnOnce(&Staging, ApplicationIdProto) -> Result<(Work, Vec<StagedFile>)>,
    ) -> Result<()> {
        let mut files = vec![staging.executable(executable, &hash_of(executable)?, EXECUTABLE)?];
        for (path, sha256) in &self.programs {
            files.push(staging.executable(path, sha256, &format!("{PROGRAMS}/{sha256}"))?);
        }
        for local in self.config.get(&yarn::SHIP_FILES).unwrap_or_default() {
            files.push(staging.ship(id, &local)?);
        }
        let (work, mut of_master) = work(staging, id)?;
        let secured = yarn.secured_file_systems(self.config)?;
        let tokens = self.ship_keys(staging, id, &secured, &mut of_master)?;
        let is_own = |key: &str| OF_CLIENT.iter().any(|option| option.key() == key);
        let settings = config.settings().filter(|(key, _)| !is_own(key));
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let common = Common::new(settings, &yarn.conf, yarn.hdfs.user(), secret)?;
        let attempts = config.get(&yarn::APPLICATION_ATTEMPTS).get();
        let in_folder = staging.of(id).display().to_string();
        let credentials = yarn.tokens(&secured)?;
        let mut launch = Launch { log_name: "jobmanager".to_owned(), credentials, ..Launch::default() };
        launch.command = vec![format!("./{EXECUTABLE}"), "yarn-master".to_owned()];
        launch.environment = environment(&common);
        if of_master.iter().any(|file| file.name == KRB5_CONF) {
            launch.environment.insert("KRB5_CONFIG".to_owned(), KRB5_CONF.to_owned());
        }
        for file in files.iter().chain(&of_master) {
            let (name, resource) = file.to_proto()?;
            launch.resources.insert(name, resource);
        }
        let spec = ApplicationSpec { common, staging: in_folder, attempts, work, files, tokens, nodes };
        spec.store(&mut launch.credentials)?;
        Ok(yarn.client.submit(self.submission(config, launch, attempts).to_proto(id)).await?)
    }

    /// Stages the user's keys for the ApplicationMaster, so that it gets new tokens; `None` where there are none.
    fn ship_keys(
        &self,
        staging: &Staging,
        id: ApplicationIdProto,
        secured: &[HdfsFileSystem],
        of_master: &mut Vec<StagedFile>,
    ) -> Result<Option<NewTokens>> {
        let keytab = self.config.get(&security::KERBEROS_KEYTAB).filter(|_| !secured.is_empty());
        let is_shipped = self.config.get(&yarn::SHIP_LOCAL_KEYTAB);
        let (Some(keytab), Some(principal), true) =
            (keytab, self.config.get(&security::KERBEROS_PRINCIPAL), is_shipped)
        else {
            return Ok(None);
        };
        let krb5_conf = self.config.get(&security::KERBEROS_KRB5_CONF).map(|path| (KRB5_CONF, path));
        for (name, path) in [Some((KEYTAB, keytab)), krb5_conf].into_iter().flatten() {
            let content = std::fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
            of_master.push(staging.write(id, name, &content)?);
        }
        let file_systems = secured.iter().map(|hdfs| hdfs.authority().to_owned()).collect();
        Ok(Some(NewTokens { principal, file_systems }))
    }

    /// Nodes and their racks, those first on which containers should be.
    async fn nodes(&self, yarn: &Yarn, config: &Configuration) -> Result<Vec<(String, String)>> {
        let with_ports = yarn.conf.flag("yarn.scheduler.include-port-in-node-name", false)?;
        let node = |node: NodeReportProto| {
            let id = node.node_id.clone().unwrap_or_default();
            Node {
                name: if with_ports { id.to_string() } else { id.host().to_owned() },
                rack: node.rack_name().to_owned(),
                host: id.host().to_owned(),
                free_mb: node.capability.map_or(0, |all| all.memory()) - node.used.map_or(0, |used| used.memory()),
            }
        };
        let nodes = yarn.client.nodes(&[NodeStateProto::NsRunning]).await?.into_iter().map(node).collect();
        let wanted = config.get(&taskmanager::PROCESS_MEMORY).map_or(0, |size| size.0.div_ceil(1 << 20));
        let best = best_first(nodes, &self.near, i64::try_from(wanted).unwrap_or(i64::MAX));
        Ok(best.into_iter().take(NODES_MAX).map(|node| (node.name, node.rack)).collect())
    }

    fn submission(&self, config: &Configuration, launch: Launch, attempts: u32) -> Submission {
        Submission {
            name: config.get(&yarn::APPLICATION_NAME).unwrap_or_else(|| self.name.clone()),
            kind: config.get(&yarn::APPLICATION_TYPE),
            queue: config.get(&yarn::APPLICATION_QUEUE),
            priority: config.get(&yarn::APPLICATION_PRIORITY).map(|priority| priority.get() as i32),
            tags: config.get(&yarn::TAGS).unwrap_or_default(),
            node_label: config.get(&yarn::APPLICATION_NODE_LABEL),
            attempts,
            failures_validity: config.get(&yarn::ATTEMPT_FAILURES_VALIDITY_INTERVAL),
            keep_containers: attempts > 1,
            memory_mb: config.get(&jobmanager::PROCESS_MEMORY).0.div_ceil(1 << 20),
            vcores: config.get(&yarn::APPMASTER_VCORES).get(),
            launch,
        }
    }
}

/// The environment of a container's process, besides what YARN sets.
pub(super) fn environment(common: &Common) -> std::collections::BTreeMap<String, String> {
    let variable = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    [variable("HADOOP_CONF_DIR", super::container::HADOOP_CONF), variable("HADOOP_USER_NAME", &common.user)].into()
}

/// Refuses certificates: their files are the client's machine's, and the name of a container's host isn't known before.
fn check_encryption(config: &Configuration) -> Result<()> {
    let asked =
        [&security::SSL_INTERNAL_ENABLED, &security::SSL_REST_ENABLED].into_iter().find(|option| config.get(option));
    match asked {
        Some(option) => Err(Error::usage(format!(
            "{} is true, and connections of an application on YARN can't be encrypted: each has a secret of its own \
             instead; set it to false (-D {}=false)",
            option.key(),
            option.key()
        ))),
        None => Ok(()),
    }
}

/// Refuses containers that no node could hold, before anything is staged.
fn check_sizes(config: &Configuration, most: &ResourceProto) -> Result<()> {
    // Says what is wrong with the division of that memory.
    let slots = taskexecutor_options(config, Some("none:0"))?.slots;
    let vcores = config.get(&yarn::CONTAINERS_VCORES).map_or(slots, std::num::NonZeroU32::get);
    let memory = |bytes: u64| i64::try_from(bytes.div_ceil(1 << 20)).unwrap_or(i64::MAX);
    let executor = memory(config.get(&taskmanager::PROCESS_MEMORY).map_or(0, |size| size.0));
    let master = memory(config.get(&jobmanager::PROCESS_MEMORY).0);
    for (what, option, wanted, most, unit) in [
        ("TaskExecutor", taskmanager::PROCESS_MEMORY.key(), executor, most.memory(), "MB"),
        ("JobManager", jobmanager::PROCESS_MEMORY.key(), master, most.memory(), "MB"),
        ("TaskExecutor", yarn::CONTAINERS_VCORES.key(), i64::from(vcores), i64::from(most.virtual_cores()), "cores"),
    ] {
        if wanted > most {
            return Err(Error::Resource {
                message: format!(
                    "the container of a {what} would have {wanted} {unit}, and YARN gives {most} {unit} at most \
                     (option {option})"
                ),
            });
        }
    }
    Ok(())
}

async fn check_queue(yarn: &Yarn, config: &Configuration) -> Result<()> {
    let name = config.get(&yarn::APPLICATION_QUEUE);
    // A ResourceManager says of an unknown queue that there is none, or that it doesn't know it.
    match yarn.client.queue(&name).await {
        Ok(Some(queue)) if queue.state() == QueueStateProto::QStopped => {
            Err(Error::Resource { message: format!("queue '{name}' is stopped (option yarn.application.queue)") })
        }
        Ok(Some(_)) => Ok(()),
        Err(error) if error.is_transient() => Err(error.into()),
        Ok(None) | Err(_) => {
            let root = yarn.client.queue("root").await?.unwrap_or_default();
            let names: Vec<&str> = root.child_queues.iter().map(|queue| queue.queue_name()).collect();
            let names = names.join(", ");
            Err(Error::usage(format!("there is no queue '{name}' (option yarn.application.queue); there are: {names}")))
        }
    }
}

impl Yarn {
    /// Waits until an application runs, and says on the way what it waits for; where its JobManager is.
    ///
    /// Errors when it has ended, when it doesn't run within `yarn.application.start-timeout`, and when this process is
    /// told to end; it is killed then, and its folder removed.
    pub(super) async fn until_it_runs(
        &self,
        submitted: Submitted,
        config: &Configuration,
    ) -> Result<(Session, ApplicationReportProto)> {
        let Submitted { id, secret, writing } = submitted;
        let runs = self.wait(id, config).await;
        let written = writing.join().unwrap_or_else(|_| Err(Error::internal("writing the secret has panicked")));
        let runs = match (runs, written) {
            (Ok(report), Err(error)) => match self.report(id).await {
                // It has ended already, and removed the folder under the file.
                Ok(now) if has_ended(&now) => Ok(report),
                _ => Err(error),
            },
            (runs, _) => runs,
        };
        match runs {
            Ok(report) => {
                let address = format!("{}:{}", report.host(), report.rpc_port());
                Ok((Session { id, address, secret }, report))
            }
            Err(error) => {
                let why = match &error {
                    Error::Cancelled => "its client was told to end",
                    _ => "its client has given up",
                };
                // The first error is what counts; the application may have ended.
                let _ = self.end(id, why).await;
                let _ = Staging::new(&self.hdfs, config).remove(id);
                Err(error)
            }
        }
    }

    /// Waits for it; an application that is waited for in vain goes on.
    async fn wait(&self, id: ApplicationIdProto, config: &Configuration) -> Result<ApplicationReportProto> {
        let (since, timeout) = (Instant::now(), config.get(&yarn::START_TIMEOUT));
        let mut said = String::new();
        loop {
            let report = self.report(id).await?;
            if has_ended(&report) {
                return Err(ended_error(id, &report));
            }
            if flinkrs::received_signal().is_some() {
                return Err(Error::Cancelled);
            }
            if report.yarn_application_state() == YarnApplicationStateProto::Running && report.rpc_port() > 0 {
                return Ok(report);
            }
            let waits = super::first_lines(report.diagnostics());
            if since.elapsed() > timeout {
                let seconds = timeout.as_secs_f64();
                let message =
                    format!("{id} has not started within {seconds} s (option yarn.application.start-timeout): {waits}");
                return Err(Error::Resource { message });
            }
            if since.elapsed() > Duration::from_secs(2) && !waits.is_empty() && waits != said {
                eprintln!("{id} waits: {waits}");
                said = waits;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends an application from YARN's side.
    pub(super) async fn end(&self, id: ApplicationIdProto, why: &str) -> Result<()> {
        let since = Instant::now();
        while !self.client.kill(id, why).await? && since.elapsed() < END_MAX {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Removes the folder of an application that has ended: one that was killed couldn't.
    pub(super) async fn clean_up(&self, id: ApplicationIdProto, config: &Configuration) -> Result<()> {
        match has_ended(&self.report(id).await?) {
            true => Staging::new(&self.hdfs, config).remove(id),
            false => Ok(()),
        }
    }

    /// Waits until an application that ends has ended; kills it when it takes too long.
    pub(super) async fn until_it_ends(&self, id: ApplicationIdProto) -> Result<ApplicationReportProto> {
        let since = Instant::now();
        loop {
            let report = self.report(id).await?;
            if has_ended(&report) {
                return Ok(report);
            }
            if since.elapsed() > END_MAX {
                self.end(id, "it has not ended by itself").await?;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
