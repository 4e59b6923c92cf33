//! Clusters on YARN: started, found again, and ended.
//!
//! | module | what lives there |
//! |---|---|
//! | `session` | `flinkrs yarn-session` |
//! | `per_job`, `application` | `flinkrs run -t yarn-per-job` and `-t yarn-application` |
//! | `deploy` | an application: what it is submitted with, how it is followed and ended |
//! | `staging` | the files that containers are started from, on HDFS |
//! | `find` | a session that runs, by its id or by the file that names the last one |
//! | `container` | the processes in containers |
//! | `tokens` | how these get new tokens for HDFS |

pub(super) mod application;
pub(super) mod container;
mod deploy;
pub(super) mod find;
pub(super) mod per_job;
pub(super) mod session;
mod staging;
mod tokens;

use crate::run::kerberos;
use flinkrs_core::config::{Configuration, Declaration, security};
use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::conf::Configuration as Hadoop;
use flinkrs_hadoop::proto::yarn::{ApplicationIdProto, ApplicationReportProto, YarnApplicationStateProto};
use flinkrs_hadoop::rpc::{Auth, Options};
use flinkrs_hadoop::token::Credentials;
use flinkrs_hadoop::{ApplicationClient, renewer};
use flinkrs_hdfs::HdfsFileSystem;
use std::time::Duration;

/// How long a ResourceManager that can't be reached is tried by a command.
const MANAGER_MAX: Duration = Duration::from_secs(30);

/// A Hadoop cluster as its configuration describes it.
pub(crate) struct Yarn {
    pub(crate) conf: Hadoop,
    pub(crate) client: ApplicationClient,
    pub(crate) hdfs: HdfsFileSystem,
    /// Whether everybody has to prove who he is.
    pub(crate) is_secured: bool,
}

impl Yarn {
    /// Reads Hadoop's configuration; nothing is connected.
    ///
    /// Errors when there is none, it names no ResourceManager or no default file system, or there is no login to a
    /// secured cluster.
    pub(crate) fn new(config: &Configuration) -> Result<Yarn> {
        let login = kerberos(config).into_iter().map(|(name, value)| (name.to_owned(), value));
        let conf = Hadoop::discover(std::env::vars().chain(login))?;
        let mut options = Options::from_configuration(&conf)?;
        options.retry_max = options.retry_max.min(MANAGER_MAX);
        let auth = Auth::of(&conf)?;
        let is_secured = matches!(auth, Auth::Kerberos(_));
        let client = ApplicationClient::new(&conf, auth, options)?;
        let hdfs = HdfsFileSystem::new(&conf, "")?;
        Ok(Yarn { conf, client, hdfs, is_secured })
    }

    /// What an application needs tokens for: the default HDFS, and those that
    /// `security.kerberos.access.hadoopFileSystems` names; nothing unless the cluster is secured.
    pub(crate) fn secured_file_systems(&self, config: &Configuration) -> Result<Vec<HdfsFileSystem>> {
        if !self.is_secured {
            return Ok(Vec::new());
        }
        let more = config.get(&security::KERBEROS_FILE_SYSTEMS).unwrap_or_default();
        let mut all = vec![self.hdfs.clone()];
        for url in more.split([',', ';']).map(str::trim).filter(|url| !url.is_empty()) {
            let authority = url.strip_prefix("hdfs://").map(|rest| rest.trim_end_matches('/')).ok_or_else(|| {
                let key = security::KERBEROS_FILE_SYSTEMS.key();
                Error::usage(format!("{key} names '{url}'; it has to be hdfs://HOST:PORT or hdfs://NAMESERVICE"))
            })?;
            all.push(HdfsFileSystem::new(&self.conf, authority)?);
        }
        Ok(all)
    }

    /// The tokens by which an application acts as its user. YARN renews them, and cancels them at its end.
    ///
    /// Errors when a NameNode gives none.
    pub(crate) fn tokens(&self, file_systems: &[HdfsFileSystem]) -> Result<Credentials> {
        let mut found = Credentials::default();
        if file_systems.is_empty() {
            return Ok(found);
        }
        let renewer = renewer(&self.conf)?;
        for hdfs in file_systems {
            let token = hdfs.delegation_token(&self.conf, &renewer)?;
            found.tokens.extend(token.map(|token| (token.service.clone(), token)));
        }
        Ok(found)
    }

    /// How an application is.
    pub(crate) async fn report(&self, id: ApplicationIdProto) -> Result<ApplicationReportProto> {
        Ok(self.client.report(id).await?)
    }
}

/// An application's id, from what YARN prints.
pub(crate) fn application_of(text: &str) -> Result<ApplicationIdProto> {
    ApplicationIdProto::parse(text).ok_or_else(|| {
        Error::usage(format!("'{text}' is no id of an application on YARN; that is application_NUMBER_NUMBER"))
    })
}

/// Whether an application has ended.
pub(crate) fn has_ended(report: &ApplicationReportProto) -> bool {
    use YarnApplicationStateProto::{Failed, Finished, Killed};
    matches!(report.yarn_application_state(), Failed | Finished | Killed)
}

/// The error that the end of an application is to who expected it to run.
pub(crate) fn ended_error(id: ApplicationIdProto, report: &ApplicationReportProto) -> Error {
    use YarnApplicationStateProto::{Failed, Killed};
    let how = match report.yarn_application_state() {
        Failed => "has failed",
        Killed => "was killed",
        _ => "has ended",
    };
    let diagnostics = first_lines(report.diagnostics());
    let why = if diagnostics.is_empty() { String::new() } else { format!(": {diagnostics}") };
    Error::Resource { message: format!("{id} {how}{why}; its logs: `yarn logs -applicationId {id}`") }
}

/// What YARN says, without the traces of its own calls.
fn first_lines(diagnostics: &str) -> String {
    let is_said = |line: &&str| !line.is_empty() && !line.starts_with("at ") && !line.starts_with("Caused by");
    let lines: Vec<&str> = diagnostics.lines().map(str::trim).filter(is_said).take(8).collect();
    lines.join(" ")
}
