//! Metrics for Prometheus of this process and its jobs; those of tasks are at the TaskExecutors.

use crate::cluster::{Cluster, now};
use crate::rest::measures;
use crate::rest::route::{Answer, Context};
use crate::rest::seen::view_of;
use crate::rest::server::text;
use flinkrs_control::view::JobView;
use flinkrs_rpc::metrics::{self, Families, Measure};
use std::sync::Arc;

/// Jobs that are shown at most: those that were submitted first.
const JOBS_MAX: usize = 1000;

/// What is measured at one moment: here, and of the jobs that have not ended.
fn look(cluster: &Cluster) -> (Vec<Measure>, Vec<Arc<JobView>>) {
    let running = cluster.dispatcher.jobs().filter(|line| !line.state.is_terminal());
    let views = running.filter_map(|line| view_of(cluster, line)).take(JOBS_MAX);
    (measures::of_jobmanager(cluster), views.collect())
}

/// All metrics of the JobManager and of jobs that have not ended.
pub(super) async fn page(context: Arc<Context>) -> Answer {
    let (mut jobmanager, jobs) = context.look(look).await?;
    jobmanager.extend(metrics::of_process(&metrics::of_this_process()));
    let mut families = Families::default();
    let host = context.options.host.as_str();
    families.add("flink_jobmanager", &[("host", host)], &jobmanager);
    for job in jobs {
        let id = job.job.to_string();
        let labels = [("host", host), ("job_id", &*id), ("job_name", &*job.name)];
        families.add("flink_jobmanager_job", &labels, &measures::of_job(&job, now()));
    }
    Ok(text(Families::CONTENT, families.text()))
}
