//! What a user does with a session.

use crate::support::{block_on, client, folder, wait_until};
use crate::yarn::harness::*;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_tests::hadoop::Cluster;
use std::fs;
use std::io::Write;

const SUMS: [&str; 2] = [PROGRAM, "sums"];

/// TaskExecutors come when a job needs them, stay for the next one, and go when nobody does.
pub(crate) fn idle_containers_are_given_back(cluster: &mut Cluster) {
    make_home(cluster);
    let id = session(cluster, &["-Dresourcemanager.taskmanager-timeout=5s"]);
    let executors = || processes(cluster).iter().filter(|process| process.is_executor()).count();
    assert_eq!(executors(), 0);
    let expected = run(std::process::Command::new(PROGRAM).arg("sums")).ok().out;
    let sums = || {
        let said = said(cluster, &[&["run", "-p", "2"], &SUMS[..]].concat()).ok();
        assert_eq!(said.out, expected);
    };
    sums();
    sums();
    assert_eq!(containers_given(cluster, id), 3);
    wait_until("the release of idle containers", || executors() == 0);
    wait_until("YARN's notice", || {
        report(cluster, id).app_resource_usage.unwrap_or_default().num_used_containers() == 1
    });
    sums();
    assert_eq!(containers_given(cluster, id), 5);
    stop(cluster, id);
}

/// Several jobs at once don't ask for more than they use together (FLINK-12342, YARN-1902).
pub(crate) fn no_container_is_asked_for_twice(cluster: &mut Cluster) {
    make_home(cluster);
    let id = session(cluster, &["-s", "2", "-Dyarn.heartbeat.interval=20ms", "-tm", "256"]);
    let begin = || Running::start(&mut flinkrs(cluster, &["run", "-p", "3", PROGRAM, "sums", "--slow", "50"]));
    let jobs = [begin(), begin(), begin()];
    jobs.into_iter().for_each(|job| drop(job.end().ok()));
    let given = containers_given(cluster, id);
    // Nine slots at most, and so five TaskExecutors; one job after the other would do with two.
    assert!((3..=6).contains(&given), "{given} containers");
    let log = fs::read_to_string(cluster.folder().join("logs/resourcemanager.log")).unwrap();
    let number = id.to_string().replace("application", "container");
    let released = log.lines().filter(|line| line.contains(&number) && line.ends_with("to RELEASED")).count();
    assert_eq!(released, 0, "no container came that nobody needed");
    stop(cluster, id);
}

pub(crate) fn shipped_files_are_there(cluster: &mut Cluster) {
    make_home(cluster);
    let file = folder(cluster, "ship").join("shipped.txt");
    fs::write(&file, "what was shipped").unwrap();
    let id = session(cluster, &["-t", file.to_str().unwrap()]);
    let said_there = said(cluster, &["run", "-p", "2", PROGRAM, "shipped"]).ok();
    assert!(said_there.out.lines().all(|line| line.ends_with(" 16")), "{}", said_there.out);
    stop(cluster, id);
    let ship = format!("-Dyarn.ship-files={}", file.display());
    let said_there = said(cluster, &["run", "-t", "yarn-per-job", "-p", "2", &ship, PROGRAM, "shipped"]).ok();
    assert!(said_there.out.lines().all(|line| line.ends_with(" 16")), "{}", said_there.out);
    nothing_is_left(cluster);
}

/// The session that was started last is found by the file that names it, by lists, cancellations and logs, too.
pub(crate) fn a_session_is_found_and_ended(cluster: &mut Cluster) {
    make_home(cluster);
    let named = home(cluster).join(".yarn-properties-ann");
    let first = session(cluster, &["-nm", "the first", "-at", "MINE", "-Dyarn.tags=a,b"]);
    let of_first = report(cluster, first);
    assert_eq!((of_first.name(), of_first.application_type(), of_first.user()), ("the first", "MINE", "ann"));
    assert_eq!(of_first.application_tags, ["a", "b"]);
    let mut attended = Running::start(&mut flinkrs(cluster, &["yarn-session", "-nm", "the second"]));
    wait_until("the second session", || fs::read_to_string(&named).is_ok_and(|t| !t.contains(&first.to_string())));
    let second = application_in(&fs::read_to_string(&named).unwrap()).unwrap();
    let printed = said(cluster, &["run", "-d", PROGRAM, "hang", "--output", "/nowhere/output"]).ok().out;
    let job = printed.trim().rsplit(' ').next().unwrap().to_owned();
    wait_until("the job", || said(cluster, &["list"]).out.contains(&format!("{job} : clustered (RUNNING)")));
    let of_first = format!("-Dyarn.application.id={first}");
    assert_eq!(said(cluster, &["list", &of_first]).ok().out, "No jobs.\n");
    said(cluster, &["cancel", &job]).ok();
    wait_until("the end of the job", || said(cluster, &["list", "-a"]).out.contains("(CANCELED)"));
    let says = said(cluster, &["run", PROGRAM, "says"]).ok();
    assert!(!says.out.contains("seven"));
    let listed = said(cluster, &["list", "-a"]).ok().out;
    let says = listed.lines().find(|line| line.contains("FINISHED")).and_then(|line| line.split(' ').next()).unwrap();
    assert!(said(cluster, &["logs", says]).ok().out.contains("a function says seven"));
    // Ctrl-C ends the one that is attended, and the file that named it; the other one goes on.
    attended.child.stdin.as_mut().unwrap().write_all(b"help\nwhat\n").unwrap();
    attended.signal("INT");
    let attended = attended.end().ok();
    assert!(attended.out.contains(&format!("{second} has ended.")), "{attended:?}");
    assert!(!named.exists());
    assert_eq!(report(cluster, second).final_application_status(), FinalApplicationStatusProto::AppSucceeded);
    said(cluster, &["list"]).failed(4, &["localhost:6123"]);
    assert_eq!(report(cluster, first).yarn_application_state(), YarnApplicationStateProto::Running);
    stop(cluster, first);
    said(cluster, &["list", &of_first]).failed(4, &[&first.to_string(), "has ended"]);
}

pub(crate) fn the_cluster_is_shown(cluster: &mut Cluster) {
    let shown = said(cluster, &["yarn-session", "-q"]).ok().out;
    for name in cluster.node_names() {
        let line = shown.lines().find(|line| line.starts_with(&name)).unwrap_or_else(|| panic!("{shown}"));
        assert_eq!(line.split_whitespace().collect::<Vec<_>>()[1..], ["8192", "8192", "8", "8", "0"]);
    }
    assert!(shown.contains("2 nodes, 16384 MB and 16 cores free"), "{shown}");
    assert!(shown.contains("Queue default: "), "{shown}");
    let running = GetApplicationsRequestProto {
        application_states: vec![YarnApplicationStateProto::Running as i32],
        ..GetApplicationsRequestProto::default()
    };
    assert!(block_on(client(cluster).applications(running)).unwrap().is_empty(), "it has started nothing");
}

/// Nobody attends a session whose ApplicationMaster is killed: the next one of its user cleans up.
pub(crate) fn what_killed_sessions_left_is_removed(cluster: &mut Cluster) {
    make_home(cluster);
    session(cluster, &[]);
    let master = processes(cluster).into_iter().find(Process::is_master).unwrap();
    cluster.kill_process(master.id).unwrap();
    wait_until("the end of the session", || applications(cluster).is_empty());
    assert_eq!(staged(cluster).len(), 1, "the folder of the session");
    let next = session(cluster, &[]);
    let left = staged(cluster);
    assert!(left.len() == 1 && left[0].ends_with(next.to_string()), "{left:?}");
    stop(cluster, next);
}
