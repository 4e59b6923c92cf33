//! Keys that travel: to ApplicationMasters, which get new tokens with them, and to standalone clusters.

use super::jobs::{expected, make_input, sums, take_output, tokens_of};
use super::{keytab_options, realm};
use crate::support::{block_on, conf, folder, hdfs, wait_until};
use crate::yarn::harness::*;
use flinkrs_hadoop::NameNode;
use flinkrs_hadoop::error::Meaning;
use flinkrs_hadoop::rpc::{Auth, Options};
use flinkrs_hadoop::token::Token;
use flinkrs_tests::hadoop::Cluster;
use std::path::Path;

/// The NameNode as ann.
fn name_node(cluster: &Cluster) -> NameNode {
    let conf = conf(cluster);
    let authority = conf.get("fs.defaultFS").unwrap().unwrap().trim_start_matches("hdfs://").to_owned();
    let options = Options::from_configuration(&conf).unwrap();
    NameNode::new(&conf, &authority, Auth::of(&conf).unwrap(), options).unwrap()
}

/// The token for HDFS of the container with the only TaskExecutor.
fn token(cluster: &Cluster) -> Token {
    let executor = processes(cluster).into_iter().find(Process::is_executor).unwrap();
    let mut tokens = tokens_of(&executor.place).into_iter();
    tokens.find(|token| token.kind == "HDFS_DELEGATION_TOKEN").unwrap()
}

/// With keys an application gets tokens of its own, and its containers find them. The first one, which can't be renewed
/// for ever, isn't needed any more: not for workers, and not for containers that are started later.
pub(crate) fn sessions_get_new_tokens(cluster: &mut Cluster) {
    make_input(cluster);
    let output = "hdfs:///user/ann/renewed";
    let realm = realm().unwrap();
    let keys = keytab_options(&realm.keytab("ann"), "ann");
    let krb5_conf = format!("-Dsecurity.kerberos.krb5-conf.path={}", realm.config().display());
    let id = session(cluster, &[&keys[0], &keys[1], &krb5_conf, "-Dresourcemanager.taskmanager-timeout=10min"]);
    let staged = hdfs(cluster).details(Path::new(&format!("/user/ann/.flinkrs/{id}/krb5.keytab"))).unwrap();
    assert_eq!((staged.permission, staged.owner.as_str()), (0o600, "ann"));
    said(cluster, &[&["run", "-p", "1"][..], &sums(output)].concat()).ok();
    assert_eq!(take_output(cluster, output), expected());
    let has_keys = |process: &Process| process.place.join("krb5.keytab").exists();
    let all = processes(cluster);
    assert!(all.iter().filter(|process| process.is_master()).all(has_keys));
    assert!(!all.iter().filter(|process| process.is_executor()).any(has_keys));

    let first = token(cluster);
    wait_until("a new token", || token(cluster) != first);
    block_on(name_node(cluster).cancel_delegation_token(&first)).unwrap();
    said(cluster, &[&["run", "-p", "2"][..], &sums(output)].concat()).ok();
    assert_eq!(take_output(cluster, output), expected());
    assert_eq!(containers_given(cluster, id), 3);

    // The last one ends with the application.
    let mut last = Vec::new();
    wait_until("another token", || {
        let token = token(cluster);
        if !last.contains(&token) {
            last.push(token);
        }
        last.len() == 2
    });
    stop(cluster, id);
    let renewed = block_on(name_node(cluster).renew_delegation_token(last.last().unwrap()));
    assert_eq!(renewed.unwrap_err().meaning(), Some(Meaning::InvalidToken));
}

/// Processes of a standalone cluster are told the keytab, and tell their workers.
pub(crate) fn standalone_clusters_have_the_keys(cluster: &mut Cluster) {
    make_input(cluster);
    let (output, folder) = ("hdfs:///user/ann/standalone", folder(cluster, "standalone"));
    let keys = keytab_options(&realm().unwrap().keytab("ann"), "ann");
    let address = folder.join("address");
    let at = |name: &str| folder.join(name).display().to_string();
    let begin = |command: &str, arguments: &[&str]| {
        let temp = format!("-Dio.tmp.dirs={}", folder.display());
        let arguments = [&[command, &keys[0], &keys[1], &temp], arguments].concat();
        Running::start(flinkrs(cluster, &arguments).env("KRB5CCNAME", "FILE:/no/tickets"))
    };
    let jobmanager =
        begin("jobmanager", &["--address-file", &at("address"), "-Djobmanager.rpc.port=0", "-Drest.port=0"]);
    wait_until("the JobManager", || std::fs::read_to_string(&address).is_ok_and(|text| text.contains(':')));
    let address = std::fs::read_to_string(&address).unwrap().trim().to_owned();
    let executor = begin("taskexecutor", &["-m", &address, "-Dtaskmanager.memory.process.size=256mb"]);
    let arguments = [&["-m", &address, "-p", "1"][..], &sums(output)].concat();
    begin("run", &arguments).end().ok();
    assert_eq!(take_output(cluster, output), expected());
    for process in [executor, jobmanager] {
        process.signal("TERM");
        process.end();
    }
}
