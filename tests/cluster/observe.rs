//! What a cluster shows of itself: logs and metrics, while it runs and after it.

use crate::harness::{Cluster, finish, http_get, text, wait_until};
use std::fs;
use std::path::PathBuf;

/// Ids of TaskExecutors, out of the list of them.
fn task_executors(cluster: &Cluster) -> Vec<String> {
    let list = cluster.rest("/taskmanagers");
    let ids = list.split("\"id\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    ids.map(str::to_owned).collect()
}

#[test]
fn logs_are_read_by_rest_and_outlive_their_processes() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = format!("env.log.dir={}", folder.path().display());
    let cluster = Cluster::with(2, &[&logs]);
    let output = cluster.run(&[], &["says"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(cluster.rest("/jobmanager/log").contains("is FINISHED"), "{}", cluster.rest("/jobmanager/log"));
    let mut said = 0;
    for id in task_executors(&cluster) {
        let of = |rest: &str| cluster.rest(&format!("/taskmanagers/{id}{rest}"));
        assert!(of("/log").contains("registered at"), "{}", of("/log"));
        assert!(of("/stdout").starts_with("HTTP/1.1 200"), "{}", of("/stdout"));
        let list = of("/logs");
        for name in list.split("\"name\":\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            said += of(&format!("/logs/{name}")).matches("a function says seven").count();
        }
    }
    assert_eq!(said, 1, "one subtask has met the seven");
    cluster.assert_stopped_without_a_trace(&[]);
    let folders = fs::read_dir(folder.path()).expect("lists").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<PathBuf> = folders.collect();
    folders.sort();
    assert_eq!(folders.len(), 3, "{folders:?}");
    let log = fs::read_to_string(folders[0].join("jobmanager.log")).expect("a log");
    assert!(log.contains("JobManager listens") && log.contains("has ended: FINISHED"), "{log}");
}

#[test]
fn each_process_shows_its_metrics() {
    let cluster = Cluster::with(1, &["metrics.reporter.prom.port=0"]);
    let job = cluster.begin(&[], &["sums", "--slow", "100"]);
    let said = fs::read_to_string(cluster.path().join("taskexecutor-0.log")).expect("a log");
    let at = said.lines().find_map(|line| line.split_once("metrics are at http://")?.1.strip_suffix("/metrics"));
    let at = at.expect("metrics are served").to_owned();
    let value = |page: &str, name: &str| {
        let line = page.lines().find(|line| line.starts_with(&format!("{name}{{")))?;
        line.rsplit(' ').next()?.parse::<u64>().ok()
    };
    let mut page = String::new();
    wait_until("a task has read records", || {
        page = http_get(&at, "/metrics");
        value(&page, "flink_taskmanager_job_task_operator_numRecordsOut").is_some_and(|records| records > 0)
    });
    for (name, least) in [
        ("flink_taskmanager_Status_Process_Memory_Used", 1 << 20),
        ("flink_taskmanager_Status_Workers_Memory_Used", 1 << 20),
        ("flink_taskmanager_Status_Workers_Threads_Count", 2),
        ("flink_taskmanager_Status_Flink_Memory_Managed_Total", 1 << 20),
        ("flink_taskmanager_Status_Flink_Memory_Managed_Slot0_Used", 1),
        ("flink_taskmanager_Status_Shuffle_Netty_TotalMemory", 1 << 20),
        ("flink_taskmanager_job_task_accumulateBusyTimeMs", 0),
        ("flink_taskmanager_job_task_accumulateIdleTimeMs", 0),
        ("flink_taskmanager_job_task_accumulateBackPressuredTimeMs", 0),
        ("flink_taskmanager_job_task_numBytesSpilled", 0),
    ] {
        assert!(value(&page, name).is_some_and(|value| value >= least), "{name} in {page}");
    }
    let id = task_executors(&cluster).remove(0);
    wait_until("a heartbeat tells of the worker", || {
        let path = format!("/taskmanagers/{id}/metrics?get=Status.Workers.Memory.Used");
        let answer = cluster.rest(&path);
        answer.contains("\"value\":\"") && !answer.contains("\"value\":\"0\"")
    });
    assert!(http_get(&at, "/other").starts_with("HTTP/1.1 404"));
    assert!(finish(job).status.success());
    wait_until("tasks that have ended are shown no more", || !http_get(&at, "/metrics").contains("job_task"));
}

#[test]
fn metrics_want_the_secret_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    fs::write(&file, "correct-horse-battery\n").expect("writes");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("sets");
    let secret = format!("security.cluster-secret-file={}", file.display());
    let cluster = Cluster::unchecked(1, &[&secret, "metrics.reporter.prom.port=0"]);
    let log = cluster.path().join("taskexecutor-0.log");
    let mut at = None;
    wait_until("metrics are served", || {
        let said = fs::read_to_string(&log).unwrap_or_default();
        let found = said.lines().find_map(|line| line.split_once("metrics are at http://")?.1.strip_suffix("/metrics"));
        at = found.map(str::to_owned);
        at.is_some()
    });
    let at = at.expect("found");
    assert!(http_get(&at, "/metrics").starts_with("HTTP/1.1 401"));
}

#[test]
fn workers_of_two_applications_divide_the_memory_for_the_network() {
    let options = ["taskmanager.memory.network.min=64mb", "taskmanager.memory.network.max=64mb"];
    let mut cluster = Cluster::with(0, &options);
    cluster.add_executor_of(2);
    cluster.wait_for_slots(2);
    let members = cluster.json("/taskmanagers");
    let id = members["taskmanagers"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/taskmanagers/{id}/metrics?get=Status.Shuffle.Netty.TotalMemory");
    let total = || cluster.json(&path)[0]["value"].as_str().and_then(|text| text.parse::<u64>().ok());
    let mut clients = Vec::new();
    for megabytes in [32, 64] {
        clients.push(cluster.begin(&["-p", "1", "--shutdownOnAttachedExit"], &["hang"]));
        wait_until("the worker has its share", || total() == Some(megabytes << 20));
    }
    for mut client in clients {
        client.kill().expect("it runs");
        client.wait().expect("it has ended");
    }
    let listed = || text(&cluster.flinkrs("list", &["-a"]).stdout);
    wait_until("both jobs are cancelled", || listed().matches("(CANCELED)").count() == 2);
    wait_until("no worker runs", || cluster.workers().is_empty());
    cluster.assert_stopped_without_a_trace(&[]);
}
