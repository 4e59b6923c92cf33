//! A thousand TaskExecutors: what is asked often stays small.

use crate::cluster::{PROCESS_BYTES, TestCluster};
use crate::http::get;
use serde_json::json;

const TASK_EXECUTORS: usize = 1000;

#[tokio::test]
async fn metrics_and_pages_stay_small() {
    let cluster = TestCluster::start(None).await;
    let _others = cluster.more_task_executors(TASK_EXECUTORS - 1).await;
    assert_eq!(get(cluster.rest, "/overview").await.json()["slots-total"], json!(2 * TASK_EXECUTORS));
    for (at, path, most) in [
        (cluster.rest, "/overview", 1 << 10),
        (cluster.rest, "/config", 1 << 10),
        (cluster.rest, "/", 64 << 10),
        (cluster.rest, "/jobmanager/metrics", 4 << 10),
        (cluster.rest, "/taskmanagers/metrics", 4 << 10),
        (cluster.rest, "/taskmanagers/metrics?get=Status.Process.Memory.Used,Status.Workers.CPU.TimeMs", 1 << 10),
        (cluster.metrics, "/metrics", 4 << 10),
        // One line each, as in Flink.
        (cluster.rest, "/taskmanagers", 1 << 20),
    ] {
        let answer = get(at, path).await;
        let bytes = answer.text().len();
        assert!(answer.status == 200 && bytes <= most, "{path}: {} with {bytes} bytes", answer.status);
    }
    let path = "/taskmanagers/metrics?get=Status.Process.Memory.Used&agg=sum,max";
    let (sum, max) = (PROCESS_BYTES as f64 * TASK_EXECUTORS as f64, PROCESS_BYTES as f64);
    let expected = json!([{ "id": "Status.Process.Memory.Used", "sum": sum, "max": max }]);
    cluster.wait(|| async { get(cluster.rest, path).await.json() == expected }).await;
}
