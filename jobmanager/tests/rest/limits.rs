//! Who is answered, and what is too much.

use crate::cluster::{TestCluster, options};
use crate::http::{call, get, raw};
use flinkrs_jobmanager::JobManager;
use flinkrs_rpc::auth::Secret;

const SECRET: &[u8] = b"0123456789abcdef";

#[tokio::test]
async fn with_a_secret_every_request_needs_it() {
    let cluster = TestCluster::start(Some(Secret::new(SECRET))).await;
    for path in ["/", "/overview", "/openapi.json", "/nothing", "/v1/jobs"] {
        assert_eq!(get(cluster.rest, path).await.status, 401, "{path}");
    }
    assert_eq!(get(cluster.metrics, "/metrics").await.status, 401);
    for (secret, status) in [("Bearer 0123456789abcdef", 200), ("Bearer 0123456789abcdeF", 401)] {
        let answer = call(cluster.rest, "GET", "/overview", &[("Authorization", secret)], b"").await;
        assert_eq!(answer.status, status, "{secret}");
    }
}

#[tokio::test]
async fn an_open_address_needs_a_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(folder.path(), None);
    options.rest.as_mut().expect("there is REST").bind = "0.0.0.0:0".parse().expect("an address");
    let refused = JobManager::bind(options).await.err().expect("is refused").to_string();
    assert!(refused.contains("rest.bind-address is 0.0.0.0, which others can reach"), "{refused}");
}

#[tokio::test]
async fn too_much_is_refused_and_others_are_served() {
    let cluster = TestCluster::start(None).await;
    let headers = (0..100).map(|i| format!("x-{i}: 1\r\n")).collect::<String>();
    let many = format!("GET /overview HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    assert_eq!(raw(cluster.rest, many.as_bytes()).await.status, 431);
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(1 << 20));
    assert!([0, 414, 431].contains(&raw(cluster.rest, long.as_bytes()).await.status));
    assert!([0, 400].contains(&raw(cluster.rest, b"\x00\x01\x02\r\n\r\n").await.status));
    let echo = cluster.upload("echo", &crate::cluster::program("/bin/echo")).await;
    let path = format!("{}/run", echo.json()["filename"].as_str().expect("a name"));
    let large = format!("{{\"programArgs\": \"{}\"}}", "a".repeat(2 << 20));
    assert_eq!(call(cluster.rest, "POST", &path, &[], large.as_bytes()).await.status, 413);
    assert_eq!(call(cluster.rest, "POST", &path, &[], b"{").await.status, 400);
    assert_eq!(get(cluster.rest, "/overview").await.status, 200);
}
