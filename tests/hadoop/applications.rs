//! What works: applications from their submission to their end.

use crate::support::*;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_hadoop::token::{Credentials, Format, Token};
use flinkrs_tests::hadoop::Cluster;
use flinkrs_yarn_am::launch::Launch;
use std::path::Path;

/// What the test's ApplicationMaster passes to its containers, as argument and as variable.
const AWKWARD: &str = "a 'b' \"c\" $HOME `d` {{e}} <LOG_DIR> \\ *";

pub(crate) fn the_cluster_is_described(cluster: &mut Cluster) {
    block_on(async {
        let client = client(cluster);
        let nodes = client.nodes(&[NodeStateProto::NsRunning]).await.unwrap();
        let mut names: Vec<String> = nodes.iter().map(|node| node.node_id.clone().unwrap().to_string()).collect();
        names.sort();
        assert_eq!(names, cluster.node_names());
        assert!(
            nodes.iter().all(|node| node.rack_name() == "/default-rack" && node.capability.unwrap().memory() == 8192)
        );
        assert!(client.nodes(&[NodeStateProto::NsLost]).await.unwrap().is_empty());
        assert_eq!(client.metrics().await.unwrap().num_active_nms(), 2);
        let queue = client.queue("root").await.unwrap().unwrap();
        let state =
            |name| queue.child_queues.iter().find(|child| child.queue_name() == name).map(|child| child.state());
        assert_eq!(state("default"), Some(QueueStateProto::QRunning));
        assert_eq!(state("stopped"), Some(QueueStateProto::QStopped));
        let most = client.new_application().await.unwrap().maximum_capability.unwrap();
        assert_eq!((most.memory(), most.virtual_cores()), (8192, 4));
    });
}

pub(crate) fn an_application_runs_on_both_nodes(cluster: &mut Cluster) {
    let output = folder(cluster, "both");
    block_on(async {
        let client = client(cluster);
        let submission = submission("both nodes", master(cluster, &output, &[]));
        let id = submit(&client, &submission).await;
        let report = end(&client, id).await;
        assert_eq!(outcome(&report), (FinalApplicationStatusProto::AppSucceeded, "all done"));
        assert_eq!((report.name(), report.user(), report.application_type()), ("both nodes", "ann", "TEST"));
        assert_eq!(report.application_tags, ["test"]);
        let request = GetApplicationsRequestProto {
            application_types: vec!["TEST".to_owned()],
            application_states: vec![YarnApplicationStateProto::Finished as i32],
            ..GetApplicationsRequestProto::default()
        };
        let found = client.applications(request).await.unwrap();
        assert!(found.iter().any(|application| application.application_id == Some(id)));
    });
    check_output(cluster, &output);
}

/// Each node's container has written its argument and its variable, unchanged.
fn check_output(cluster: &Cluster, output: &Path) {
    for name in cluster.node_names() {
        let port = name.rsplit_once(':').unwrap().1;
        let text = std::fs::read_to_string(output.join(port)).unwrap();
        assert_eq!(text, format!("{AWKWARD}|{AWKWARD}"));
    }
}

pub(crate) fn connections_are_protected_as_asked(cluster: &mut Cluster) {
    for protection in ["integrity", "privacy"] {
        let output = folder(cluster, protection);
        block_on(async {
            let client = client(cluster);
            let launch = master(cluster, &output, &[("PROTECTION", protection)]);
            let id = submit(&client, &submission(protection, launch)).await;
            let report = end(&client, id).await;
            assert_eq!(outcome(&report), (FinalApplicationStatusProto::AppSucceeded, "all done"));
        });
        check_output(cluster, &output);
    }
}

pub(crate) fn an_application_is_killed(cluster: &mut Cluster) {
    block_on(async {
        let client = client(cluster);
        let mut launch = Launch { log_name: "sleep".to_owned(), ..Launch::default() };
        launch.command = vec!["/bin/sleep".to_owned(), "1000".to_owned()];
        let id = submit(&client, &submission("sleep", launch)).await;
        wait_until("the start of the container", || !cluster.containers(None).is_empty());
        while !client.kill(id, "no more").await.unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let report = end(&client, id).await;
        assert_eq!(report.yarn_application_state(), YarnApplicationStateProto::Killed);
        assert!(report.diagnostics().contains("no more"), "{}", report.diagnostics());
    });
    wait_until("the end of the container", || cluster.containers(None).is_empty());
}

/// Hadoop's own tool reads a file of ours, and writes it in the other version.
pub(crate) fn tokens_are_those_of_hadoop(cluster: &mut Cluster) {
    let folder = folder(cluster, "tokens");
    let mut credentials = Credentials::default();
    for (alias, bytes) in [("one", 3), ("another", 700)] {
        let token = Token {
            identifier: vec![b'i'; bytes],
            password: vec![b'p'; bytes * 2],
            kind: "flinkrs-test".to_owned(),
            service: alias.to_owned(),
        };
        credentials.tokens.insert(alias.to_owned(), token);
    }
    for (format, other) in [(Format::Writable, "protobuf"), (Format::Protobuf, "java")] {
        let (ours, theirs) = (folder.join(format!("ours-{format:?}")), folder.join(format!("theirs-{other}")));
        credentials.store(&ours, format).unwrap();
        let empty = Credentials::default();
        empty.store(&theirs, format).unwrap();
        let mut tool = cluster.java("org.apache.hadoop.security.token.DtUtilShell");
        let output = tool.args(["append", "-format", other]).arg(&ours).arg(&theirs).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_ne!(std::fs::read(&ours).unwrap()[4], std::fs::read(&theirs).unwrap()[4], "the version is another");
        assert_eq!(Credentials::load(&theirs).unwrap(), credentials, "{format:?}");
    }
}
