//! Who may look at an application, who may act in it, and where its secret is not.

use crate::support::{hdfs, hdfs_as, wait_until};
use crate::yarn::harness::*;
use flinkrs_core::fs::FileSystem;
use flinkrs_tests::hadoop::Cluster;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The page and what it shows are behind the ResourceManager's proxy, and nothing that acts.
pub(crate) fn the_page_is_for_looking(cluster: &mut Cluster) {
    make_home(cluster);
    let id = session(cluster, &[]);
    said(cluster, &["run", PROGRAM, "sums"]).ok();
    let manager = web(cluster, "yarn.resourcemanager.webapp.address");
    let proxied = |method: &str, path: &str| http(&manager, method, &format!("/proxy/{id}/{path}"), "");
    let (status, page) = proxied("GET", "");
    assert!(status == 200 && page.contains("<html"), "{status}: {page}");
    let (status, jobs) = proxied("GET", "jobs/overview");
    assert!(status == 200 && jobs.contains("\"FINISHED\""), "{status}: {jobs}");
    let job = jobs.split("\"jid\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let (_, executors) = proxied("GET", "taskmanagers");
    let executor = executors.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    for path in [
        "overview",
        "jobmanager/config",
        "jobmanager/log",
        &format!("taskmanagers/{executor}/log"),
        &format!("jobs/{job}"),
        &format!("v1/jobs/{job}/plan"),
    ] {
        assert_eq!(proxied("GET", path).0, 200, "{path}");
    }
    for (method, path) in [("DELETE", "cluster"), ("PUT", "cluster"), ("POST", "jars/upload"), ("PATCH", "jobs/1")] {
        let (status, answer) = proxied(method, path);
        assert!(status >= 400, "{method} {path}: {status} {answer}");
    }
    // Who goes past the proxy needs the word of the URL, which only looks, or the secret.
    let url = report(cluster, id).original_tracking_url().to_owned();
    let (at, word) = url.trim_start_matches("http://").split_once("/view/").unwrap();
    let word = word.trim_end_matches('/');
    let direct = |method: &str, path: &str, headers: &str| http(at, method, path, headers).0;
    assert_eq!(direct("GET", &format!("/view/{word}/jobs/overview"), ""), 200);
    for path in
        ["/", "/jobs/overview", "/view//jobs/overview", "/view/0123/overview", &format!("/view/{}/", &word[1..])]
    {
        assert_eq!(direct("GET", path, ""), 401, "{path}");
    }
    assert_eq!(direct("GET", "/overview", &format!("Authorization: Bearer {word}\r\n")), 401);
    for (method, path) in [("DELETE", "cluster"), ("PATCH", "jobs/1"), ("POST", "jars/upload")] {
        assert_eq!(direct(method, &format!("/view/{word}/{path}"), ""), 401, "{method} {path}");
    }
    let secret = secret(cluster, &id.to_string());
    let bearer = format!("Authorization: Bearer {secret}\r\n");
    assert_eq!(direct("GET", "/overview", &bearer), 200);
    assert_eq!(direct("DELETE", "/cluster", &bearer), 200);
    wait_until("the end of the application", || !processes(cluster).iter().any(Process::is_master));
    nothing_is_left(cluster);
}

/// An application's secret, which its user may read.
fn secret(cluster: &Cluster, id: &str) -> String {
    let mut text = String::new();
    let path = PathBuf::from(format!("/user/ann/.flinkrs/{id}/secret"));
    hdfs_as(cluster, "ann").open(&path, 0).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text.len(), 64);
    text
}

/// While jobs run, and afterwards, the secret is in no log, environment or argument, and on disk only for its owner.
pub(crate) fn the_secret_is_kept(cluster: &mut Cluster) {
    make_home(cluster);
    let id = session(cluster, &[]);
    let secret = secret(cluster, &id.to_string());
    let staged = PathBuf::from(format!("/user/ann/.flinkrs/{id}"));
    let files = hdfs(cluster).list(&staged).unwrap();
    assert!(files.iter().any(|file| file.path.ends_with("secret")));
    for file in files {
        let details = hdfs(cluster).details(&file.path).unwrap();
        assert_eq!(details.permission, 0o600, "{}", file.path.display());
    }
    let denied = hdfs_as(cluster, "eve").open(&staged.join("secret"), 0).err().unwrap();
    assert!(denied.to_string().contains("eve"), "{denied}");
    let job = Running::start(&mut flinkrs(cluster, &["run", "-p", "2", PROGRAM, "sums", "--slow", "100"]));
    wait_until("the workers", || {
        let all = processes(cluster);
        all.iter().filter(|process| process.is_worker(&all)).count() == 2
    });
    let mut ids: Vec<u32> = processes(cluster).iter().map(|process| process.id).collect();
    ids.push(job.child.id());
    assert!(ids.len() >= 6, "an ApplicationMaster, two TaskExecutors and workers, and the client");
    for id in ids {
        for of_process in ["environ", "cmdline"] {
            let content = fs::read(format!("/proc/{id}/{of_process}")).unwrap();
            assert!(!holds(&content, &secret), "it is in the {of_process} of process {id}");
        }
    }
    let data = cluster.folder().join("data");
    for path in all_files(&data).into_iter().filter(|path| contains(path, &secret)) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        let is_yarn_s = path.ends_with("container_tokens") || path.extension().is_some_and(|e| e == "tokens");
        // Blocks of HDFS, and what YARN keeps to start containers again.
        let is_store = path
            .components()
            .any(|part| ["blocks", "datanode", "manager"].iter().any(|name| part.as_os_str() == *name));
        assert!(mode & 0o077 == 0 || is_yarn_s || is_store, "{} is {:o}", path.display(), mode & 0o777);
    }
    job.end().ok();
    let logs = cluster.folder().join("logs");
    let of_containers =
        all_files(&data).into_iter().filter(|path| path.components().any(|part| part.as_os_str() == "logs"));
    for path in all_files(&logs).into_iter().chain(of_containers) {
        assert!(!contains(&path, &secret), "it is in {}", path.display());
    }
    stop(cluster, id);
}

fn contains(path: &Path, text: &str) -> bool {
    // Files come and go.
    fs::read(path).is_ok_and(|content| holds(&content, text))
}

fn holds(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|part| part == text.as_bytes())
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files
}
