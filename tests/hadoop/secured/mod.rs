//! A secured cluster: who is in its Kerberos realm gets in, by tickets, keytab or token, and nobody else.
//!
//! MIT's library finds the realm by environment variables, so these scenarios run in a process of their own.
//!
//! | module | what is tried |
//! |---|---|
//! | `logins` | ticket cache and keytab, all protections, files |
//! | `jobs` | programs on YARN, whose containers have tokens and nothing else |
//! | `tokens` | keys that travel: sessions that outlive their tokens, standalone clusters |
//! | `mistakes` | what is said to who gets no ticket, or speaks to somebody else |

mod jobs;
mod logins;
mod mistakes;
mod tokens;

use crate::Scenario;
use crate::support::conf;
use flinkrs_core::fs::FileSystem;
use flinkrs_hadoop::conf::Configuration;
use flinkrs_hadoop::kerberos::{KEYTAB, PRINCIPAL};
use flinkrs_hdfs::HdfsFileSystem;
use flinkrs_tests::hadoop::kdc::{Kdc, REALM, Realm};
use flinkrs_tests::hadoop::{Cluster, Daemon, Property};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable with the folder of the realm that this process is in.
const IN_REALM: &str = "FLINKRS_TEST_REALM";

/// How long the tickets of the whole run last.
const TICKET_SECONDS: u32 = 3600;

/// A token has to be renewed that often; YARN does it when nine tenths of the time are over.
const RENEWAL_SECONDS: u64 = 10;

const PROPERTIES: &[Property] = &[("hdfs-site.xml", "dfs.namenode.delegation.token.renew-interval", "10000")];

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("secured_by_ticket_cache_and_keytab", logins::by_ticket_cache_and_keytab),
    ("secured_files_are_files", logins::files_are_files),
    ("secured_jobs_read_and_write", jobs::jobs_read_and_write),
    ("secured_sessions_outlive_renewals", jobs::sessions_outlive_renewals),
    ("secured_masters_are_replaced", jobs::masters_are_replaced),
    ("secured_sessions_get_new_tokens", tokens::sessions_get_new_tokens),
    ("secured_standalone_clusters_have_the_keys", tokens::standalone_clusters_have_the_keys),
    ("secured_mistakes_are_said", mistakes::mistakes_are_said),
    ("secured_servers_have_to_be_known", mistakes::servers_have_to_be_known),
];

/// The realm that this process is in.
pub(crate) fn realm() -> Option<Realm> {
    std::env::var_os(IN_REALM).map(|folder| Realm::at(Path::new(&folder)))
}

/// Starts a realm, and this program in it, with names of scenarios; whether all have passed.
pub(crate) fn run_in_realm(names: &[String]) -> bool {
    let kdc = match Kdc::start() {
        Ok(kdc) => kdc,
        Err(error) => {
            eprintln!("{error}");
            return false;
        }
    };
    let realm = kdc.realm();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(names).env(IN_REALM, realm.folder()).env("KRB5_CONFIG", realm.config());
    command.env("KRB5CCNAME", tickets(realm)).status().unwrap().success()
}

/// The cluster, with a folder for ann, who has tickets.
pub(crate) fn cluster(realm: &Realm) -> Result<Cluster, String> {
    realm.kinit("ann", "ann", &tickets(realm), TICKET_SECONDS)?;
    let cluster = Cluster::start_secured(&Daemon::ALL, PROPERTIES, realm)?;
    let superuser = files_as(&cluster, "nn", &format!("nn/localhost@{REALM}"));
    let made =
        superuser.create_dir(Path::new("/user")).and_then(|()| superuser.set_permission(Path::new("/user"), 0o1777));
    made.and_then(|()| files_as(&cluster, "ann", "ann").create_dir(Path::new("/user/ann")))
        .map_err(|error| error.to_string())?;
    Ok(cluster)
}

fn tickets(realm: &Realm) -> PathBuf {
    realm.folder().join("ann.tickets")
}

/// What a process is told that logs in by a keytab.
fn keytab_variables(name: &str, principal: &str) -> BTreeMap<String, String> {
    let path = realm().unwrap().keytab(name).display().to_string();
    BTreeMap::from([(KEYTAB.to_owned(), path), (PRINCIPAL.to_owned(), principal.to_owned())])
}

/// Options by which the command logs in by a keytab.
fn keytab_options(path: &Path, principal: &str) -> [String; 2] {
    let path = path.display();
    [format!("-Dsecurity.kerberos.login.keytab={path}"), format!("-Dsecurity.kerberos.login.principal={principal}")]
}

/// HDFS as who has the keys in a keytab.
fn files_as(cluster: &Cluster, name: &str, principal: &str) -> HdfsFileSystem {
    let conf = Configuration::load(&cluster.conf_dir(), keytab_variables(name, principal)).unwrap();
    HdfsFileSystem::new(&conf, "").unwrap()
}

/// A folder with the cluster's configuration and one more property.
fn changed_conf(cluster: &Cluster, name: &str, key: &str, value: &str) -> PathBuf {
    let folder = crate::support::folder(cluster, name);
    let conf = conf(cluster);
    let property = |key: &str, value: &str| format!("<property><name>{key}</name><value>{value}</value></property>\n");
    let others = conf.keys().filter(|set| *set != key);
    let others: String = others.map(|key| property(key, &conf.get(key).unwrap().unwrap())).collect();
    let text = format!("<configuration>\n{others}{}</configuration>\n", property(key, value));
    std::fs::write(folder.join("core-site.xml"), text).unwrap();
    folder
}
