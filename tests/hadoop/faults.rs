//! What goes wrong: requests, tokens, containers, and the ResourceManager.

use crate::support::*;
use flinkrs_hadoop::Error;
use flinkrs_hadoop::error::Meaning;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_hadoop::rpc::Options;
use flinkrs_hadoop::token::{Credentials, Token};
use flinkrs_hadoop::{ApplicationMaster, ContainerManager};
use flinkrs_tests::hadoop::{Cluster, Daemon};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(crate) fn impossible_requests_are_typed_errors(cluster: &mut Cluster) {
    block_on(async {
        let client = client(cluster);
        let unknown = client.report(ApplicationIdProto { id: Some(77), cluster_timestamp: Some(1) }).await.unwrap_err();
        assert_eq!(unknown.meaning(), Some(Meaning::NoApplication), "{unknown}");
        let id = client.new_application().await.unwrap().application_id.unwrap();
        let mut large = submission("large", master(cluster, cluster.folder(), &[]));
        large.memory_mb = 1 << 20;
        let error = client.submit(large.to_proto(id)).await.unwrap_err();
        assert_eq!(error.meaning(), Some(Meaning::InvalidRequest), "{error}");
        let mut nowhere = submission("nowhere", master(cluster, cluster.folder(), &[]));
        nowhere.queue = "no-such-queue".to_owned();
        let id = submit(&client, &nowhere).await;
        let report = end(&client, id).await;
        assert_eq!(report.yarn_application_state(), YarnApplicationStateProto::Failed);
        assert!(report.diagnostics().contains("unknown queue: no-such-queue"), "{}", report.diagnostics());
    });
}

/// Attempt 1 of an application that never was, as field 1 of a token's identifier.
const NOBODY: &[u8] = &[10, 8, 10, 4, 8, 1, 16, 1, 16, 1];

/// Node `localhost:1`, as field 2 of an NMToken's identifier, and a user as field 3.
const NODE_AND_USER: &[u8] = b"\x12\x0d\x0a\x09localhost\x10\x01\x1a\x03ann";

pub(crate) fn wrong_tokens_are_refused(cluster: &mut Cluster) {
    let token = |kind: &str, identifier: &[&[u8]]| Token {
        identifier: identifier.concat(),
        password: vec![7; 20],
        kind: kind.to_owned(),
        service: String::new(),
    };
    block_on(async {
        let mut credentials = Credentials::default();
        credentials.tokens.insert(String::new(), token("YARN_AM_RM_TOKEN", &[NOBODY]));
        let master = ApplicationMaster::new(&conf(cluster), &credentials, Options::default()).unwrap();
        let error = master.register("localhost", 0, "").await.unwrap_err();
        let is_login =
            matches!(&error, Error::Login { method: "TOKEN", message, .. } if message.contains("InvalidToken"));
        assert!(is_login, "{error}");
        let client = client(cluster);
        let node = client.nodes(&[]).await.unwrap()[0].node_id.clone().unwrap();
        let manager = ContainerManager::new(&node, token("NMToken", &[NOBODY, NODE_AND_USER]), Options::default());
        let error = manager.statuses(Vec::new()).await.unwrap_err();
        assert!(matches!(&error, Error::Login { method: "TOKEN", .. }), "{error}");
    });
}

pub(crate) fn a_container_over_its_memory_is_killed(cluster: &mut Cluster) {
    let output = folder(cluster, "memory");
    block_on(async {
        let client = client(cluster);
        let hog = "x=$(head -c 300000000 /dev/zero | tr '\\0' a); sleep 100; test -n \"$x\"";
        let launch = master(cluster, &output, &[("COMMAND", hog)]);
        let id = submit(&client, &submission("memory", launch)).await;
        let report = end(&client, id).await;
        let (status, diagnostics) = outcome(&report);
        assert_eq!(status, FinalApplicationStatusProto::AppFailed, "{diagnostics}");
        assert!(diagnostics.contains("OverMemory"), "{diagnostics}");
        assert!(diagnostics.contains("beyond the 'PHYSICAL' memory limit"), "{diagnostics}");
    });
    wait_until("the end of the containers", || cluster.containers(None).is_empty());
}

