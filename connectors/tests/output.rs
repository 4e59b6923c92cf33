//! Output files: names, refusing and replacing, nothing visible before the commit or after an abort.

mod common;

use common::{file, folder, job, names, write_all};
use flinkrs_connectors::{CsvOutput, FixedInput, FixedOutput, Record, TextOutput, WriteMode};
use flinkrs_core::error::Fault;
use flinkrs_core::id::Subtask;
use flinkrs_core::sink::{CommitContext, OutputFormat, RecordWriter, WriterContext};
use std::fs;

/// The first attempt of an only subtask.
const FIRST: WriterContext<'static> =
    WriterContext { job: "job", subtask: Subtask { index: 0, parallelism: 1 }, attempt: 0 };

/// What a job writes whose only subtask has finished at once.
const ONE: CommitContext<'static> = CommitContext { job: "job", attempts: &[0] };

/// Writes some records in one attempt of a subtask.
fn write(output: &TextOutput<u8>, subtask: u32, attempt: u32, records: &[u8]) {
    let subtask = Subtask { index: subtask, parallelism: 2 };
    let mut writer = output.open(&WriterContext { job: "job", subtask, attempt }).expect("opens");
    writer.write(&mut records.to_vec()).expect("writes");
    writer.finish().expect("finishes");
}

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
    output.begin(&ONE).expect("begins");
    let mut writer = output.open(&FIRST).expect("opens");
    writer.write(&mut vec![(1, "a".to_owned())]).expect("writes");
    writer.finish().expect("finishes");
    assert_eq!(fs::read_to_string(&path).expect("there"), "old");
    assert_eq!(names(folder.path()), [".x.flinkrs-job", "x"]);
    output.abort(&ONE);
    assert_eq!(names(folder.path()), ["x"]);
    assert_eq!(fs::read_to_string(&path).expect("there"), "old");
    output.abort(&ONE);
    let error = output.commit(&ONE).expect_err("nothing is there").to_string();
    assert!(error.contains("was removed before its commit"), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("there"), "old");
}

#[test]
fn what_dead_jobs_left_is_removed_and_running_jobs_keep_theirs() {
    let folder = folder();
    let path = folder.path().join("x");
    let leave = |name: &str, files: &[&str]| {
        let dead = folder.path().join(name);
        fs::create_dir(&dead).expect("creates");
        files.iter().for_each(|file| fs::write(dead.join(file), "").expect("writes"));
    };
    leave(".x.flinkrs-999999-0", &[".lock", "1-0"]);
    leave(".x.flinkrs-999999-1", &[]);
    leave(".x.flinkrs-999999-2.gone", &["1-0"]);
    leave(".x.flinkrs-y.flinkrs-999999-3", &[".lock", "1-0"]);
    leave(".x.flinkrs-unlocked", &["of somebody"]);
    let running = TextOutput::<u8>::new(&path);
    running.begin(&ONE).expect("begins");
    let next = TextOutput::<u8>::new(&path);
    next.begin(&CommitContext { job: "next", ..ONE }).expect("begins");
    let others = [".x.flinkrs-unlocked", ".x.flinkrs-y.flinkrs-999999-3"];
    assert_eq!(names(folder.path()), [".x.flinkrs-job", ".x.flinkrs-next", others[0], others[1]]);
    next.abort(&CommitContext { job: "next", ..ONE });
    write(&running, 0, 0, &[7]);
    running.commit(&ONE).expect("commits");
    assert_eq!(names(folder.path()), [others[0], others[1], "x"]);
}

#[test]
fn an_open_writer_keeps_the_folder_when_who_began_is_dead() {
    let folder = folder();
    let path = folder.path().join("x");
    let (client, worker) = (TextOutput::<u8>::new(&path), TextOutput::<u8>::new(&path));
    client.begin(&ONE).expect("begins");
    let mut writer = worker.open(&FIRST).expect("opens");
    drop(client);
    let other = TextOutput::<u8>::new(&path);
    let context = CommitContext { job: "other", ..ONE };
    other.begin(&context).expect("begins");
    assert_eq!(names(folder.path()), [".x.flinkrs-job", ".x.flinkrs-other"]);
    other.abort(&context);
    writer.write(&mut vec![1]).expect("writes");
    writer.finish().expect("finishes");
    drop(writer);
    TextOutput::<u8>::new(&path).commit(&ONE).expect("commits");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "1\n");
}

