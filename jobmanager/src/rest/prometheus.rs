//! Metrics for Prometheus: its text format, with the names and labels of Flink's reporter.

use crate::cluster::{Cluster, now};
use crate::rest::accumulators::attempt_id;
use crate::rest::measures::{self, Measure};
use crate::rest::route::{Answer, Context};
use crate::rest::seen::{operator_id, vertex_id, view_of};
use crate::rest::server::text;
use flinkrs_control::dispatcher::JobLine;
use flinkrs_control::resource_manager::TaskExecutorView;
use flinkrs_control::view::{JobView, SubtaskView};
use flinkrs_protocol::{JobGraph, JobVertex, TaskReport};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// What is measured at one moment.
struct Seen {
    jobmanager: Vec<Measure>,
    task_executors: Vec<TaskExecutorView>,
    jobs: Vec<Running>,
}

/// A job that has not ended.
struct Running {
    view: Arc<JobView>,
    graph: Arc<JobGraph>,
    reports: Vec<TaskReport>,
    /// By vertex.
    subtasks: Vec<Vec<SubtaskView>>,
}

fn look(cluster: &Cluster) -> Seen {
    let running = |line: &JobLine| {
        let record = cluster.jobs.get(&line.job)?;
        let master = cluster.applications.get(&line.application).and_then(|of| of.master.as_ref());
        let master = master.filter(|master| master.current_job() == Some(line.job));
        let of = |vertex: &JobVertex| master.and_then(|master| master.subtasks(vertex.id)).unwrap_or_default();
        Some(Running {
            view: view_of(cluster, line)?,
            graph: Arc::clone(&record.graph),
            reports: record.tasks.values().cloned().collect(),
            subtasks: record.graph.vertices.iter().map(of).collect(),
        })
    };
    let jobs = cluster.dispatcher.jobs().filter(|line| !line.state.is_terminal());
    Seen {
        jobmanager: measures::of_jobmanager(cluster),
        task_executors: cluster.resources.view().task_executors,
        jobs: jobs.filter_map(running).collect(),
    }
}

/// All metrics of the JobManager, its TaskExecutors, and jobs that have not ended.
pub(super) async fn page(context: Arc<Context>) -> Answer {
    let seen = context.look(look).await?;
    let mut families = Families::default();
    let host = context.options.host.as_str();
    families.add("flink_jobmanager", &[("host", host)], &seen.jobmanager);
    for executor in &seen.task_executors {
        let of = &executor.registration;
        let labels = [("host", &*of.host), ("tm_id", &*of.task_executor.0)];
        families.add("flink_taskmanager", &labels, &measures::of_task_executor(executor));
    }
    for job in &seen.jobs {
        let id = job.view.job.to_string();
        let labels = [("host", host), ("job_id", &*id), ("job_name", &*job.view.name)];
        families.add("flink_jobmanager_job", &labels, &measures::of_job(&job.view, now()));
        job.reports.iter().for_each(|report| add_task(&mut families, job, report));
    }
    Ok(text("text/plain; version=0.0.4; charset=utf-8", families.text()))
}

fn add_task(families: &mut Families, job: &Running, report: &TaskReport) {
    let execution = report.execution;
    let Some(vertex) = job.graph.vertices.get(execution.vertex.0 as usize) else { return };
    let subtasks = job.subtasks.get(execution.vertex.0 as usize);
    let place = subtasks.and_then(|all| all.get(execution.subtask as usize)).and_then(|of| of.current.place.as_ref());
    let (id, task) = (job.view.job, vertex_id(job.view.job, vertex.id));
    let attempt = attempt_id(id, &task, execution.subtask, execution.attempt);
    let (id, number, index) = (id.to_string(), execution.attempt.to_string(), execution.subtask.to_string());
    let labels = [
        ("host", place.map_or("", |place| &*place.host)),
        ("tm_id", place.map_or("", |place| &*place.task_executor.0)),
        ("job_id", &*id),
        ("job_name", &*job.view.name),
        ("task_id", &*task),
        ("task_name", &*vertex.name),
        ("task_attempt_id", &*attempt),
        ("task_attempt_num", &*number),
        ("subtask_index", &*index),
    ];
    families.add("flink_taskmanager_job_task", &labels, &measures::of_task(report));
    for (operator, counts) in vertex.chain.iter().zip(&report.operators) {
        let operator_id = operator_id(job.view.job, operator.operator.0);
        let labels = [&labels[..], &[("operator_id", &*operator_id), ("operator_name", &*operator.name)]].concat();
        families.add("flink_taskmanager_job_task_operator", &labels, &measures::of_operator(counts));
    }
}

/// Samples by metric: the format wants those of one metric together.
#[derive(Default)]
struct Families(BTreeMap<String, String>);

impl Families {
    fn add(&mut self, scope: &str, labels: &[(&str, &str)], measures: &[Measure]) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = labels.join(",");
        for (name, value) in measures {
            let name = format!("{scope}_{}", name.replace('.', "_"));
            let samples = self.0.entry(name.clone()).or_default();
            // Writing to a string can't fail.
            let _ = writeln!(samples, "{name}{{{labels}}} {value}");
        }
    }

    fn text(&self) -> String {
        self.0.iter().map(|(name, samples)| format!("# TYPE {name} gauge\n{samples}")).collect()
    }
}

/// The value of a label, as it stands between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_metric_stand_together_and_labels_are_escaped() {
        let mut families = Families::default();
        families.add("flink_a", &[("name", "say \"hi\"\nC:\\")], &[("y.z", 1), ("x", 2)]);
        families.add("flink_a", &[("name", "b")], &[("y.z", 3)]);
        let expected = "# TYPE flink_a_x gauge\nflink_a_x{name=\"say \\\"hi\\\"\\nC:\\\\\"} 2\n\
                        # TYPE flink_a_y_z gauge\nflink_a_y_z{name=\"say \\\"hi\\\"\\nC:\\\\\"} 1\n\
                        flink_a_y_z{name=\"b\"} 3\n";
        assert_eq!(families.text(), expected);
    }
}
