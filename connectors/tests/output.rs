//! Output files: names, refusing and replacing, nothing visible before the commit or after an abort.

mod common;

use common::{file, folder, names, write_all};
use flinkrs_connectors::{CsvOutput, FixedInput, FixedOutput, Record, TextOutput, WriteMode};
use flinkrs_core::error::Fault;
use flinkrs_core::id::Subtask;
use flinkrs_core::sink::{OutputFormat, RecordWriter};
use std::fs;

const FIRST: Subtask = Subtask { index: 0, parallelism: 1 };

#[test]
fn one_subtask_writes_a_file_and_several_write_a_folder() {
    let folder = folder();
    let one = folder.path().join("new/deep/one.txt");
    write_all(&TextOutput::new(&one), &[vec![1u64, 2]]).expect("writes");
    assert_eq!(fs::read_to_string(&one).expect("a file"), "1\n2\n");
    let many = folder.path().join("many");
    write_all(
        &TextOutput::new(&many),
        &[vec!["a"], vec![], vec!["b"]].map(|v| v.into_iter().map(String::from).collect()),
    )
    .expect("writes");
    assert_eq!(names(&many), ["1", "2", "3"]);
    assert_eq!(fs::read_to_string(many.join("3")).expect("a file"), "b\n");
    assert_eq!(names(folder.path()), ["many", "new"], "no hidden folder is left");
}

#[test]
fn an_existing_output_is_refused_unless_told() {
    let folder = folder();
    let path = file(&folder, "x", "old");
    let error = write_all(&TextOutput::new(&path), &[vec![1]]).expect_err("exists");
    let expected = format!("output {} exists; `.mode(WriteMode::Overwrite)` replaces it", path.display());
    assert_eq!((error.to_string(), error.fault(), error.exit_code()), (expected, Fault::User, 3));
    assert_eq!(fs::read_to_string(&path).expect("still there"), "old");

    let output = || TextOutput::new(&path).mode(WriteMode::Overwrite);
    write_all(&output(), &[vec![1], vec![2]]).expect("a folder replaces a file");
    assert_eq!(names(&path), ["1", "2"]);
    write_all(&output(), &[vec![3], vec![4], vec![5]]).expect("a folder replaces a folder");
    assert_eq!(names(&path), ["1", "2", "3"]);
    write_all(&output(), &[vec![6]]).expect("a file replaces a folder");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "6\n");
    write_all(&output(), &[vec![7]]).expect("a file replaces a file");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "7\n");
    assert_eq!(names(folder.path()), ["x"]);
}

#[test]
fn a_folder_that_holds_folders_is_never_replaced() {
    let folder = folder();
    let path = folder.path().join("home");
    fs::create_dir_all(path.join("documents")).expect("creates");
    let error = write_all(&TextOutput::new(&path).mode(WriteMode::Overwrite), &[vec![1]]).expect_err("refused");
    assert_eq!(
        error.to_string(),
        format!(
            "output {0} is a folder that holds folders, such as {0}/documents; it was not made by a job and is not \
             replaced",
            path.display()
        )
    );
}

#[test]
fn nothing_shows_before_the_commit_or_after_an_abort() {
    let folder = folder();
    let path = file(&folder, "x", "old");
    let output = CsvOutput::new(&path).mode(WriteMode::Overwrite);
    output.begin(1).expect("begins");
    let mut writer = output.open(FIRST).expect("opens");
    writer.write(&mut vec![(1, "a".to_owned())]).expect("writes");
    writer.finish().expect("finishes");
    assert_eq!(fs::read_to_string(&path).expect("there"), "old");
    let hidden =
        names(folder.path()).into_iter().find(|name| name.starts_with(".x.flinkrs-")).expect("a hidden folder");
    assert!(hidden.starts_with(&format!(".x.flinkrs-{}-", std::process::id())), "{hidden}");
    output.abort();
    assert_eq!(names(folder.path()), ["x"]);
    assert_eq!(fs::read_to_string(&path).expect("there"), "old");
    output.abort();
}