#[test]
fn a_writer_of_an_earlier_start_of_the_job_is_not_seen() {
    let folder = folder();
    let path = folder.path().join("x");
    let (before, now) = (TextOutput::<u8>::new(&path), TextOutput::<u8>::new(&path));
    before.begin(&ONE).expect("begins");
    let mut old = before.open(&FIRST).expect("opens");
    now.begin(&ONE).expect("begins anew");
    let mut new = now.open(&FIRST).expect("opens the same attempt");
    old.write(&mut vec![1]).expect("writes");
    new.write(&mut vec![2]).expect("writes");
    new.finish().expect("finishes");
    old.finish().expect("finishes");
    drop((old, new));
    now.commit(&ONE).expect("commits");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "2\n");
}

#[test]
fn only_the_finished_attempts_are_seen() {
    let folder = folder();
    let path = folder.path().join("x");
    let (client, first, second) = (TextOutput::<u8>::new(&path), TextOutput::new(&path), TextOutput::new(&path));
    let context = job(&[1, 0]);
    client.begin(&job(&[0, 0])).expect("begins");
    let subtask = Subtask { index: 0, parallelism: 2 };
    let lost = WriterContext { job: "job", subtask, attempt: 0 };
    let mut lost_writer = first.open(&lost).expect("opens");
    lost_writer.write(&mut (0..=255).collect()).expect("writes");
    write(&second, 0, 1, &[1, 2]);
    write(&second, 1, 0, &[3]);
    // The attempt that was given up goes on, and even starts once more, after the end.
    lost_writer.write(&mut vec![9]).expect("writes");
    client.commit(&context).expect("commits");
    lost_writer.finish().expect("nobody sees it");
    let error = first.open(&lost).expect_err("it has ended").to_string();
    assert!(error.contains("the output has ended, or this machine doesn't see the folder"), "{error}");
    assert_eq!(names(folder.path()), ["x"]);
    assert_eq!(names(&path), ["1", "2"]);
    assert_eq!(fs::read_to_string(path.join("1")).expect("a file"), "1\n2\n");
    client.commit(&context).expect("again");
    second.commit(&context).expect("and elsewhere");
    assert_eq!(names(&path), ["1", "2"]);
}

#[test]
fn an_attempt_writes_once_and_a_commit_wants_all() {
    let folder = folder();
    let path = folder.path().join("x");
    let output = TextOutput::<u8>::new(&path);
    output.begin(&job(&[0, 0])).expect("begins");
    write(&output, 0, 3, &[1]);
    let subtask = Subtask { index: 0, parallelism: 2 };
    let error = output.open(&WriterContext { job: "job", subtask, attempt: 3 }).expect_err("is there").to_string();
    assert!(error.starts_with("cannot create ") && error.contains("1-3"), "{error}");
    let error = output.commit(&job(&[3, 0])).expect_err("2 is missing").to_string();
    assert!(error.contains("2-0 was not written"), "{error}");
    write(&output, 1, 0, &[2]);
    output.commit(&job(&[3, 0])).expect("commits");
    let error = TextOutput::<u8>::new(&path).begin(&CommitContext { job: "a/b", ..ONE }).expect_err("no token");
    assert!(error.to_string().contains("letters, digits, - and _, not 'a/b'"), "{error}");
}

#[test]
fn output_that_was_removed_is_no_success() {
    let folder = folder();
    let path = folder.path().join("x");
    let output = TextOutput::<u8>::new(&path).mode(WriteMode::Overwrite);
    for there in [false, true] {
        if there {
            fs::write(&path, "old").expect("writes");
        }
        output.begin(&ONE).expect("begins");
        write(&output, 0, 0, &[1]);
        fs::remove_dir_all(folder.path().join(".x.flinkrs-job")).expect("removes");
        let error = output.commit(&ONE).expect_err("it is gone").to_string();
        assert!(error.ends_with("what the job wrote was removed before its end"), "{error}");
    }
    fs::remove_file(&path).expect("removes");
    TextOutput::<u8>::new(&path).commit(&ONE).expect_err("there is nothing");
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
    assert_eq!(TextOutput::<u8>::new("/").begin(&ONE).expect_err("no name").to_string(), "output / has no name");

    if std::path::Path::new("/dev/full").exists() {
        let message = TextOutput::<u8>::new("/dev/null").mode(WriteMode::Overwrite).begin(&ONE).expect_err("no file");
        assert_eq!(message.to_string(), "output /dev/null is neither a file nor a folder and is not replaced");
    }
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
