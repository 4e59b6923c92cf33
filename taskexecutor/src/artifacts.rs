//! Executables: fetched once from the JobManager, checked, and kept under the hash of their content.

use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::connect::JobManagerClient;
use flinkrs_rpc::proto::ArtifactRef;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use tokio::sync::Mutex;
use tokio_stream::StreamExt;

/// The folder.
pub(crate) struct Artifacts {
    folder: PathBuf,
    /// A folder in which others have put some.
    provided: Option<PathBuf>,
    /// One is fetched at a time, so that none is fetched twice.
    fetching: Mutex<()>,
}

impl Artifacts {
    pub(crate) fn new(folder: PathBuf, provided: Option<PathBuf>) -> Artifacts {
        Artifacts { folder, provided, fetching: Mutex::default() }
    }

    /// Where an executable is, once it is there.
    ///
    /// Errors when there is no connection, when the disk is full, or when what comes has another hash.
    pub(crate) async fn fetch(&self, client: Option<JobManagerClient>, sha256: &str) -> Result<PathBuf> {
        let _one = self.fetching.lock().await;
        if let Some(path) = self.provided.as_ref().map(|folder| folder.join(sha256)).filter(|path| path.exists()) {
            return Ok(path);
        }
        let path = self.folder.join(sha256);
        if path.exists() {
            return Ok(path);
        }
        let client = client.ok_or_else(|| Error::network("there is no connection to the JobManager"))?;
        let new = New(self.folder.join(format!("{sha256}.new")));
        let failed = |error| Error::io("write", &new.0, error);
        let request = ArtifactRef { sha256: sha256.to_owned() };
        let chunks = client.dispatcher().get_artifact(request).await.map_err(|status| client.error(&status))?;
        let mut chunks = chunks.into_inner();
        let mut file = File::create(&new.0).map_err(failed)?;
        let mut hash = Sha256::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|status| client.error(&status))?;
            hash.update(&chunk.content);
            file.write_all(&chunk.content).map_err(failed)?;
        }
        drop(file);
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found != sha256 {
            return Err(Error::data(format!("an executable came with the hash {found} in place of {sha256}")));
        }
        let runs = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&new.0, runs).and_then(|()| fs::rename(&new.0, &path)).map_err(failed)?;
        Ok(path)
    }
}

/// A file that is being written; what is left of it when it couldn't be finished is removed.
struct New(PathBuf);

impl Drop for New {
    fn drop(&mut self) {
        // A finished one has another name.
        let _ = fs::remove_file(&self.0);
    }
}