#[test]
fn what_a_dead_job_left_is_removed_and_a_running_job_keeps_its_own() {
    let folder = folder();
    let path = folder.path().join("x");
    let dead = folder.path().join(".x.flinkrs-999999-0");
    fs::create_dir(&dead).expect("creates");
    fs::write(dead.join(".lock"), "").expect("writes");
    let running = TextOutput::<u8>::new(&path);
    running.begin(1).expect("begins");
    let next = TextOutput::<u8>::new(&path);
    next.begin(1).expect("begins");
    let left = names(folder.path());
    assert!(!dead.exists() && left.len() == 2, "{left:?}");
    next.abort();
    let mut writer = running.open(FIRST).expect("opens");
    writer.write(&mut vec![7]).expect("writes");
    writer.finish().expect("finishes");
    running.commit(1).expect("commits");
    assert_eq!(names(folder.path()), ["x"]);
}

#[test]
fn large_outputs_are_written_in_pieces_and_errors_name_the_file() {
    let folder = folder();
    let path = folder.path().join("x");
    let batches = [(0..200_000u64).collect::<Vec<u64>>()];
    write_all(&TextOutput::new(&path), &batches).expect("writes");
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.lines().map(|line| line.parse::<u64>().expect("a number")).eq(0..200_000));

    let blocked = file(&folder, "file", "").join("below");
    let message = write_all(&TextOutput::new(&blocked), &batches).expect_err("no folder").to_string();
    assert!(message.starts_with("cannot ") && message.contains(&folder.path().display().to_string()), "{message}");
    assert_eq!(TextOutput::<u8>::new("/").begin(1).expect_err("no name").to_string(), "output / has no name");

    if std::path::Path::new("/dev/full").exists() {
        let message = TextOutput::<u8>::new("/dev/null").mode(WriteMode::Overwrite).begin(1).expect_err("no file");
        assert_eq!(message.to_string(), "output /dev/null is neither a file nor a folder and is not replaced");
    }
}

#[test]
fn a_job_in_several_processes_shares_a_token() {
    let folder = folder();
    let path = folder.path().join("x");
    let format = || TextOutput::<u8>::new(&path).files(|files| files.token("job-7"));
    let (client, worker) = (format(), format());
    client.begin(1).expect("begins");
    let mut writer = worker.open(FIRST).expect("opens");
    writer.write(&mut vec![1]).expect("writes");
    writer.finish().expect("finishes");
    client.commit(1).expect("commits");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "1\n");
}

#[test]
fn fixed_records_go_out_and_come_back() {
    let folder = folder();
    let path = folder.path().join("x");
    let record = |i: u32| {
        let mut bytes = [0; 100];
        bytes[..4].copy_from_slice(&i.to_be_bytes());
        Record(bytes)
    };
    let records: Vec<Record<100>> = (0..30_000).map(record).collect();
    write_all(&FixedOutput::new(&path), &[records[..10_000].to_vec(), records[10_000..].to_vec()]).expect("writes");
    let files = flinkrs_connectors::FileInput::new(&path).split_bytes(77_777);
    let input = FixedInput::<100>::new(files);
    assert_eq!(common::read_all(&input, 4).expect("reads"), records);
    assert_eq!(records[258].key::<4>(), [0, 0, 1, 2]);
    let mut shuffled = vec![records[9], records[3]];
    shuffled.sort();
    assert_eq!(shuffled, [records[3], records[9]]);

    let odd = file(&folder, "odd", vec![0; 250]);
    assert_eq!(
        common::read_error(&FixedInput::<100>::new(&odd)),
        format!("{}: 250 bytes are not a whole number of records of 100 bytes, 50 are left over", odd.display())
    );
    let odd = file(&folder, "odd.gz", common::gzip(&[0; 250]));
    let message = common::read_error(&FixedInput::<100>::new(&odd));
    assert!(message.contains("250 bytes are not a whole number"), "{message}");
    let even = file(&folder, "even.zst", common::zstd(&[1; 300]));
    assert_eq!(common::read_all(&FixedInput::<100>::new(&even), 2).expect("reads"), [Record([1; 100]); 3]);
}
