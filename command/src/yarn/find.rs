//! A session that runs, by its id or by the file that names the last one.

use crate::yarn::deploy::SECRET;
use crate::yarn::staging::Staging;
use crate::yarn::{Yarn, application_of, ended_error, has_ended};
use flinkrs_core::config::{Configuration, Declaration, yarn};
use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::proto::yarn::{ApplicationIdProto, YarnApplicationStateProto};
use std::fs;
use std::path::PathBuf;

/// The key of the id in the file; Flink's.
const APPLICATION: &str = "applicationID=";

/// A session that was found.
pub(crate) struct Session {
    pub(crate) id: ApplicationIdProto,
    /// Host and port of its JobManager.
    pub(crate) address: String,
    pub(crate) secret: Vec<u8>,
}

/// The file that names the session that was started last.
pub(super) struct PropertiesFile(PathBuf);

impl PropertiesFile {
    pub(super) fn new(config: &Configuration) -> Result<PropertiesFile> {
        let folder = config.get(&yarn::PROPERTIES_FILE_LOCATION).unwrap_or_else(std::env::temp_dir);
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
        let user = user.unwrap_or_else(|_| rustix::process::getuid().as_raw().to_string());
        Ok(PropertiesFile(folder.join(format!(".yarn-properties-{user}"))))
    }

    /// The application that it names; `None` when there is no file.
    ///
    /// Errors when it can't be read or names none.
    pub(super) fn read(&self) -> Result<Option<ApplicationIdProto>> {
        let text = match fs::read_to_string(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| Error::io("read", &self.0, error))?,
        };
        let id = text.lines().find_map(|line| line.trim().strip_prefix(APPLICATION));
        let id = id.ok_or_else(|| {
            Error::data(format!("{} names no application ({APPLICATION}…); remove it", self.0.display()))
        })?;
        application_of(id).map(Some)
    }

    pub(super) fn write(&self, id: ApplicationIdProto) -> Result<()> {
        let new = self.0.with_extension(std::process::id().to_string());
        let text = format!("# The session that was started last.\n{APPLICATION}{id}\n");
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &self.0));
        written.map_err(|error| Error::io("write", &self.0, error))
    }

    /// Forgets an application that has ended, if it is the one that the file names.
    pub(super) fn forget(&self, id: ApplicationIdProto) {
        if self.read().is_ok_and(|named| named == Some(id)) {
            // A file that stays says so when it is used.
            let _ = fs::remove_file(&self.0);
        }
    }
}

/// Whether an option or the file of the last one names a session.
pub(crate) fn is_named(config: &Configuration) -> bool {
    config.get(&yarn::APPLICATION_ID).is_some()
        || PropertiesFile::new(config).is_ok_and(|file| matches!(file.read(), Ok(Some(_))))
}

/// The session that the options name, or else the one that was started last.
///
/// Errors when none is named, when it doesn't run, and when it is somebody else's.
pub(crate) async fn session(yarn: &Yarn, config: &Configuration) -> Result<Session> {
    let file = PropertiesFile::new(config)?;
    let named = config.get(&yarn::APPLICATION_ID).map(|id| application_of(&id)).transpose()?;
    let id = match named {
        Some(id) => id,
        None => file.read()?.ok_or_else(|| {
            Error::usage(format!(
                "no session on YARN is named: start one with `flinkrs yarn-session`, or name one (-D {}=…)",
                yarn::APPLICATION_ID.key()
            ))
        })?,
    };
    let report = yarn.report(id).await?;
    if has_ended(&report) {
        file.forget(id);
        // The error to come says more.
        let _ = Staging::new(&yarn.hdfs, config).remove(id);
        return Err(ended_error(id, &report));
    }
    if report.yarn_application_state() != YarnApplicationStateProto::Running {
        let state = report.yarn_application_state().as_str_name();
        return Err(Error::Resource { message: format!("{id} doesn't run yet: it is {state}") });
    }
    let secret = Staging::new(&yarn.hdfs, config).read(id, SECRET)?;
    Ok(Session { id, address: format!("{}:{}", report.host(), report.rpc_port()), secret })
}
