//! New tokens for HDFS: the ApplicationMaster gets them by its user's keys, TaskExecutors find them on HDFS.

use crate::runtime;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::FileSystem;
use flinkrs_hadoop::token::Token;
use flinkrs_hdfs::HdfsFileSystem;
use flinkrs_yarn_am::tokens::{Batch, FIRST, RETRY_MAX, Source};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// The file in an application's folder in which new tokens come.
pub(super) const TOKENS_FILE: &str = "tokens";

/// Longer files aren't tokens.
const BYTES_MAX: u64 = 1 << 20;

/// How long the end of tokens may take.
const CANCEL_MAX: Duration = Duration::from_secs(5);

/// The tokens that an ApplicationMaster keeps new.
pub(super) struct Keeper {
    source: Arc<Source>,
    latest: Arc<Mutex<Option<Batch>>>,
}

impl Keeper {
    /// Gets tokens as long as this process lives: for itself, for containers that are started, and for those that look
    /// into `file`.
    pub(super) fn start(
        source: Source,
        hdfs: HdfsFileSystem,
        file: PathBuf,
        told: watch::Sender<BTreeMap<String, Token>>,
    ) -> Result<Keeper> {
        let keeper = Keeper { source: Arc::new(source), latest: Arc::default() };
        let (source, latest) = (Arc::clone(&keeper.source), Arc::clone(&keeper.latest));
        let runtime = runtime()?;
        let keep = move || {
            let mut pause = FIRST;
            loop {
                thread::sleep(pause);
                let batch = match runtime.block_on(source.get()) {
                    Ok(batch) => batch,
                    Err(error) => {
                        eprintln!("no new tokens for HDFS: {error}");
                        pause = lock(&latest).as_ref().map_or(RETRY_MAX, Batch::retry);
                        continue;
                    }
                };
                let stored = batch.store_here().map_err(Error::from).and_then(|()| publish(&hdfs, &file, &batch));
                match stored {
                    Ok(()) => eprintln!("new tokens for HDFS; the next ones come in {} s", batch.period.as_secs()),
                    Err(error) => eprintln!("new tokens for HDFS aren't handed on: {error}"),
                }
                // The process is about to end when nobody listens any more.
                let _ = told.send(batch.tokens.clone());
                pause = batch.period;
                *lock(&latest) = Some(batch);
            }
        };
        spawn(keep).map(|()| keeper)
    }

    /// Ends the tokens when the application has ended.
    pub(super) fn end(self) -> Result<()> {
        let Some(batch) = lock(&self.latest).take() else { return Ok(()) };
        let cancelled = async { tokio::time::timeout(CANCEL_MAX, self.source.cancel(&batch)).await };
        // They end by themselves, too, when nobody renews them.
        let _ = runtime()?.block_on(cancelled);
        Ok(())
    }
}

/// Takes new tokens over from a file on HDFS as long as this process lives, for itself and its workers.
pub(super) fn follow(hdfs: HdfsFileSystem, file: PathBuf) -> Result<()> {
    spawn(move || {
        let (mut seen, mut pause) = (0, FIRST + FIRST / 2);
        loop {
            thread::sleep(pause);
            match take(&hdfs, &file, &mut seen) {
                Ok(Some(batch)) => pause = batch.next_look(),
                Ok(None) => {}
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    pause = (pause * 2).min(RETRY_MAX);
                }
                Err(error) => {
                    eprintln!("new tokens for HDFS can't be taken: {error}");
                    pause = pause.max(FIRST);
                }
            }
        }
    })
}

/// The file's tokens, unless they were seen before; they are in this container's file then.
fn take(hdfs: &HdfsFileSystem, file: &Path, seen: &mut u64) -> Result<Option<Batch>> {
    let modified_ms = hdfs.details(file)?.modified_ms;
    if modified_ms == *seen {
        return Ok(None);
    }
    let mut content = Vec::new();
    let read = hdfs.open(file, 0)?.take(BYTES_MAX).read_to_end(&mut content);
    read.map_err(|error| Error::io("read", file, error))?;
    let batch = Batch::decode(&content)?;
    batch.store_here()?;
    *seen = modified_ms;
    Ok(Some(batch))
}

/// Puts tokens where only their owner finds them, and never half of them.
fn publish(hdfs: &HdfsFileSystem, file: &Path, batch: &Batch) -> Result<()> {
    let new = file.with_extension("new");
    let failed = |error| Error::io("write", &new, error);
    let mut out = hdfs.create(&new)?;
    // It is empty as long as others might read it.
    hdfs.set_permission(&new, 0o600)?;
    out.write_all(&batch.encode()).map_err(failed)?;
    out.close().map_err(failed)?;
    hdfs.rename(&new, file)
}

fn spawn(run: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = thread::Builder::new().name("tokens".to_owned()).spawn(run);
    started.map(|_| ()).map_err(|error| Error::Resource { message: format!("cannot start a thread: {error}") })
}

fn lock(latest: &Mutex<Option<Batch>>) -> std::sync::MutexGuard<'_, Option<Batch>> {
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}
