//! Log files of the JobManager and of a TaskExecutor, and of nobody else.

use crate::cluster::{LOGS, TASK_EXECUTOR, TestCluster};
use crate::http::{Answer, get};
use serde_json::Value;

fn names(list: &Answer) -> Vec<String> {
    let list = list.json();
    let files = list["logs"].as_array().expect("a list").iter();
    files.map(|file: &Value| file["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn logs_of_processes_are_listed_and_read() {
    let cluster = TestCluster::start(None).await;
    assert_eq!(names(&get(cluster.rest, "/jobmanager/logs").await), ["jobmanager.log", "jobmanager.out"]);
    for path in ["/jobmanager/log", "/jobmanager/logs/jobmanager.log", "/v1/jobmanager/log"] {
        let log = get(cluster.rest, path).await;
        assert_eq!((log.status, log.header("content-type")), (200, Some("text/plain; charset=UTF-8")), "{path}");
        assert!(log.text().contains("JobManager listens\n"), "{path}: {}", log.text());
    }
    assert_eq!(get(cluster.rest, "/jobmanager/stdout").await.status, 200);
    let of = |rest: &str| format!("/taskmanagers/{TASK_EXECUTOR}{rest}");
    assert_eq!(names(&get(cluster.rest, &of("/logs")).await), LOGS.map(|(name, _)| name));
    assert!(get(cluster.rest, &of("/log")).await.text().contains("registered\n"));
    assert!(get(cluster.rest, &of("/logs/worker-1.out")).await.text().contains("a function says seven\n"));
    assert_eq!(get(cluster.rest, &of("/stdout")).await.status, 200);
    for path in ["/jobmanager/thread-dump", &of("/thread-dump")] {
        let answer = get(cluster.rest, path).await;
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("there is no JVM"), "{}", answer.text());
    }
}

#[tokio::test]
async fn no_other_file_is_read() {
    let cluster = TestCluster::start(None).await;
    let secret = cluster.folder.path().join("secret");
    std::fs::write(&secret, "correct-horse").expect("writes");
    std::os::unix::fs::symlink(&secret, cluster.folder.path().join("logs/link")).expect("links");
    let absolute = secret.display().to_string().replace('/', "%2F");
    for name in ["..%2Fsecret", "../secret", "link", "..", "%2E%2E%2Fsecret", &absolute, "missing.log", "a%00b"] {
        for of in ["/jobmanager".to_owned(), format!("/taskmanagers/{TASK_EXECUTOR}")] {
            let answer = get(cluster.rest, &format!("{of}/logs/{name}")).await;
            assert!([400, 404].contains(&answer.status), "{of} {name}: {}", answer.status);
            assert!(!answer.text().contains("correct-horse"), "{of} {name}");
        }
    }
    assert_eq!(get(cluster.rest, "/taskmanagers/nobody/logs").await.status, 404);
}
