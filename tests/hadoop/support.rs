//! What the scenarios share: clients, submissions, and waiting.

use flinkrs_hadoop::ApplicationClient;
use flinkrs_hadoop::conf::Configuration;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_hadoop::rpc::{Auth, Options};
use flinkrs_hdfs::HdfsFileSystem;
use flinkrs_tests::hadoop::Cluster;
use flinkrs_yarn_am::launch::{Launch, Submission};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything may take here, on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(crate) fn conf(cluster: &Cluster) -> Configuration {
    Configuration::load(&cluster.conf_dir(), BTreeMap::new()).unwrap()
}

/// HDFS as its superuser, who runs the NameNode; on a secured cluster as who has tickets.
pub(crate) fn hdfs(cluster: &Cluster) -> HdfsFileSystem {
    HdfsFileSystem::new(&conf(cluster), "").unwrap()
}

pub(crate) fn hdfs_as(cluster: &Cluster, user: &str) -> HdfsFileSystem {
    let environment = BTreeMap::from([("HADOOP_USER_NAME".to_owned(), user.to_owned())]);
    let conf = Configuration::load(&cluster.conf_dir(), environment).unwrap();
    HdfsFileSystem::new(&conf, "").unwrap()
}

pub(crate) fn user() -> Auth {
    Auth::Simple { user: "ann".to_owned() }
}

/// YARN as ann; on a secured cluster as who has tickets.
pub(crate) fn client(cluster: &Cluster) -> ApplicationClient {
    let environment = BTreeMap::from([("HADOOP_USER_NAME".to_owned(), "ann".to_owned())]);
    let conf = Configuration::load(&cluster.conf_dir(), environment).unwrap();
    client_as(&conf, Auth::of(&conf).unwrap())
}

pub(crate) fn client_of(conf: &Configuration) -> ApplicationClient {
    client_as(conf, user())
}

fn client_as(conf: &Configuration, auth: Auth) -> ApplicationClient {
    ApplicationClient::new(conf, auth, Options::from_configuration(conf).unwrap()).unwrap()
}

/// An empty folder of the cluster's.
pub(crate) fn folder(cluster: &Cluster, name: &str) -> PathBuf {
    let folder = cluster.folder().join("tmp").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub(crate) fn submission(name: &str, launch: Launch) -> Submission {
    Submission {
        name: name.to_owned(),
        kind: "TEST".to_owned(),
        queue: "default".to_owned(),
        priority: None,
        tags: vec!["test".to_owned()],
        node_label: None,
        attempts: 1,
        failures_validity: Duration::from_secs(10),
        keep_containers: false,
        memory_mb: 128,
        vcores: 1,
        launch,
    }
}

/// The test's ApplicationMaster, with an output folder and what else it is told.
pub(crate) fn master(cluster: &Cluster, output: &std::path::Path, more: &[(&str, &str)]) -> Launch {
    let mut launch = Launch { log_name: "master".to_owned(), ..Launch::default() };
    launch.command = vec![env!("CARGO_BIN_EXE_yarn-master").to_owned()];
    let conf = cluster.conf_dir().display().to_string();
    let nodes = cluster.node_names().join(",");
    let output = output.display().to_string();
    let told = [("HADOOP_CONF_DIR", conf.as_str()), ("NODES", &nodes), ("OUTPUT", &output)];
    let all = told.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    launch.environment = all.collect();
    launch
}

pub(crate) async fn submit(client: &ApplicationClient, submission: &Submission) -> ApplicationIdProto {
    let id = client.new_application().await.unwrap().application_id.unwrap();
    client.submit(submission.to_proto(id)).await.unwrap();
    id
}

/// Waits until an application has ended.
pub(crate) async fn end(client: &ApplicationClient, id: ApplicationIdProto) -> ApplicationReportProto {
    let since = Instant::now();
    loop {
        let report = client.report(id).await.unwrap();
        let state = report.yarn_application_state();
        use YarnApplicationStateProto::{Failed, Finished, Killed};
        if matches!(state, Failed | Finished | Killed) {
            return report;
        }
        assert!(since.elapsed() < PATIENCE, "{id} is {state:?}: {}", report.diagnostics());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "{what} takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The final status of an application that ended by itself, and its diagnostics.
pub(crate) fn outcome(report: &ApplicationReportProto) -> (FinalApplicationStatusProto, &str) {
    (report.final_application_status(), report.diagnostics())
}
