//! REST against what a real Flink 1.20 has answered.
//!
//! `golden/` was recorded from a session cluster that ran a batch WordCount.

mod cluster;
mod http;
mod limits;
mod logs;
mod many;
mod recorded;
mod schemas;

use cluster::{Behaviour, TestCluster};
use http::{call, get};
use recorded::{Recorded, compare};
use serde_json::{Value, json};
use std::path::Path;

/// Checks everything that was recorded in one situation, and says how much that was.
async fn check(cluster: &TestCluster, all: &[Recorded], situation: &str, job: &str, jar: &str) -> usize {
    let vertices = get(cluster.rest, &format!("/jobs/{job}")).await.json()["vertices"].clone();
    let vertex = vertices[1]["id"].as_str().unwrap_or("none").to_owned();
    let mut problems = Vec::new();
    let description = get(cluster.rest, "/openapi.json").await.json();
    let of: Vec<&Recorded> = all.iter().filter(|recorded| recorded.situation() == situation).collect();
    for recorded in &of {
        let named = [
            (":jobid", job),
            (":vertexid", &vertex),
            (":subtaskindex", "0"),
            (":attempt", "0"),
            (":taskmanagerid", cluster::TASK_EXECUTOR),
            (":jarid", jar),
        ];
        let path = named.iter().fold(recorded.path.clone(), |path, (name, value)| path.replace(name, value));
        let answer = call(cluster.rest, &recorded.method, &path, &[], recorded.request().as_bytes()).await;
        if answer.status != recorded.status {
            problems.push(format!(
                "{}: status {} instead of {}: {}",
                recorded.name,
                answer.status,
                recorded.status,
                answer.text()
            ));
            continue;
        }
        compare(&recorded.body, &answer.json(), &recorded.name, &mut problems);
        let schema = schemas::of_answer(&description, recorded);
        assert!(schema.is_object(), "{} isn't described", recorded.name);
        schemas::differences(&description, schema, &answer.json(), &recorded.name, &mut problems);
        let versioned = call(cluster.rest, "GET", &format!("/v1{path}"), &[], b"").await;
        if recorded.method == "GET" && versioned.status != recorded.status {
            problems.push(format!("{}: /v1 answers {}", recorded.name, versioned.status));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    of.len()
}

#[tokio::test]
async fn answers_have_the_keys_and_types_of_flink_s() {
    let cluster = TestCluster::start(None).await;
    let all = recorded::all();
    let uploaded = cluster.upload("WordCount.jar", &cluster::program("/bin/echo")).await;
    assert_eq!(uploaded.status, 200, "{}", uploaded.text());
    let mut problems = Vec::new();
    let upload = all.iter().find(|recorded| recorded.name == "jars-upload").expect("it was recorded");
    compare(&upload.body, &uploaded.json(), "jars-upload", &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    let jar =
        uploaded.json()["filename"].as_str().and_then(|name| name.strip_prefix("/jars/")).expect("a name").to_owned();

    let held = cluster.submit("held", Behaviour::Hold, &jar).await;
    cluster.until(&held, "RUNNING", |job| job["status-counts"]["RUNNING"] == json!(3)).await;
    let mut checked = 1 + check(&cluster, &all, "running", &held, &jar).await;
    metrics_are_those_of_the_reports(&cluster, &held).await;
    cluster.finish();
    cluster.until(&held, "FINISHED", |_| true).await;
    checked += check(&cluster, &all, "finished", &held, &jar).await;

    let failing = cluster.submit("failing", Behaviour::Fail, &jar).await;
    cluster.until(&failing, "FAILED", |_| true).await;
    checked += check(&cluster, &all, "failed", &failing, &jar).await;

    let cancelled = cluster.submit("cancelled", Behaviour::Hold, &jar).await;
    cluster.until(&cancelled, "RUNNING", |job| job["status-counts"]["RUNNING"] == json!(3)).await;
    checked += check(&cluster, &all, "cancel", &cancelled, &jar).await;
    cluster.until(&cancelled, "CANCELED", |_| true).await;
    checked += check(&cluster, &all, "canceled", &cancelled, &jar).await;

    checked += check(&cluster, &all, "run", &cancelled, &jar).await;
    checked += check(&cluster, &all, "delete", &cancelled, &jar).await;
    assert_eq!(get(cluster.rest, "/jars").await.json()["files"], json!([]));
    checked += check(&cluster, &all, "end", &cancelled, &jar).await;
    assert_eq!(checked, all.len(), "everything that was recorded is compared");
    cluster.ended().await;
}

async fn metrics_are_those_of_the_reports(cluster: &TestCluster, job: &str) {
    let vertex = get(cluster.rest, &format!("/jobs/{job}")).await.json()["vertices"][1].clone();
    assert_eq!(vertex["metrics"]["read-records"], json!(2 * cluster::RECORDS_IN));
    let id = vertex["id"].as_str().expect("an id");
    let path = format!("/jobs/{job}/vertices/{id}/subtasks/metrics?get=numRecordsIn,nothing&agg=sum,min");
    let (sum, least) = ((2 * cluster::RECORDS_IN) as f64, cluster::RECORDS_IN as f64);
    assert_eq!(get(cluster.rest, &path).await.json(), json!([{ "id": "numRecordsIn", "sum": sum, "min": least }]));
    let path = format!("/jobs/{job}/vertices/{id}/metrics?get=1.FlatMap_(at_a_rs_1).numRecordsOut");
    let value = cluster::RECORDS_OUT.to_string();
    let expected = json!([{ "id": "1.FlatMap_(at_a_rs_1).numRecordsOut", "value": value }]);
    assert_eq!(get(cluster.rest, &path).await.json(), expected);

    let page = get(cluster.metrics, "/metrics").await.text();
    assert!(page.contains("# TYPE flink_jobmanager_numRunningJobs gauge\n"), "{page}");
    for sample in [
        "flink_jobmanager_numRunningJobs{host=\"localhost\"} 1".to_owned(),
        "flink_jobmanager_taskSlotsTotal{host=\"localhost\"} 2".to_owned(),
        "flink_jobmanager_taskSlotsAvailable{host=\"localhost\"} 0".to_owned(),
        format!("flink_jobmanager_job_numRestarts{{host=\"localhost\",job_id=\"{job}\",job_name=\"held\"}} 0"),
    ] {
        assert!(page.lines().any(|line| line == sample), "no {sample} in\n{page}");
    }
    assert!(!page.contains("flink_taskmanager"), "those of tasks are at their TaskExecutors: {page}");

    let path = format!("/taskmanagers/{}/metrics?get=", cluster::TASK_EXECUTOR);
    for (name, value) in [
        ("Status.Process.Memory.Used", cluster::PROCESS_BYTES),
        ("Status.Flink.Memory.Managed.Used", 11),
        ("Status.Flink.Memory.Managed.Slot1.Used", 6),
        ("Status.Shuffle.Netty.UsedMemory", 34),
        ("Status.Shuffle.Netty.AvailableMemory", 966),
    ] {
        let expected = json!([{ "id": name, "value": value.to_string() }]);
        assert_eq!(get(cluster.rest, &format!("{path}{name}")).await.json(), expected);
    }
    let path = format!("/jobs/{job}/vertices/{id}/subtasks/metrics?agg=max&get=accumulateBackPressuredTimeMs");
    let expected = json!([{ "id": "accumulateBackPressuredTimeMs", "max": 6.0 }]);
    assert_eq!(get(cluster.rest, &path).await.json(), expected);
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let cluster = TestCluster::start(None).await;
    let nobody = get(cluster.rest, "/taskmanagers/nobody").await;
    assert_eq!((nobody.status, nobody.json()), (404, json!({ "errors": ["there is no TaskExecutor 'nobody'"] })));
    let method = call(cluster.rest, "PUT", "/overview", &[], b"").await;
    assert_eq!((method.status, method.json()["errors"][0].is_string()), (405, true));
    let text = cluster.upload("script.sh", b"#!/bin/sh\n").await;
    assert_eq!(text.status, 400);
    assert!(
        text.text().contains("'script.sh' is no program of flinkrs: it is no executable for Linux"),
        "{}",
        text.text()
    );
    let without = cluster.upload("echo", &std::fs::read("/bin/echo").expect("there is an echo")).await;
    assert_eq!(without.status, 400);
    assert!(without.text().contains("without the note that the library leaves"), "{}", without.text());
    assert_eq!(cluster.stored_artifacts(), 0, "what is refused is not kept");
    let falsely = cluster.upload("false", &cluster::program("/bin/false")).await;
    let id = falsely.json()["filename"].as_str().expect("a name").to_owned();
    let run = call(cluster.rest, "POST", &format!("{id}/run"), &[], b"{}").await;
    assert_eq!(run.status, 500);
    assert!(run.text().contains("exit status: 1) and submitted no job"), "{}", run.text());
    let unknown = call(cluster.rest, "POST", "/jars/none/run", &[], b"{}").await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let cluster = TestCluster::start(None).await;
    let page = get(cluster.rest, "/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
    assert!(!page.text().contains("http://") && !page.text().contains("https://"));
    let description: Value = get(cluster.rest, "/openapi.json").await.json();
    assert_eq!(description["openapi"], "3.0.3");
    assert!(description["paths"]["/jars/{jarid}/run"]["post"]["requestBody"].is_object());
}

/// `FLINKRS_BLESS=1` rewrites them.
#[test]
fn the_schemas_are_those_of_flink_s_answers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rest/schemas.json");
    let schemas = format!("{:#}\n", schemas::of(&recorded::all()));
    if std::env::var_os("FLINKRS_BLESS").is_some() {
        std::fs::write(&path, schemas).expect("the schemas can be written");
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == schemas, "src/rest/schemas.json differs from what was recorded; run with FLINKRS_BLESS=1");
}

#[tokio::test]
async fn what_flink_has_answered_conforms_to_the_description() {
    let cluster = TestCluster::start(None).await;
    let description = get(cluster.rest, "/openapi.json").await.json();
    let mut problems = Vec::new();
    for recorded in recorded::all() {
        let schema = schemas::of_answer(&description, &recorded);
        assert!(schema.is_object(), "{} isn't described", recorded.name);
        schemas::differences(&description, schema, &recorded.body, &recorded.name, &mut problems);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// `FLINKRS_BLESS=1` rewrites it.
#[test]
fn the_reference_page_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rest.md");
    let page = flinkrs_jobmanager::reference_page();
    if std::env::var_os("FLINKRS_BLESS").is_some() {
        std::fs::write(&path, page).expect("the page can be written");
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/rest.md differs from the table of routes; run with FLINKRS_BLESS=1");
}
