//! The examples give on YARN what they give in one process, whichever way they are run.

use crate::support::{folder, hdfs_as, wait_until};
use crate::yarn::examples::{ALL, Example, WORDCOUNT, inputs, inputs_on_hdfs, written, written_on_hdfs};
use crate::yarn::harness::*;
use flinkrs_core::fs::FileSystem;
use flinkrs_hadoop::proto::yarn::{FinalApplicationStatusProto, YarnApplicationStateProto};
use flinkrs_tests::hadoop::Cluster;
use std::path::Path;

/// Runs an example as `options` say, from HDFS to HDFS, and compares what it has written.
fn check(cluster: &Cluster, example: Example, options: &[&str]) -> Said {
    let output = Path::new("hdfs:///user/ann/results").join(example.name);
    hdfs_as(cluster, "ann").remove(&output).unwrap();
    let arguments = example.arguments(inputs_on_hdfs(cluster), output.to_str().unwrap());
    let path = example.path();
    let program = [path.to_str().unwrap()];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = said(cluster, &[&["run"], options, &program, &arguments].concat()).ok();
    assert_eq!(written_on_hdfs(cluster, &output), example.expected(cluster), "{} with {options:?}", example.name);
    said
}

pub(crate) fn examples_run_in_a_session(cluster: &mut Cluster) {
    make_home(cluster);
    let id = session(cluster, &["-s", "2"]);
    for example in ALL {
        check(cluster, example, &["-p", "2"]);
        // The TaskExecutor of the first job does for all of them.
        assert_eq!(containers_given(cluster, id), 2, "after {}", example.name);
    }
    // Four slots are two TaskExecutors.
    check(cluster, WORDCOUNT, &["-p", "4"]);
    assert_eq!(containers_given(cluster, id), 3);
    stop(cluster, id);
}

pub(crate) fn examples_run_per_job(cluster: &mut Cluster) {
    make_home(cluster);
    for (example, slots, containers) in [(ALL[0], 1, 3), (ALL[1], 2, 2), (ALL[2], 1, 3), (ALL[3], 2, 2)] {
        let slots = format!("-Dtaskmanager.numberOfTaskSlots={slots}");
        let said = check(cluster, example, &["-t", "yarn-per-job", "-p", "2", &slots]);
        let id = said.application();
        let report = report(cluster, id);
        assert_eq!(report.final_application_status(), FinalApplicationStatusProto::AppSucceeded, "{said:?}");
        assert_eq!(containers_given(cluster, id), containers, "{said:?}");
    }
    nothing_is_left(cluster);
}

pub(crate) fn examples_run_as_applications(cluster: &mut Cluster) {
    make_home(cluster);
    for example in [ALL[0], ALL[3]] {
        let said = check(cluster, example, &["-t", "yarn-application", "-p", "2"]);
        let report = report(cluster, said.application());
        assert_eq!(report.final_application_status(), FinalApplicationStatusProto::AppSucceeded);
    }
    nothing_is_left(cluster);
}

/// When YARN says that a detached job has finished, its output is there.
pub(crate) fn detached_output_is_there_at_the_end(cluster: &mut Cluster) {
    make_home(cluster);
    for target in ["yarn-per-job", "yarn-application"] {
        let output = folder(cluster, "detached").join("output");
        let arguments = WORDCOUNT.arguments(inputs(cluster).to_str().unwrap(), output.to_str().unwrap());
        let path = WORDCOUNT.path();
        let run = ["run", "-d", "-t", target, "-p", "2", path.to_str().unwrap()];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let id = said(cluster, &[&run[..], &arguments].concat()).ok().application();
        wait_until("the end of the application", || {
            report(cluster, id).yarn_application_state() == YarnApplicationStateProto::Finished
        });
        assert_eq!(written(&output), WORDCOUNT.expected(cluster), "{target}");
        assert_eq!(report(cluster, id).final_application_status(), FinalApplicationStatusProto::AppSucceeded);
        nothing_is_left(cluster);
    }
}
