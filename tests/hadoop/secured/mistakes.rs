//! What is said when a login can't be.

use super::{changed_conf, keytab_options, realm};
use crate::support::{conf, folder};
use crate::yarn::harness::{Said, flinkrs, nothing_is_left, run};
use flinkrs_tests::hadoop::Cluster;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// None of them takes longer.
const LONGEST: Duration = Duration::from_secs(25);

/// Asks for the cluster, with options and variables.
fn ask(cluster: &Cluster, options: &[String], variables: &[(&str, &Path)]) -> Said {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut command = flinkrs(cluster, &[&["yarn-session", "-q"], &options[..]].concat());
    timed(command.envs(variables.iter().copied()))
}

fn timed(command: &mut Command) -> Said {
    let since = Instant::now();
    let said = run(command);
    assert!(since.elapsed() < LONGEST, "{:?}: {said:?}", since.elapsed());
    said
}

pub(crate) fn mistakes_are_said(cluster: &mut Cluster) {
    let (realm, home) = (realm().unwrap(), folder(cluster, "tickets"));
    let none = home.join("none");
    let without = [("KRB5CCNAME", none.as_path())];
    ask(cluster, &[], &without).failed(2, &["no Kerberos ticket", "`kinit`", "security.kerberos.login.keytab"]);
    let unused = ["-Dsecurity.kerberos.login.use-ticket-cache=false".to_owned()];
    ask(cluster, &unused, &[]).failed(2, &["use-ticket-cache is false", "security.kerberos.login.keytab"]);
    let short = home.join("short");
    realm.kinit("ann", "ann", &short, 1).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    ask(cluster, &[], &[("KRB5CCNAME", &short)]).failed(2, &["has expired", "`kinit`"]);

    let of_ann = realm.keytab("ann");
    let keys = |path: &Path, principal: &str| keytab_options(path, principal).to_vec();
    ask(cluster, &keys(&of_ann, "ann")[..1], &without).failed(2, &["set together"]);
    ask(cluster, &keys(&home.join("no.keytab"), "ann"), &without).failed(3, &["cannot read keytab", "no.keytab"]);
    ask(cluster, &keys(&realm.keytab("eve"), "ann"), &without).failed(4, &["eve.keytab has no keys of ann"]);
    ask(cluster, &keys(&realm.keytab("old"), "old"), &without).failed(4, &["old.keytab has to have the keys of old"]);
    ask(cluster, &keys(&of_ann, "ann@NO.WHERE"), &without).failed(4, &["ann.keytab has no keys of ann@NO.WHERE"]);

    // A library that is none stands for one that isn't installed.
    std::fs::write(home.join("libgssapi_krb5.so.2"), "").unwrap();
    let words = ["MIT's Kerberos can't be loaded", "libgssapi-krb5-2", "krb5-libs"];
    ask(cluster, &[], &[("LD_LIBRARY_PATH", &home)]).failed(2, &words);

    // Nobody at the KDC's address, or somebody who never answers. The tickets in the cache are for others.
    let fresh = home.join("fresh");
    realm.kinit("ann", "ann", &fresh, 600).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = realm.config_with_port("closed.conf", closed).unwrap();
    let silent_conf = realm.config_with_port("silent.conf", silent.local_addr().unwrap().port()).unwrap();
    let words = ["Cannot contact any KDC", "KRB5_CONFIG"];
    ask(cluster, &[], &[("KRB5CCNAME", &fresh), ("KRB5_CONFIG", &closed)]).failed(4, &words);
    ask(cluster, &keys(&of_ann, "ann"), &[("KRB5_CONFIG", &closed)]).failed(4, &words);
    let words = ["KDC", "doesn't answer within 15 s"];
    ask(cluster, &[], &[("KRB5CCNAME", &fresh), ("KRB5_CONFIG", &silent_conf)]).failed(4, &words);
    drop(silent);

    // A program that reads HDFS by itself says the same.
    let program = ["run", "-t", "local", crate::yarn::harness::PROGRAM, "sums", "--input", "hdfs:///user/ann/none"];
    let local = || flinkrs(cluster, &program);
    timed(local().env("KRB5CCNAME", &none)).failed(2, &["no Kerberos ticket", "`kinit`"]);
    let away = timed(local().env("KRB5CCNAME", &fresh).env("KRB5_CONFIG", &closed));
    away.failed(4, &["hdfs:///user/ann/none", "Cannot contact any KDC"]);
    nothing_is_left(cluster);
}

/// A client talks to nobody but whom its configuration names, and says what is wrong with that.
pub(crate) fn servers_have_to_be_known(cluster: &mut Cluster) {
    let with = |key: &str, value: &str| {
        let conf = changed_conf(cluster, "changed", key, value);
        timed(flinkrs(cluster, &["yarn-session", "-q"]).env("HADOOP_CONF_DIR", conf))
    };
    let key = "yarn.resourcemanager.principal";
    with(key, "rm/other@FLINKRS.TEST").failed(4, &["it is rm/localhost", key, "rm/other"]);
    with(key, "").failed(4, &["doesn't set", key]);
    with(&format!("{key}.pattern"), "r?/*@FLINKRS.TEST").ok();
    with(&format!("{key}.pattern"), "nn/*").failed(4, &["it is rm/localhost", "nn/*"]);
    // The KDC doesn't know a server of that name.
    with(key, "rm/_HOST@NO.WHERE").failed(4, &["no login to", "Kerberos"]);
    with("hadoop.security.authentication", "simple")
        .failed(4, &["refuses the login by SIMPLE", "hadoop.security.authentication has to be kerberos"]);
    assert_eq!(conf(cluster).get("hadoop.security.authentication").unwrap().as_deref(), Some("kerberos"));
}
