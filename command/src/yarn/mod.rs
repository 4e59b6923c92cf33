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

pub(super) mod application;
pub(super) mod container;
mod deploy;
pub(super) mod find;
pub(super) mod per_job;
pub(super) mod session;
mod staging;

use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::ApplicationClient;
use flinkrs_hadoop::conf::Configuration as Hadoop;
use flinkrs_hadoop::proto::yarn::{ApplicationIdProto, ApplicationReportProto, YarnApplicationStateProto};
use flinkrs_hadoop::rpc::{Auth, Options};
use flinkrs_hdfs::HdfsFileSystem;
use std::time::Duration;

/// How long a ResourceManager that can't be reached is tried by a command.
const MANAGER_MAX: Duration = Duration::from_secs(30);

/// A Hadoop cluster as its configuration describes it.
pub(crate) struct Yarn {
    pub(crate) conf: Hadoop,
    pub(crate) client: ApplicationClient,
    pub(crate) hdfs: HdfsFileSystem,
}

impl Yarn {
    /// Reads Hadoop's configuration; nothing is connected.
    ///
    /// Errors when there is none, or it names no ResourceManager or no default file system.
    pub(crate) fn new() -> Result<Yarn> {
        let conf = Hadoop::discover(std::env::vars())?;
        let mut options = Options::from_configuration(&conf)?;
        options.retry_max = options.retry_max.min(MANAGER_MAX);
        let client = ApplicationClient::new(&conf, Auth::Simple { user: conf.user()? }, options)?;
        let hdfs = HdfsFileSystem::new(&conf, "")?;
        Ok(Yarn { conf, client, hdfs })
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
