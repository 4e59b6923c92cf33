//! Logs: what this process and its workers write to standard output and error. All of them lie in one folder.

use flinkrs_core::error::{Error, Result};
use flinkrs_protocol::{ApplicationId, WorkerId};
use flinkrs_rpc::body;
use flinkrs_rpc::logs::{self, FILE_BYTES, RotatingFile};
use flinkrs_rpc::message::{FromTaskExecutor, Logs};
use flinkrs_rpc::proto::GatewayMessage;
use std::fs;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Of a longer file its end is sent.
const SENT_BYTES: u64 = 4 << 20;

/// Files of workers that are kept: those of the newest.
const WORKER_FILES_MAX: usize = 128;

/// How the names of workers' files begin.
const OF_WORKER: &str = "worker-";

fn prefix(application: ApplicationId) -> String {
    format!("{OF_WORKER}{application}-")
}

/// The files of a worker's standard output and error. Those of the oldest workers make room for them.
///
/// Errors when they can't be written.
pub(crate) fn of_worker(folder: &Path, application: ApplicationId, worker: WorkerId) -> Result<[RotatingFile; 2]> {
    let of_workers = |name: &str| name.starts_with(OF_WORKER);
    let mut files: Vec<_> = logs::list(folder).into_iter().filter(|file| of_workers(&file.name)).collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.modified_ms));
    for file in files.iter().skip(WORKER_FILES_MAX - 2) {
        let path = folder.join(&file.name);
        fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
    }
    let open =
        |what: &str| RotatingFile::open(folder.join(format!("{}{}.{what}", prefix(application), worker.0)), FILE_BYTES);
    Ok([open("out")?, open("err")?])
}

/// Sends logs, piece by piece, and at last an empty piece; or which files there are.
pub(crate) fn send(folder: PathBuf, which: Logs, request: u64, to: Option<mpsc::Sender<GatewayMessage>>) {
    let Some(to) = to else { return };
    let say = move |message: &FromTaskExecutor| {
        // Once the connection has gone, so has who has asked.
        body::encode(message).is_ok_and(|encoded| to.blocking_send(GatewayMessage { encoded }).is_ok())
    };
    let send = move || {
        let names = match which {
            Logs::List => {
                say(&FromTaskExecutor::LogFiles { request, files: logs::list(&folder) });
                return;
            }
            Logs::File(name) => vec![name],
            Logs::Application(application) => {
                let names = logs::list(&folder).into_iter().map(|file| file.name);
                names.filter(|name| name.starts_with(&prefix(application))).collect()
            }
        };
        for name in names {
            let mut piece =
                |content: &[u8]| say(&FromTaskExecutor::Log { request, name: name.clone(), content: content.to_vec() });
            // Who asks for a file that has gone meanwhile gets nothing of it.
            let _ = logs::read(&folder, &name, SENT_BYTES, &mut piece);
        }
        say(&FromTaskExecutor::Log { request, name: String::new(), content: Vec::new() });
    };
    tokio::task::spawn_blocking(send);
}
