//! The thread that completes snapshots while the loop goes on.

use crate::snapshot::{LoopStore, Manifest};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::FileLock;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// A snapshot whose files have been written, and not yet made to last.
pub(crate) struct Pending {
    pub(crate) store: Arc<LoopStore>,
    pub(crate) manifest: Manifest,
    /// The files of the manifest that was complete before.
    pub(crate) before: BTreeSet<String>,
    pub(crate) progress: Arc<Progress>,
}

/// How far the snapshots of one loop are.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Whether one is being written.
    pub(crate) in_flight: AtomicBool,
    /// Those that are complete.
    pub(crate) complete: AtomicU32,
}

/// Completes the snapshots of a job, one after the other.
pub(crate) struct SnapshotThread {
    abandoned: Arc<AtomicBool>,
    sender: Mutex<Option<Sender<Pending>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Keeps other runs from the files until the thread has ended.
    lock: Mutex<Option<FileLock>>,
}

impl SnapshotThread {
    /// Starts the thread, which tells `failed` if a snapshot can't be completed; `lock` is that of the files.
    pub(crate) fn start(lock: FileLock, failed: impl Fn(Error) + Send + 'static) -> Result<Arc<SnapshotThread>> {
        let (sender, receiver) = channel();
        let abandoned = Arc::<AtomicBool>::default();
        let flag = Arc::clone(&abandoned);
        let run = move || complete_all(&receiver, &flag, failed);
        let thread = thread::Builder::new().name("snapshots".into()).spawn(run);
        let thread = thread.map_err(|error| Error::Resource { message: format!("cannot start a thread: {error}") })?;
        let (sender, thread, lock) = (Mutex::new(Some(sender)), Mutex::new(Some(thread)), Mutex::new(Some(lock)));
        Ok(Arc::new(SnapshotThread { abandoned, sender, thread, lock }))
    }

    /// Hands a snapshot over.
    pub(crate) fn complete(&self, pending: Pending) {
        if let Some(sender) = &*self.sender.lock().unwrap_or_else(PoisonError::into_inner) {
            // It fails when the thread has ended, after an error that it has told.
            let _ = sender.send(pending);
        }
    }

    /// Ends the thread; what it hasn't completed is completed first, or abandoned.
    pub(crate) fn end(&self, abandon: bool) {
        self.abandoned.fetch_or(abandon, Ordering::AcqRel);
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic of the thread has been printed; there is nothing more that it could do.
        thread.map(JoinHandle::join).into_iter().for_each(drop);
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn complete_all(receiver: &Receiver<Pending>, abandoned: &AtomicBool, failed: impl Fn(Error)) {
    for pending in receiver {
        match complete(&pending, abandoned) {
            Ok(()) => pending.progress.in_flight.store(false, Ordering::Release),
            Err(_) if abandoned.load(Ordering::Acquire) => return,
            Err(error) => return failed(error),
        }
    }
}

/// Makes the files last, then the manifest, and removes what that doesn't name.
fn complete(pending: &Pending, abandoned: &AtomicBool) -> Result<()> {
    let Pending { store, manifest, before, progress } = pending;
    for file in manifest.files().filter(|file| !before.contains(&file.name)) {
        if abandoned.load(Ordering::Acquire) {
            return Err(Error::Cancelled);
        }
        store.sync(file)?;
    }
    store.commit(manifest)?;
    progress.complete.fetch_add(1, Ordering::AcqRel);
    let named: BTreeSet<&str> = manifest.files().map(|file| file.name.as_str()).collect();
    before.iter().filter(|name| !named.contains(name.as_str())).try_for_each(|name| store.remove(name))
}
