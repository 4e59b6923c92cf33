//! Results that come back into the program, files, and several executions of one program.

use crate::{Rec, env, everywhere, records, same};
use flinkrs::prelude::*;
use std::process::Command;

#[test]
fn collect_and_count() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        same(input.collect().unwrap(), data.to_vec());
        assert_eq!(input.count().unwrap(), data.len() as u64);
        assert_eq!(input.filter(|r| r.1 > 0).count().unwrap(), data.iter().filter(|r| r.1 > 0).count() as u64);
        let one = input.map(|r| r).parallelism(1).collect().unwrap();
        same(one, data.to_vec());
    });
}

#[test]
fn a_result_that_is_too_large_names_its_option() {
    let env = env(2);
    env.set_collect_limit(flinkrs::resource::ByteSize(64 << 10));
    assert_eq!(env.generate_sequence(1, 8000).collect().unwrap().len(), 8000);
    let sequence = env.generate_sequence(1, 9000);
    let error = sequence.collect().unwrap_err();
    let expected = "a collected result takes more than 64.0 KB of memory (option --collect-limit); write it to files \
                    instead";
    assert_eq!((error.root().to_string().as_str(), error.exit_code()), (expected, 4));
    assert_eq!(sequence.count().unwrap(), 9000);
}

#[test]
fn sequences() {
    for parallelism in [1, 3, 8] {
        let env = env(parallelism);
        same(env.generate_sequence(5, 20_004).collect().unwrap(), (5..=20_004).collect());
        assert_eq!(env.generate_sequence(5, 4).count().unwrap(), 0);
        assert_eq!(env.generate_sequence(7, 7).collect().unwrap(), [7]);
    }
}

/// Runs in a process of its own, started by [`print_writes_a_line_per_record`].
#[test]
#[ignore = "prints for another test"]
fn prints() {
    env(3).from_collection(records(50, 5)).map(|r| format!("record {} {}", r.0, r.1)).print().unwrap();
    env(3).from_collection(Vec::<Text>::new()).print().unwrap();
}

#[test]
fn print_writes_a_line_per_record() {
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this).args(["--exact", "outputs::prints", "--ignored", "--nocapture"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<String> = text.lines().filter_map(|line| Some(line[line.find("record ")?..].to_owned())).collect();
    same(lines, records(50, 5).iter().map(|r| format!("record {} {}", r.0, r.1)).collect());
}

#[test]
fn text_files() {
    everywhere(|env, data| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        env.from_collection(data.to_vec()).map(|r| format!("{} {} {}", r.0, r.1, r.2)).write_text(&path);
        assert!(!path.exists(), "nothing is written before the execution");
        env.execute("write").unwrap();
        assert_eq!(path.is_dir(), env.parallelism() > 1, "a file for one subtask, a folder for several");
        let lines = env.read_text(path.as_path()).map(|line| line.to_string()).collect().unwrap();
        same(lines, data.iter().map(|r| format!("{} {} {}", r.0, r.1, r.2)).collect());
    });
}

#[test]
fn csv_files() {
    everywhere(|env, data| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let odd = |r: &Rec| (r.0, r.1, Text::from(format!("\"{}\", said {}", r.2, r.0)));
        let rows: Vec<Rec> = data.iter().map(odd).collect();
        env.from_collection(rows.clone()).write_csv(&path);
        env.execute("write").unwrap();
        same(env.read_csv::<Rec>(path.as_path()).collect().unwrap(), rows);
    });
}

#[test]
fn an_output_that_exists_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    std::fs::write(&path, "precious").unwrap();
    let env = env(3);
    env.from_collection(records(10, 2)).write_csv(&path);
    let error = env.execute("write").unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_job_that_fails_leaves_no_output() {
    for parallelism in [1, 3, 8] {
        let folder = tempfile::tempdir().unwrap();
        let env = env(parallelism);
        let input = env.from_collection(records(5_000, 50));
        input.map(|r| r).write_csv(folder.path().join("a"));
        input
            .map(|r| if r.1 == 13 { panic!("unlucky {}", r.1) } else { r })
            .name("Luck")
            .write_csv(folder.path().join("b"));
        let error = env.execute("fails").unwrap_err();
        assert!(error.to_string().contains("unlucky 13") && error.to_string().contains("Luck"), "{error}");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
        // The environment goes on working, without the sinks that failed.
        assert_eq!(input.count().unwrap(), 5_000);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn one_program_executes_several_times() {
    everywhere(|env, data| {
        let folder = tempfile::tempdir().unwrap();
        let input = env.from_collection(data.to_vec());
        let sums = input.group_by(f0).sum(f1).map(|r| (r.0, r.1));
        let first = sums.collect().unwrap();
        // What was described before is extended afterwards.
        let high = sums.filter(|r| r.1 > 0).write_csv(folder.path().join("high"));
        let _ = high.name("High");
        same(sums.collect().unwrap(), first.clone());
        let read = env.read_csv::<(u64, i64)>(folder.path().join("high").as_path());
        same(read.collect().unwrap(), first.iter().filter(|r| r.1 > 0).copied().collect());
        assert_eq!(sums.count().unwrap(), first.len() as u64);
        let error = env.execute("nothing").unwrap_err();
        assert_eq!(error.exit_code(), 2, "every sink has run: {error}");
    });
}

#[test]
fn a_result_decides_what_runs_next() {
    for parallelism in [1, 3, 8] {
        let env = env(parallelism);
        // Reachable from 1 by doubling or adding three, below a limit: an iteration without feedback.
        let mut known = vec![1u64];
        loop {
            let set = env.from_collection(known.clone());
            let next =
                set.flat_map(|n, out| [n, n * 2, n + 3].into_iter().filter(|n| *n < 200).for_each(|n| out.collect(n)));
            let next = next.distinct().collect().unwrap();
            if next.len() == known.len() {
                break;
            }
            known = next;
        }
        let mut expected = std::collections::BTreeSet::from([1u64]);
        while let Some(new) = expected.iter().flat_map(|n| [n * 2, n + 3]).find(|n| *n < 200 && !expected.contains(n)) {
            expected.insert(new);
        }
        same(known, expected.into_iter().collect());
    }
}

#[test]
fn several_sinks_share_what_they_need() {
    everywhere(|env, data| {
        let folder = tempfile::tempdir().unwrap();
        let input = env.from_collection(data.to_vec()).map(|r| (r.0, r.1));
        let sums = input.group_by(f0).sum(f1);
        let names = ["all", "sums", "joined"];
        input.write_csv(folder.path().join(names[0]));
        sums.write_csv(folder.path().join(names[1]));
        input.join(&sums).on(f0, f0).map(|l, r| (l.0, l.1 + r.1)).write_csv(folder.path().join(names[2]));
        env.execute("three sinks").unwrap();
        let read = |name: &str| env.read_csv::<(u64, i64)>(folder.path().join(name).as_path()).collect().unwrap();
        let sum = |key: u64| data.iter().filter(|r| r.0 == key).map(|r| r.1).sum::<i64>();
        same(read("all"), data.iter().map(|r| (r.0, r.1)).collect());
        same(read("sums"), crate::by_key(data, |r| r.0).into_keys().map(|key| (key, sum(key))).collect());
        let totals = crate::by_key(data, |r| r.0).into_keys().map(|key| (key, sum(key)));
        let totals: std::collections::BTreeMap<u64, i64> = totals.collect();
        same(read("joined"), data.iter().map(|r| (r.0, r.1 + totals[&r.0])).collect());
    });
}