pub(crate) fn a_manager_that_is_away_is_passed_over(cluster: &mut Cluster) {
    let mut conf = conf(cluster);
    let active = conf.get("yarn.resourcemanager.address").unwrap().unwrap();
    conf.set("yarn.resourcemanager.ha.enabled", "true");
    conf.set("yarn.resourcemanager.ha.rm-ids", "away,active");
    conf.set("yarn.resourcemanager.address.away", "127.0.0.1:9");
    conf.set("yarn.resourcemanager.address.active", &active);
    let client = client_of(&conf);
    assert_eq!(block_on(client.metrics()).unwrap().num_active_nms(), 2);
}

/// Stops the ResourceManager in its tracks: it accepts connections, and says nothing.
pub(crate) fn a_manager_that_hangs_costs_the_timeout(cluster: &mut Cluster) {
    let mut conf = conf(cluster);
    conf.set("ipc.client.rpc-timeout.ms", "300");
    conf.set("ipc.client.connect.timeout", "300");
    conf.set("yarn.resourcemanager.connect.max-wait.ms", "1000");
    let client = client_of(&conf);
    block_on(async {
        client.metrics().await.unwrap();
        cluster.signal(Daemon::ResourceManager, "STOP").unwrap();
        let silent = client.metrics().await;
        cluster.signal(Daemon::ResourceManager, "CONT").unwrap();
        let error = silent.unwrap_err();
        assert!(matches!(&error, Error::Timeout { .. }), "{error}");
    });
    wait_until("the end of the silence", || block_on(client.metrics()).is_ok());
}

/// What a container does that notes its start, and ends when it is told to.
const WAIT: &str = r#"echo >> "$2.started"; until [ -e "$2.go" ]; do sleep 0.1; done; echo > "$2""#;

/// The ports of the nodes, by which the files of their containers are called.
fn ports(cluster: &Cluster) -> [String; 2] {
    cluster.node_names().map(|name| name.rsplit_once(':').unwrap().1.to_owned())
}

/// How often the container of a node has been started.
fn starts(output: &Path, port: &str) -> usize {
    std::fs::read_to_string(output.join(format!("{port}.started"))).map_or(0, |text| text.lines().count())
}

/// The processes of ApplicationMasters, on one node or anywhere.
fn masters(cluster: &Cluster, node: Option<Daemon>) -> Vec<u32> {
    let name = |id: &u32| std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    cluster.containers(node).into_iter().filter(|id| name(id).trim() == "yarn-master").collect()
}

/// An ApplicationMaster dies; the next attempt takes its containers over.
pub(crate) fn the_containers_of_a_dead_master_are_kept(cluster: &mut Cluster) {
    let output = folder(cluster, "kept");
    let client = client(cluster);
    let mut submission = submission("kept", master(cluster, &output, &[("COMMAND", WAIT)]));
    (submission.attempts, submission.keep_containers) = (2, true);
    let id = block_on(submit(&client, &submission));
    let ports = ports(cluster);
    wait_until("the start of the containers", || ports.iter().all(|port| starts(&output, port) == 1));
    // YARN keeps only those of which their nodes have told it that they run; it says so nowhere but in its log.
    let log = cluster.folder().join("logs/resourcemanager.log");
    let number = id.to_string().replace("application", "container");
    let noticed = |line: &&str| line.contains(&number) && line.ends_with("ACQUIRED to RUNNING");
    wait_until("the nodes' reports", || std::fs::read_to_string(&log).unwrap().lines().filter(noticed).count() == 3);
    let first = masters(cluster, None);
    assert_eq!(first.len(), 1);
    cluster.kill_process(first[0]).unwrap();
    wait_until("the registration of the second attempt", || {
        let report = block_on(client.report(id)).unwrap();
        let attempt = report.current_application_attempt_id.unwrap_or_default().attempt_id();
        attempt == 2 && report.yarn_application_state() == YarnApplicationStateProto::Running
    });
    ports.iter().for_each(|port| std::fs::write(output.join(format!("{port}.go")), "").unwrap());
    let report = block_on(end(&client, id));
    let (status, diagnostics) = outcome(&report);
    assert_eq!(status, FinalApplicationStatusProto::AppSucceeded, "{diagnostics}");
    assert!(ports.iter().all(|port| starts(&output, port) == 1), "no container was started again");
}

