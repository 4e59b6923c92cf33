//! What this process and its workers use and do: for the JobManager in sum, for Prometheus in detail.
//!
//! Each worker keeps a small file with its report, which is replaced twice a second and gone with the worker.

mod http;
mod page;

use crate::TaskExecutorOptions;
use flinkrs_core::config::PortRange;
use flinkrs_core::error::{Error, Result};
use flinkrs_protocol::{ApplicationId, ProcessUse, WorkerId, WorkerUse};
use flinkrs_rpc::auth::Secret;
use flinkrs_rpc::message::WorkerReport;
use flinkrs_rpc::{body, metrics};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The folder of workers' reports, in the process's folder.
pub(crate) const REPORTS: &str = "reports";

/// A larger report is none.
const REPORT_BYTES: u64 = 64 << 20;

/// Reads what workers report.
#[derive(Clone)]
pub(crate) struct Used {
    reports: PathBuf,
}

impl Used {
    pub(crate) fn new(folder: &Path) -> Used {
        Used { reports: folder.join(REPORTS) }
    }

    /// The file of a worker's report.
    pub(crate) fn report_of(&self, application: ApplicationId, worker: WorkerId) -> PathBuf {
        self.reports.join(format!("{application}-{}.report", worker.0))
    }

    /// What this process uses, and what all workers use together.
    pub(crate) fn now(&self) -> (ProcessUse, WorkerUse) {
        let mut sum = WorkerUse::default();
        self.reports().iter().for_each(|report| sum.add(&report.used));
        (metrics::of_this_process(), sum)
    }

    /// The newest reports of all workers.
    fn reports(&self) -> Vec<WorkerReport> {
        let read = |path: PathBuf| {
            let is_report = path.extension().is_some_and(|extension| extension == "report");
            let size = fs::metadata(&path).ok().filter(|_| is_report)?.len();
            let bytes = fs::read(&path).ok().filter(|_| size <= REPORT_BYTES)?;
            body::decode(&bytes).ok()
        };
        let entries = fs::read_dir(&self.reports).into_iter().flatten().flatten();
        entries.filter_map(|entry| read(entry.path())).collect()
    }
}

/// Shows metrics to Prometheus, at `/metrics`.
pub(crate) struct Metrics {
    listener: TcpListener,
    secret: Option<Secret>,
    used: Used,
    host: String,
    slots: u32,
    slot_bytes: u64,
    /// What the TaskExecutor is called: another name in each session.
    name: Arc<Mutex<String>>,
}

impl Metrics {
    /// Listens at the first of the ports that is free.
    pub(crate) fn listen(ports: PortRange, options: &TaskExecutorOptions) -> Result<Metrics> {
        let listener = metrics::listen(options.bind, ports)?;
        let at = listener.local_addr().map_err(|error| Error::internal(format!("no local address: {error}")))?;
        eprintln!("metrics are at http://{at}/metrics");
        Ok(Metrics {
            listener,
            secret: options.secret.clone(),
            used: Used::new(&options.folder),
            host: options.host.clone(),
            slots: options.slots,
            slot_bytes: options.slot_bytes,
            name: Arc::default(),
        })
    }

    /// Where the name is to be put.
    pub(crate) fn name(&self) -> Arc<Mutex<String>> {
        Arc::clone(&self.name)
    }

    fn page(&self) -> String {
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let reports = self.used.reports();
        let mut workers = WorkerUse::default();
        reports.iter().for_each(|report| workers.add(&report.used));
        let measures = metrics::of_task_executor(self.slots, self.slot_bytes, &metrics::of_this_process(), &workers);
        page::text(&self.host, &name, &measures, &reports)
    }
}
