//! The page for Prometheus: the TaskExecutor, and the tasks that run in its workers.

use flinkrs_protocol::TaskReport;
use flinkrs_rpc::message::{JobTasks, WorkerReport};
use flinkrs_rpc::metrics::{Families, Measure, attempt_id, of_operator, of_task, operator_id, vertex_id};

/// As long as there are tasks that run.
pub(super) fn text(host: &str, name: &str, measures: &[Measure], reports: &[WorkerReport]) -> String {
    let mut families = Families::default();
    let labels = [("host", host), ("tm_id", name)];
    families.add("flink_taskmanager", &labels, measures);
    for job in reports.iter().filter_map(|report| report.job.as_ref()) {
        job.tasks.iter().for_each(|task| add_task(&mut families, labels, job, task));
    }
    families.text()
}

fn add_task(families: &mut Families, place: [(&str, &str); 2], job: &JobTasks, report: &TaskReport) {
    let execution = report.execution;
    let Some((name, operators)) = job.vertices.get(&execution.vertex) else { return };
    let task = vertex_id(job.job, execution.vertex);
    let attempt = attempt_id(job.job, &task, execution.subtask, execution.attempt);
    let (id, number, index) = (job.job.to_string(), execution.attempt.to_string(), execution.subtask.to_string());
    let of_task_labels = [
        ("job_id", &*id),
        ("job_name", &*job.name),
        ("task_id", &*task),
        ("task_name", &**name),
        ("task_attempt_id", &*attempt),
        ("task_attempt_num", &*number),
        ("subtask_index", &*index),
    ];
    let labels = [&place[..], &of_task_labels].concat();
    families.add("flink_taskmanager_job_task", &labels, &of_task(report));
    for ((operator, name), counts) in operators.iter().zip(&report.operators) {
        let id = operator_id(job.job, operator.0);
        let labels = [&labels[..], &[("operator_id", &*id), ("operator_name", &**name)]].concat();
        families.add("flink_taskmanager_job_task_operator", &labels, &of_operator(counts));
    }
}