/// A node dies with its container; the application gets another one there once the node is back.
pub(crate) fn a_container_of_a_lost_node_is_replaced(cluster: &mut Cluster) {
    let output = folder(cluster, "lost");
    let client = client(cluster);
    let launch = master(cluster, &output, &[("COMMAND", WAIT)]);
    let id = block_on(submit(&client, &submission("lost", launch)));
    let ports = ports(cluster);
    wait_until("the start of the containers", || ports.iter().all(|port| starts(&output, port) == 1));
    // Not the ApplicationMaster's own node.
    let runs_master = !masters(cluster, Some(Daemon::NodeManager1)).is_empty();
    let (lost, port) = match runs_master {
        true => (Daemon::NodeManager2, &ports[1]),
        false => (Daemon::NodeManager1, &ports[0]),
    };
    cluster.kill_node(lost).unwrap();
    wait_until("the loss of the node", || {
        block_on(client.nodes(&[NodeStateProto::NsLost])).is_ok_and(|nodes| nodes.len() == 1)
    });
    cluster.start_daemon(lost).unwrap();
    wait_until("another container", || starts(&output, port) == 2);
    ports.iter().for_each(|port| std::fs::write(output.join(format!("{port}.go")), "").unwrap());
    let report = block_on(end(&client, id));
    assert_eq!(outcome(&report), (FinalApplicationStatusProto::AppSucceeded, "all done"));
    assert!(ports.iter().all(|port| output.join(port).exists()));
}

/// Kills the ResourceManager while a client asks and an ApplicationMaster reports; neither sees more than a delay.
pub(crate) fn the_manager_restarts_under_an_application(cluster: &mut Cluster) {
    let output = folder(cluster, "restart");
    let hold = output.join("go-on");
    let client = client(cluster);
    let launch = master(cluster, &output, &[("HOLD", &hold.display().to_string())]);
    let id = block_on(submit(&client, &submission("restart", launch)));
    wait_until("the work of the containers", || {
        cluster.node_names().iter().all(|name| output.join(name.rsplit_once(':').unwrap().1).exists())
    });
    let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ask = async || {
        while !done.load(Ordering::Relaxed) {
            let report = client.report(id).await.unwrap();
            assert_eq!(report.application_id, Some(id));
            calls.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| block_on(ask()));
        wait_until("the first answers", || calls.load(Ordering::Relaxed) > 10);
        cluster.kill(Daemon::ResourceManager).unwrap();
        let before = calls.load(Ordering::Relaxed);
        cluster.start_daemon(Daemon::ResourceManager).unwrap();
        wait_until("answers after the restart", || calls.load(Ordering::Relaxed) > before + 10);
        done.store(true, Ordering::Relaxed);
        asking.join().unwrap();
    });
    std::fs::write(&hold, "").unwrap();
    let report = block_on(end(&client, id));
    let (status, diagnostics) = outcome(&report);
    assert_eq!(status, FinalApplicationStatusProto::AppSucceeded);
    assert!(diagnostics.ends_with("all done"), "{diagnostics}");
    let log = find(&cluster.folder().join("data"), "master.out").expect("the ApplicationMaster has a log");
    assert!(log.contains("registering again"), "{log}");
    for node in [Daemon::NodeManager1, Daemon::NodeManager2] {
        cluster.wait_for(node).unwrap();
    }
}

/// The text of the youngest file of this name.
fn find(folder: &Path, name: &str) -> Option<String> {
    let mut folders = vec![folder.to_path_buf()];
    let mut found = None;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with(name) {
                let changed = path.metadata().ok()?.modified().ok()?;
                found = found.max(Some((changed, path)));
            }
        }
    }
    std::fs::read_to_string(found?.1).ok()
}
